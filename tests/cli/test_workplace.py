"""`_workplace`: which store, whose keys, and the file that they are in."""

import asyncio
import os
import stat
from pathlib import Path

import pytest

from bearer_guard import ConfigurationError, Keyring, KeyringError, StoreUnavailable
from bearer_guard.cli._workplace import (
    NoDatabase,
    Place,
    beside,
    is_exposed,
    make_keys_file,
    operator,
    rotate_keys_file,
)
from bearer_guard.issuing.accounts import check_account_name


def place(folder: Path, **fields: object) -> Place:
    given = {"store_url": f"sqlite:///{folder}/tokens.db", "keys_file": folder / "keys", **fields}
    return Place(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///tokens.db", "bearer-guard.keys"),
        ("sqlite:///data/tokens.db", "data/bearer-guard.keys"),
        ("sqlite:////var/lib/bg/tokens.db", "/var/lib/bg/bearer-guard.keys"),
        ("sqlite:///my%20data/tokens.db", "my data/bearer-guard.keys"),
        ("postgresql://host/base", "bearer-guard.keys"),
        ("memory://", "bearer-guard.keys"),
    ],
)
def test_the_key_file_is_beside_the_database(url: str, path: str) -> None:
    assert beside(url) == Path(path)


def test_a_key_file_is_made_for_its_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert make_keys_file(tmp_path / "keys")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o600
    assert len(Keyring.from_file(tmp_path / "keys").ids) == 1


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("mine")
    assert not make_keys_file(tmp_path / "keys")
    assert (tmp_path / "keys").read_text() == "mine"


def test_a_key_file_is_not_written_through_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "keys").symlink_to(tmp_path / "elsewhere")
    assert not make_keys_file(tmp_path / "keys")
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file or directory"):
        make_keys_file(tmp_path / "nosuch" / "keys")


def test_a_rotation_puts_a_new_key_first_and_keeps_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    old, older = Keyring.new_key(), Keyring.new_key()
    file.write_text(f"# ours\n\n{old}  # since May\n{older}\n")
    before = Keyring.from_file(file).ids
    after = rotate_keys_file(file).ids
    assert after[1:] == before
    lines = file.read_text().splitlines()
    assert (lines[:2], lines[3:]) == (["# ours", ""], [f"{old}  # since May", older])
    assert Keyring.from_text(lines[2]).ids == after[:1]


def test_a_rotated_file_is_another_one_of_the_same_owner(tmp_path: Path) -> None:
    """Whoever has the old one open goes on reading the old one, whole."""
    file = tmp_path / "keys"
    make_keys_file(file)
    file.chmod(0o644)
    if os.geteuid() == 0:
        os.chown(file, 1, 1)
    owner = file.stat().st_uid
    text = file.read_text()
    with file.open() as reader:
        rotate_keys_file(file)
        assert reader.read() == text
    assert (file.stat().st_uid, stat.S_IMODE(file.stat().st_mode)) == (owner, 0o600)
    assert list(tmp_path.iterdir()) == [file]


def test_a_rotation_through_a_link_replaces_the_file_itself(tmp_path: Path) -> None:
    make_keys_file(tmp_path / "real")
    (tmp_path / "keys").symlink_to("real")
    rotate_keys_file(tmp_path / "keys")
    assert (tmp_path / "keys").is_symlink()
    assert len(Keyring.from_file(tmp_path / "real").ids) == 2


def test_a_file_that_holds_no_keys_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("# nothing yet\n")
    with pytest.raises(KeyringError):
        rotate_keys_file(tmp_path / "keys")
    assert (tmp_path / "keys").read_text() == "# nothing yet\n"


def test_a_file_is_exposed_when_others_can_read_it(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.touch()
    exposed = {}
    for mode in (0o600, 0o640, 0o604, 0o622):
        file.chmod(mode)
        exposed[mode] = is_exposed(file)
    assert exposed == {0o600: False, 0o640: True, 0o604: True, 0o622: False}


def test_without_keys_the_error_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(KeyringError, match="`bearer-guard init` makes it"):
        place(tmp_path).keyring()


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    async def visit() -> None:
        async with place(tmp_path, keys_text=Keyring.new_key()).open():
            pass

    with pytest.raises(NoDatabase):
        asyncio.run(visit())
    assert list(tmp_path.iterdir()) == []


async def test_the_keys_must_be_those_of_the_store(tmp_path: Path) -> None:
    async with place(tmp_path, keys_text=Keyring.new_key()).open(new=True) as at:
        store = at.store
    with pytest.raises(KeyringError, match=r"not the keys of this store.* BEARER_GUARD_KEYS has"):
        async with place(tmp_path, keys_text=Keyring.new_key()).open():
            pass
    with pytest.raises(StoreUnavailable):
        await store.policy()  # it was closed


def test_a_place_shows_neither_keys_nor_passwords(tmp_path: Path) -> None:
    key = Keyring.new_key()
    text = repr(place(tmp_path, keys_text=key, store_url="redis://:hunter2@host"))
    assert key not in text
    assert "hunter2" not in text


def test_no_account_can_be_called_like_the_operator() -> None:
    with pytest.raises(Exception, match="no colon"):
        check_account_name(operator().name)
