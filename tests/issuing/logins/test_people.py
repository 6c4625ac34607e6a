"""`_people`: people whom somebody else vouches for, beside native accounts."""

from __future__ import annotations

import pytest

from bearer_guard.errors import InvalidRequest, StoreUnavailable
from bearer_guard.issuing import Principal
from bearer_guard.issuing.accounts import Accounts
from bearer_guard.issuing.logins import Flags
from bearer_guard.issuing.logins._people import (
    DirectoryUnavailable,
    admitted,
    person_name,
    with_account,
)
from bearer_guard.stores.memory import MemoryStore
from tests.issuing.support import PASSWORD, cheap_passwords

ROOT = Principal("root", admin=True)


async def account(name: str = "alice", **more: object) -> MemoryStore:
    store = MemoryStore()
    accounts = Accounts(store, passwords=cheap_passwords(), listeners=())
    await accounts.add(ROOT, name, **more)  # type: ignore[arg-type]
    return store


async def test_a_person_is_what_the_directory_says() -> None:
    flags = Flags(admin=True, may_generate=True)
    expected = Principal("alice", admin=True, may_generate=True, proven_by="ldap")
    assert await admitted(None, "alice", flags, proven_by="ldap") == expected
    assert await admitted(MemoryStore(), "alice", flags, proven_by="ldap") == expected


async def test_a_disabled_person_is_not_admitted() -> None:
    assert await admitted(None, "alice", Flags(disabled=True), proven_by="ldap") is None


async def test_a_name_with_a_password_is_nobody_else_s() -> None:
    store = await account(password=PASSWORD, admin=True)
    assert await admitted(store, "alice", Flags(), proven_by="ldap") is None
    assert await with_account(store, "alice", Flags()) is None


async def test_an_account_without_a_password_adds_to_what_a_person_may_do() -> None:
    store = await account(may_generate=True)
    assert await with_account(store, "alice", Flags(admin=True)) == Flags(
        admin=True, may_generate=True
    )
    assert await with_account(store, "bob", Flags()) == Flags()


async def test_an_account_without_a_password_can_disable_a_person() -> None:
    store = await account(disabled=True)
    assert await admitted(store, "alice", Flags(), proven_by="ldap") is None


async def test_the_account_is_that_of_the_composed_name() -> None:
    store = await account("Zo\u00eb", may_generate=True)
    principal = await admitted(store, "Zoe\u0308", Flags(), proven_by="ldap")
    assert principal == Principal("Zo\u00eb", may_generate=True, proven_by="ldap")


@pytest.mark.parametrize("name", ["", "*", "me", " alice", "alice ", "a\nb", "x" * 257, "\ud800"])
async def test_a_name_that_no_owner_could_have_is_not_admitted(name: str) -> None:
    assert await admitted(None, name, Flags(), proven_by="ldap") is None
    with pytest.raises(InvalidRequest):
        person_name(name)


@pytest.mark.parametrize("name", ["alice", "a@b.example", "auth0|42", "urn:x:1", "CN=a, DC=b"])
def test_names_may_be_of_many_kinds(name: str) -> None:
    assert person_name(name) == name


def test_an_outage_is_answered_as_one_of_the_store() -> None:
    assert issubclass(DirectoryUnavailable, StoreUnavailable)
