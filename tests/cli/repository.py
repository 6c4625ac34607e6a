"""A git repository to fill."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from tests.support import require

if TYPE_CHECKING:
    from pathlib import Path

WHO = {
    **{f"GIT_{who}_NAME": "alice" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "alice@example.com" for who in ("AUTHOR", "COMMITTER")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


class Repository:
    """A new one, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        command = [require("git", "git"), "-C", str(self.folder), *arguments]
        done = subprocess.run(
            command, input=stdin, env={**os.environ, **WHO}, check=True, capture_output=True
        )
        return done.stdout.decode().strip()

    def commit(self, message: str, **files: str) -> str:
        """Put these texts into files, and everything into a commit; its name."""
        for name, text in files.items():
            (self.folder / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")
