"""One fault in one store, and what a guard and an issuer see of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import groupby
from typing import Final, NamedTuple
from uuid import UUID

from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.errors import StoreUnavailable
from bearer_guard.keyring import Keyring
from bearer_guard.store import Store, open_store
from bearer_guard.stores.sql import SqlStore
from bearer_guard.testing import a_record, a_token
from bearer_guard.verdict import Accepted
from bearer_guard.verify import Verifier
from tests.stores.servers import Server
from tests.stores.sql_support import PATIENCE, until_it_answers
from tests.support import within

BOUND: Final = 1.0  # seconds, of the guards here
LIMIT: Final = 1.0  # seconds, for any answer, above all that there is none
RECOVERY: Final = 2.0  # seconds, until it serves again by itself
_TICK: Final = 0.1
_MARGIN: Final = 0.3  # seconds, of looking on after the bound
_PREPARING: Final = 10.0  # seconds: a busy machine is no fault
_KEYRING: Final = Keyring.generate()

Step = Callable[[], Awaitable[object]]


class Row(NamedTuple):
    """What was seen of one fault in one store."""

    fault: str
    store: str
    cold: str
    known: str
    ended: str
    written: str
    after: str


class Case(NamedTuple):
    """A fault.

    Attributes:
        fault: Its name.
        store: Whose; its name.
        url: Where the guard finds the store.
        begin: Makes the fault.
        stop: Heals it; the store can be reached again when it returns.
        deletes: Whether a token is deleted just before, or after, and no hint of that arrives.
        direct: Where the store is found past the fault, if it is on the way.
    """

    fault: str
    store: str
    url: str
    begin: Step
    stop: Step
    deletes: str = ""
    direct: str = ""


async def nothing() -> None:
    """It goes on as it is."""


def killed(name: str, url: str, server: Server) -> Case:
    begin, stop = partial(asyncio.to_thread, server.kill), partial(asyncio.to_thread, server.start)
    return Case("server killed, and started again", name, url, begin, stop)


class _Token(NamedTuple):
    text: str
    id: UUID


async def observe(case: Case, turn: asyncio.Lock) -> Row:
    """Break it, look, heal it, look again; one at a time until it breaks."""
    store, other = open_store(case.url), open_store(case.direct or case.url)
    if case.deletes:
        store.hints = lambda: None  # type: ignore[method-assign] # they would be quicker
    if isinstance(other, SqlStore):
        other._gateway.seconds = PATIENCE
    verifier = Verifier(store, _KEYRING, staleness=BOUND)
    async with turn:
        await until_it_answers(other.open, _PREPARING)
        known, ended, cold, later, first = [await _created(other) for _ in range(5)]
        await until_it_answers(verifier.open, _PREPARING)
        for token in (known, ended, first):
            await until_it_answers(partial(verifier.verify, token.text), _PREPARING)
    if case.deletes:
        await _delete(other, first)
        # Until it knows the latest revision.
        while await _ask(verifier, first) == "passes":  # noqa: ASYNC110 - a client asks
            await asyncio.sleep(_TICK)
    enough = asyncio.Event()
    watched = [known, ended] if case.deletes else [known]
    watching = [asyncio.create_task(_watch(verifier, token, enough)) for token in watched]
    if case.deletes == "before":
        await _delete(other, ended)
    await case.begin()
    if case.deletes == "after":
        await _delete(other, ended)
    broken = time.monotonic()
    at_first = await _ask(verifier, cold)
    await asyncio.sleep(max(0.0, broken + BOUND + _MARGIN - time.monotonic()))
    enough.set()
    seen = [_sentence(await watch, broken + BOUND) for watch in watching]
    written = await _write(store, cold)
    await case.stop()
    after = await _back(verifier, later, store)
    await verifier.close()
    await other.close()
    gone = seen[1].removeprefix("passes within the bound, then ") if case.deletes else ""
    return Row(case.fault, case.store, at_first, seen[0], gone, written, after)


async def _created(store: Store) -> _Token:
    record = a_record(created_ms=SYSTEM_CLOCK.now_ms(), expires_ms=None)
    text, record = a_token(_KEYRING, record)
    await store.add(record)
    return _Token(text, record.id)


async def _delete(store: Store, token: _Token) -> bool:
    return await store.end(token.id, SYSTEM_CLOCK.now_ms()) is not None


async def _ask(verifier: Verifier, token: _Token) -> str:
    try:
        with within(LIMIT):
            verdict = await verifier.verify(token.text)
    except StoreUnavailable:
        return "503"
    return "passes" if isinstance(verdict, Accepted) else "401"


async def _write(store: Store, token: _Token) -> str:
    """What an issuer is told who creates a token, and deletes one, through the same fault."""
    created, deleted = await _done(_created(store)), await _done(_delete(store, token))
    return created if created == deleted else f"creating: {created}; deleting: {deleted}"


async def _done(call: Awaitable[_Token | bool]) -> str:
    try:
        with within(LIMIT):
            return "done" if await call else "404"
    except StoreUnavailable:
        return "503"


async def _watch(
    verifier: Verifier, token: _Token, enough: asyncio.Event
) -> list[tuple[float, str]]:
    """When it was asked, and what was answered; once more when it is enough."""
    answers, last = list[tuple[float, str]](), False
    while not last:
        last = enough.is_set()
        asked = time.monotonic()
        answers.append((asked, await _ask(verifier, token)))
        await asyncio.sleep(_TICK)
    return answers


def _sentence(answers: Sequence[tuple[float, str]], end: float) -> str:
    """Each change of the answer; ``end``: the bound's."""
    changes = [said for said, _ in groupby(said for _, said in answers)]
    if changes == ["passes"]:
        return "passes"
    too_long = any(said == "passes" and asked >= end for asked, said in answers)
    when = "TOO LONG" if too_long else "within the bound"
    return ", then ".join(f"passes {when}" if said == "passes" else said for said in changes)


async def _back(verifier: Verifier, token: _Token, store: Store) -> str:
    """What is answered in the end, and whether that and a new token come in time."""
    try:
        async with asyncio.timeout(RECOVERY):
            while (said := await _ask(verifier, token)) == "503":  # noqa: ASYNC110 - as above
                await asyncio.sleep(_TICK)
            await until_it_answers(partial(_created, store), RECOVERY)
    except TimeoutError:
        return "503"
    return f"{said} within {RECOVERY:g} s"
