"""Sessions: who is logged in to the page, and until when."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bearer_guard.errors import NotAllowed
from bearer_guard.issuing import Issuer, Principal
from bearer_guard.issuing.accounts import Accounts
from bearer_guard.issuing.logins import Flags
from bearer_guard.issuing.sessions import Session, Sessions, dated_serializer
from bearer_guard.keyring import Keyring
from bearer_guard.store import AccountChange, Note
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.testing import ManualClock
from tests.issuing.support import PASSWORD, cheap_passwords

if TYPE_CHECKING:
    from bearer_guard.issuing.logins import Directory

ROOT = Principal("root", admin=True)
ALICE = Principal("alice", proven_by="password")
MASTERS = [bytes([number]) * 32 for number in range(3)]


class People:
    """A directory whose word can be changed."""

    def __init__(self, known: Flags | None) -> None:
        self.known = known

    async def flags(self, owner: str) -> Flags | None:
        del owner
        return self.known


class Place:
    """Sessions over a store with an account ``alice``."""

    def __init__(self, keyring: Keyring | None = None) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.keyring = keyring or Keyring.generate()
        self.accounts = Accounts(
            self.store, passwords=cheap_passwords(), clock=self.clock, listeners=()
        )
        self.sessions = self.over(self.keyring)

    def over(self, keyring: Keyring, **people: Directory) -> Sessions:
        return Sessions(self.store, keyring, accounts=self.store, people=people, clock=self.clock)

    async def begin(self, principal: Principal = ALICE, **people: Directory) -> str:
        return cookie_of(await self.over(self.keyring, **people).begin(principal))

    async def find(self, cookie: str, **people: Directory) -> Session | None:
        return await self.over(self.keyring, **people).find(cookie)


def cookie_of(session: Session | None) -> str:
    assert session is not None
    assert session.cookie is not None
    return session.cookie


@pytest.fixture
async def place() -> Place:
    place = Place()
    await place.accounts.add(ROOT, "alice", password=PASSWORD)
    return place


async def test_who_has_logged_in_is_found_by_the_cookie(place: Place) -> None:
    found = await place.find(await place.begin())
    assert found is not None
    assert found.principal == Principal("alice", proven_by="password")


async def test_each_log_in_has_a_new_id(place: Place) -> None:
    first, second = await place.sessions.begin(ALICE), await place.sessions.begin(ALICE)
    assert first.id != second.id
    assert first.cookie != second.cookie


async def test_a_token_begins_no_session(place: Place) -> None:
    record = (await Issuer(place.store, place.keyring).create(ROOT, lifetime=timedelta(1))).record
    with pytest.raises(NotAllowed):
        await place.sessions.begin(Principal("root", proven_by="token", token=record))


async def test_a_session_that_was_ended_is_over(place: Place) -> None:
    session = await place.sessions.begin(ALICE)
    await place.sessions.end(session.id)
    await place.sessions.end(session.id)
    assert await place.find(cookie_of(session)) is None


async def test_an_altered_cookie_is_none(place: Place) -> None:
    cookie = await place.begin()
    for at in range(0, len(cookie) - 1, 7):  # of the last one some bits stand for nothing
        other = "A" if cookie[at] != "A" else "B"
        assert await place.find(cookie[:at] + other + cookie[at + 1 :]) is None


@pytest.mark.parametrize("cookie", ["", ".", "..", "a.b.c", "\x00", "é", "A" * 5000])
async def test_what_is_no_cookie_of_ours_is_none(place: Place, cookie: str) -> None:
    assert await place.find(cookie) is None


async def test_the_key_of_another_workspace_signs_no_cookie(place: Place) -> None:
    cookie = cookie_of(await place.over(Keyring.generate()).begin(ALICE))
    assert await place.find(cookie) is None


async def test_the_cookie_of_another_purpose_is_none(place: Place) -> None:
    ticket = dated_serializer(place.keyring, "session", place.clock).loads(await place.begin())
    other = dated_serializer(place.keyring, "csrf", place.clock).dumps(ticket)
    assert await place.find(other) is None


async def test_a_cookie_of_another_version_is_none(place: Place) -> None:
    serializer = dated_serializer(place.keyring, "session", place.clock)
    for said in (["only", "two"], 1, "text", None, {}):
        assert await place.find(serializer.dumps(said)) is None


async def test_keys_are_rotated_without_logging_anybody_out() -> None:
    place = Place(Keyring(MASTERS[:1]))
    cookie = await place.begin()
    assert await place.over(Keyring([MASTERS[1], MASTERS[0]])).find(cookie) is not None
    assert await place.over(Keyring(MASTERS[1:])).find(cookie) is None


async def test_the_newest_key_signs() -> None:
    place = Place()
    cookie = cookie_of(await place.over(Keyring(MASTERS[:2])).begin(ALICE))
    assert await place.over(Keyring(MASTERS[:1])).find(cookie) is not None
    assert await place.over(Keyring(MASTERS[1:2])).find(cookie) is None


async def test_it_is_over_after_half_an_hour_without_a_request(place: Place) -> None:
    cookie = await place.begin()
    place.clock.advance(30 * 60 - 1)
    assert await place.find(cookie) is not None
    place.clock.advance(1)
    assert await place.find(cookie) is None


async def test_each_request_gives_half_an_hour_more_up_to_twelve_hours(place: Place) -> None:
    cookie = await place.begin()
    for _ in range(35):
        place.clock.advance(20 * 60)
        cookie = cookie_of(await place.find(cookie))
    place.clock.advance(20 * 60 - 1)
    cookie = cookie_of(await place.find(cookie))
    place.clock.advance(1)
    assert await place.find(cookie) is None


async def test_a_note_that_outlives_the_twelve_hours_does_not_lengthen_them(place: Place) -> None:
    cookie = await place.begin()
    for key, note in place.store._notes.items():
        place.store._notes[key] = Note(owner=note.owner, value="", expires_ms=1 << 60)
    for _ in range(36):
        place.clock.advance(20 * 60)
        found = await place.find(cookie)
        cookie = found.cookie or "" if found else cookie
    assert await place.find(cookie) is None


async def test_a_young_cookie_is_not_dated_anew(place: Place) -> None:
    cookie = await place.begin()
    place.clock.advance(60)
    found = await place.find(cookie)
    assert found is not None
    assert found.cookie is None
    place.clock.advance(1)
    assert cookie_of(await place.find(cookie)) != cookie


async def test_a_cookie_dated_anew_is_the_same_session(place: Place) -> None:
    first = await place.sessions.begin(ALICE)
    place.clock.advance(600)
    second = await place.find(cookie_of(first))
    assert second is not None
    assert second.id == first.id
    await place.sessions.end(first.id)
    assert await place.find(cookie_of(second)) is None


async def test_clocks_of_two_servers_may_differ_by_a_minute(place: Place) -> None:
    cookie = await place.begin()
    place.clock.step_wall(-60_000)
    assert await place.find(cookie) is not None
    place.clock.step_wall(-1_000)
    assert await place.find(cookie) is None


async def test_a_new_password_ends_it(place: Place) -> None:
    cookie = await place.begin()
    place.clock.advance(1)
    await place.accounts.change(ROOT, "alice", password="another long password")
    assert await place.find(cookie) is None
    assert place.store._notes == {}


async def test_one_begun_with_the_new_password_is_on(place: Place) -> None:
    place.clock.advance(1)
    await place.accounts.change(ROOT, "alice", password="another long password")
    assert await place.find(await place.begin()) is not None


async def test_a_disabled_account_ends_it_for_good(place: Place) -> None:
    cookie = await place.begin()
    await place.accounts.change(ROOT, "alice", disabled=True)
    assert await place.find(cookie) is None
    await place.accounts.change(ROOT, "alice", disabled=False)
    assert await place.find(cookie) is None


async def test_an_account_that_is_gone_ends_it(place: Place) -> None:
    cookie = await place.begin()
    del place.store._accounts["alice"]
    assert await place.find(cookie) is None


@pytest.mark.parametrize("flag", ["admin", "may_generate"])
async def test_what_somebody_may_do_is_found_out_each_time(place: Place, flag: str) -> None:
    cookie = await place.begin()
    for on in (True, False):
        await place.store.change_account("alice", AccountChange(**{flag: on}))  # type: ignore[arg-type]
        found = await place.find(cookie)
        assert found is not None
        assert getattr(found.principal, flag) is on


async def test_what_the_log_in_said_counts_where_nobody_can_be_asked(place: Place) -> None:
    who = Principal("zoe", admin=True, may_generate=True, proven_by="saml")
    found = await place.find(await place.begin(who))
    assert found is not None
    assert found.principal == who


async def test_the_directory_is_asked_each_time(place: Place) -> None:
    directory = People(Flags(admin=True))
    cookie = await place.begin(Principal("zoe", admin=True, proven_by="ldap"))
    directory.known = Flags(may_generate=True)
    found = await place.find(cookie, ldap=directory)
    assert found is not None
    assert found.principal == Principal("zoe", may_generate=True, proven_by="ldap")


@pytest.mark.parametrize("word", [None, Flags(disabled=True)])
async def test_whom_the_directory_does_not_know_any_more_is_out(
    place: Place, word: Flags | None
) -> None:
    cookie = await place.begin(Principal("zoe", proven_by="ldap"))
    assert await place.find(cookie, ldap=People(word)) is None
    assert await place.find(cookie, ldap=People(Flags())) is None


async def test_an_account_without_a_password_adds_to_what_the_log_in_said(place: Place) -> None:
    cookie = await place.begin(Principal("zoe", proven_by="saml"))
    await place.accounts.add(ROOT, "zoe", may_generate=True)
    found = await place.find(cookie)
    assert found is not None
    assert found.principal.may_generate
    await place.accounts.change(ROOT, "zoe", disabled=True)
    assert await place.find(cookie) is None


async def test_a_name_that_became_a_native_account_is_somebody_else(place: Place) -> None:
    cookie = await place.begin(Principal("zoe", admin=True, proven_by="saml"))
    await place.accounts.add(ROOT, "zoe", password=PASSWORD)
    assert await place.find(cookie) is None


async def test_sessions_work_without_native_accounts() -> None:
    place = Place()
    sessions = Sessions(place.store, place.keyring, clock=place.clock)
    found = await sessions.find(cookie_of(await sessions.begin(ALICE)))
    assert found is not None
    assert found.principal == ALICE


async def test_who_writes_to_the_store_can_give_a_session_to_nobody_else(place: Place) -> None:
    await place.accounts.add(ROOT, "root", password=PASSWORD, admin=True)
    cookie = await place.begin()
    for key, note in place.store._notes.items():
        place.store._notes[key] = Note(owner="root", value=note.value, expires_ms=note.expires_ms)
    assert await place.find(cookie) is None


async def test_the_store_learns_no_id_and_the_cookie_no_name(place: Place) -> None:
    session = await place.sessions.begin(ALICE)
    kept = repr(place.store._notes)
    assert session.id not in kept
    said: Any = dated_serializer(place.keyring, "session", place.clock).loads(cookie_of(session))
    assert "alice" not in repr(said)


async def test_a_name_of_any_length_fits(place: Place) -> None:
    name = "".join(chr(0x1F600 + at % 60) for at in range(256))
    cookie = await place.begin(Principal(name, proven_by="saml"))
    assert len(cookie) < 1000
    found = await place.find(cookie)
    assert found is not None
    assert found.principal.name == name


async def test_no_repr_has_a_secret(place: Place) -> None:
    session = await place.sessions.begin(ALICE)
    assert session.id not in repr(session)
    assert cookie_of(session) not in repr(session)
