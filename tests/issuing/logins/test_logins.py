"""`logins`: from the limits to the audit, whatever proves the name."""

from __future__ import annotations

import asyncio

import pytest

from bearer_guard.errors import StoreUnavailable
from bearer_guard.issuing import Principal
from bearer_guard.issuing.logins import Denied, LogIns, No
from bearer_guard.issuing.rate import FailureLimits
from bearer_guard.testing import ManualClock
from tests.issuing.support import Told

HERE = "192.0.2.1"


class Book:
    """A method that knows some names and passwords."""

    def __init__(self, name: str, **passwords: str) -> None:
        self.name = name
        self.passwords = passwords
        self.told: list[tuple[str, str]] = []
        self.broken = False

    @property
    def asked(self) -> list[str]:
        return [name for name, _ in self.told]

    async def prove(self, name: str, password: str) -> Principal | No:
        self.told.append((name, password))
        await asyncio.sleep(0)
        if self.broken:
            raise StoreUnavailable("no answer")
        if name not in self.passwords:
            return No.STRANGER
        return Principal(name) if self.passwords[name] == password else No.WRONG


class Bench:
    def __init__(self, *methods: Book, **limits: int) -> None:
        clock = ManualClock()
        self.told = Told()
        self.log_ins = LogIns(
            methods,
            limits=FailureLimits(clock=clock, **limits),  # type: ignore[arg-type]
            clock=clock,
            listeners=[self.told],
        )

    async def __call__(self, name: str, password: str) -> Principal | Denied:
        return await self.log_ins.log_in(name, password, client=HERE)


async def test_the_first_that_knows_the_name_decides() -> None:
    native, ldap = Book("password", alice="one"), Book("ldap", alice="two", bob="three")
    log_in = Bench(native, ldap)
    assert await log_in("alice", "one") == Principal("alice")
    assert await log_in("alice", "two") == Denied()
    assert await log_in("bob", "three") == Principal("bob")
    assert await log_in("carol", "four") == Denied()
    assert native.asked == ["alice", "alice", "bob", "carol"]
    assert ldap.asked[1:] == ["bob", "carol"]


async def test_a_wrong_password_takes_as_many_questions_as_an_unknown_name() -> None:
    """The second method is asked about nobody, and learns neither the name nor the password."""
    native, ldap = Book("password", alice="one"), Book("ldap", alice="two")
    log_in = Bench(native, ldap)
    assert await log_in("alice", "wr\nong") == Denied()
    ((name, password),) = ldap.told
    assert len(name) == 32
    assert password == "xx\nxxx"
    assert await log_in("alice", "one") == Principal("alice")
    assert len(ldap.told) == 1


async def test_an_outage_behind_a_wrong_password_is_none_of_its() -> None:
    native, ldap = Book("password", alice="one"), Book("ldap")
    ldap.broken = True
    log_in = Bench(native, ldap, per_account=1)
    assert await log_in("alice", "two") == Denied()
    assert isinstance(await log_in("alice", "two"), Denied)
    assert len(native.asked) == 1, "the first failure has to count"


async def test_a_stranger_and_a_wrong_password_are_told_the_same() -> None:
    log_in = Bench(Book("password", alice="one"))
    assert await log_in("alice", "x") == await log_in("nobody", "x") == Denied(retry_after=None)


async def test_where_there_is_no_way_to_log_in_nobody_does() -> None:
    assert await Bench()("alice", "one") == Denied()


async def test_the_right_password_has_to_wait_too_and_is_not_looked_at() -> None:
    book = Book("password", alice="one", bob="two")
    log_in = Bench(book)
    for _ in range(10):
        assert await log_in("alice", "x") == Denied()
    denied = await log_in("alice", "one")
    assert isinstance(denied, Denied)
    assert denied.retry_after is not None
    assert 0 < denied.retry_after <= 60
    assert len(book.asked) == 10
    assert await log_in("bob", "two") == Principal("bob")


async def test_names_that_nobody_has_are_limited_alike() -> None:
    log_in = Bench(Book("password"))
    for _ in range(10):
        await log_in("nobody", "x")
    denied = await log_in("nobody", "x")
    assert isinstance(denied, Denied)
    assert denied.retry_after


async def test_successes_are_not_counted() -> None:
    log_in = Bench(Book("password", alice="one"))
    answers = await asyncio.gather(*(log_in("alice", "one") for _ in range(200)))
    assert set(map(type, answers)) == {Principal}


async def test_a_burst_gets_no_more_guesses() -> None:
    book = Book("password", alice="one")
    log_in = Bench(book)
    await asyncio.gather(*(log_in("alice", str(guess)) for guess in range(100)))
    assert len(book.asked) == 10


async def test_no_answer_is_neither_a_failure_nor_a_success() -> None:
    book = Book("password", alice="one")
    log_in = Bench(book)
    book.broken = True
    for _ in range(11):
        with pytest.raises(StoreUnavailable):
            await log_in("alice", "one")
    book.broken = False
    assert await log_in("alice", "one") == Principal("alice")
    assert log_in.told.names() == ["login.succeeded"]


async def test_the_audit_is_told_who_how_and_from_where_and_never_the_password() -> None:
    log_in = Bench(Book("password", alice="one"), per_account=1)
    await log_in("alice", "one")
    await log_in("alice", "s3cret")
    await log_in("alice", "one")
    await log_in("x" * 9999, "s3cret")
    fields = [event.fields() for event in log_in.told.events]
    assert [(f["event"], f["account"], f["client"], f.get("limited")) for f in fields] == [
        ("login.succeeded", "alice", HERE, None),
        ("login.failed", "alice", HERE, False),
        ("login.failed", "alice", HERE, True),
        ("login.failed", "x" * 256, HERE, False),
    ]
    assert "s3cret" not in repr(fields)


async def test_a_client_that_goes_away_leaves_nothing_behind() -> None:
    log_in = Bench(Book("password", alice="one"))
    task = asyncio.create_task(log_in("alice", "one"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await log_in("alice", "one") == Principal("alice")
    assert len(asyncio.all_tasks()) == 1
