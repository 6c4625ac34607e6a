"""The Python blocks of the documents run, each document in a process and a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from bearer_guard import Keyring
from bearer_guard.keyring import ENV_KEYS

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = ["README", "integrations", "oauth", "observability", "page", "secret-scanning"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_example_runs(name: str, tmp_path: Path) -> None:
    path = ROOT / "README.md" if name == "README" else ROOT / "docs" / f"{name}.md"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.docs.run_examples", path],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), ENV_KEYS: Keyring.new_key()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    blocks = path.read_text().count("code-block: python") + path.read_text().count("```python")
    assert done.stdout == f"{blocks} blocks\n"
