"""``python -m bearer_guard``: the command by another name."""

from __future__ import annotations

from bearer_guard.cli import main

if __name__ == "__main__":
    main()
