"""The command ``bearer-guard``.

Whatever is slow to import is imported where a command needs it: ``--help`` must be quick.
"""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command, and end the process with its exit status.

    0: done · 1: refused · 2: usage or configuration · 3: store unavailable.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by whoever runs this
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123 - until the end
    from ._root import root  # noqa: PLC0415 - a worker that serves needs none of it

    root(prog_name="bearer-guard")
