"""The command in this process, in folders that are ready for it."""

import shutil
from pathlib import Path

import pytest

from tests.cli.support import Cli, bare_cli


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """In an empty folder."""
    return bare_cli(tmp_path, monkeypatch)


@pytest.fixture
def cli(bare: Cli, made: dict[str, Path]) -> Cli:
    """After ``init``."""
    shutil.copytree(made["cli"], bare.folder, dirs_exist_ok=True)
    return bare


@pytest.fixture
def alice(bare: Cli, made: dict[str, Path]) -> Cli:
    """After ``init``, with an account that may make tokens."""
    shutil.copytree(made["alice"], bare.folder, dirs_exist_ok=True)
    return bare


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders to copy: a password takes a while to be hashed."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as monkeypatch:
        cli = bare_cli(folder, monkeypatch)
        assert cli("init").exit_code == 0
        shutil.copytree(folder, folder / "cli")
        cli.add_user("alice", "--may-generate")
        shutil.copytree(folder, folder / "alice", ignore=shutil.ignore_patterns("cli"))
    return {name: folder / name for name in ("cli", "alice")}
