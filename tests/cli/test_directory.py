"""`directory`: a sweep of the directory, on slapd."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from bearer_guard.cli._workplace import Place
from bearer_guard.issuing import Principal
from bearer_guard.issuing.sweep import remember_person
from bearer_guard.stores.sqlite import SqliteStore
from tests.cli.support import COMMAND, ROOT, Cli, comes_true
from tests.issuing.logins.certificates import Authority
from tests.issuing.logins.conftest import authority, directory
from tests.issuing.logins.slapd import PEOPLE, READER_DN, READER_PASSWORD, Slapd
from tests.support import free_port, running

__all__ = ["authority", "directory"]  # fixtures


def write_settings(folder: Path, url: str, authority: Authority, *, reader: bool = True) -> None:
    (folder / "reader").write_text(READER_PASSWORD)
    asks = f"bind_dn = '{READER_DN}'\nbind_password_file = 'reader'\n" if reader else ""
    (folder / "bearer-guard.toml").write_text(
        f"[logins.ldap]\nurl = '{url}'\nca_file = '{authority.ca_file}'\n"
        f"user_dn = 'uid={{username}},{PEOPLE}'\n{asks}"
    )


@pytest.fixture
def swept(alice: Cli, directory: Slapd) -> Cli:
    """The command, with a directory, beside the native account alice."""
    write_settings(alice.folder, directory.tls_url, directory.authority)
    return alice


def make_tokens(*known: str, strangers: tuple[str, ...] = ()) -> None:
    """A token for alice and each of these; the directory has once known all but the strangers."""

    async def make() -> None:
        place = Place(store_url="sqlite:///bearer-guard.db", keys_file=Path("bearer-guard.keys"))
        async with place.open() as at:
            assert isinstance(at.store, SqliteStore)
            for owner in ("alice", *known, *strangers):
                principal = Principal(owner, may_generate=True)
                await at.issuer().create(principal, lifetime=timedelta(days=1))
            for owner in known:
                await remember_person(at.store, owner, 0)

    asyncio.run(make())


def owners(cli: Cli) -> set[str]:
    return {row["owner"] for row in cli.json("token", "list")["data"]}


def test_the_tokens_of_those_who_have_left_end(swept: Cli) -> None:
    make_tokens("bob", "carol", "leaver", strangers=("zoe",))
    said = {
        "owners": 4,  # alice has a password here
        "gone": ["leaver"],
        "disabled": ["carol"],
        "strangers": ["zoe"],
        "tokens": 2,
        "done": False,
        "tooMany": False,
    }
    assert swept.json("directory", "sweep", "--dry-run") == said
    assert owners(swept) == {"alice", "bob", "carol", "leaver", "zoe"}

    result = swept("directory", "sweep")
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.strip().splitlines()][-2:] == [
        ["leaver", "gone"],
        ["carol", "disabled"],
    ]
    assert result.stderr == (
        "Ended 2 tokens of 2 who have left. Asked about 4 owners; 1 the directory never knew.\n"
    )
    assert owners(swept) == {"alice", "bob", "zoe"}


def test_nobody_has_left(swept: Cli) -> None:
    make_tokens("bob")
    result = swept("directory", "sweep", "--dry-run")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == (
        "Would end 0 tokens of 0 who have left. Asked about 1 owner; 0 the directory never knew.\n"
    )


def test_so_many_at_once_need_force(swept: Cli) -> None:
    left = [f"left{n}" for n in range(11)]
    make_tokens("bob", *left)
    assert swept("directory", "sweep", "--dry-run").exit_code == 0
    result = swept("directory", "sweep")
    assert result.exit_code == 1
    assert "nothing is ended: 11 of 12 owners" in result.stderr
    assert len(owners(swept)) == 13
    assert swept.json("directory", "sweep", "--force")["done"] is True
    assert owners(swept) == {"alice", "bob"}


def test_a_directory_that_does_not_answer_ends_nothing(swept: Cli, authority: Authority) -> None:
    make_tokens("leaver")
    write_settings(swept.folder, f"ldaps://127.0.0.1:{free_port()}", authority)
    for flags in ((), ("--force",), ("--dry-run",)):
        result = swept("directory", "sweep", *flags)
        assert result.exit_code == 3
        assert "nothing is ended: try again later" in result.stderr
    assert owners(swept) == {"alice", "leaver"}


def test_without_a_directory_to_ask_it_is_a_configuration_error(
    swept: Cli, directory: Slapd
) -> None:
    write_settings(swept.folder, directory.tls_url, directory.authority, reader=False)
    result = swept("directory", "sweep")
    assert result.exit_code == 2
    assert "needs bind_dn" in result.stderr
    (swept.folder / "bearer-guard.toml").unlink()
    result = swept("directory", "sweep")
    assert result.exit_code == 2
    assert "no [logins.ldap]" in result.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--every", "1"),
        ("--every", "0m"),
        ("--every", "1s"),
        ("--every", "1h", "--force"),
        ("--every", "1h", "--dry-run"),
        ("--every", "1h", "--json"),
    ],
)
def test_how_often_that_cannot_be_is_a_usage_error(options: tuple[str, ...], bare: Cli) -> None:
    assert bare("directory", "sweep", *options).exit_code == 2


def test_it_sweeps_at_once_and_goes_on_until_it_is_stopped(swept: Cli) -> None:
    make_tokens("bob", "leaver")
    command = [*COMMAND, "directory", "sweep", "--every", "1h"]
    env = {"PYTHONPATH": str(ROOT)}
    with running(command, ready=lambda: True, env=env, cwd=swept.folder) as child:
        assert comes_true(lambda: '"tokens.ended"' in child.log(), 20), child.log()
        assert '"owner": "leaver"' in child.log()
        assert child.process.poll() is None
    assert owners(swept) == {"alice", "bob"}
