"""A new token's value is handed on once, and the store never has it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bearer_guard.endpoints._page_once import Once, Shown
from bearer_guard.issuing import Issued, Issuer, Principal
from bearer_guard.keyring import Keyring
from bearer_guard.store import Note
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.testing import ManualClock

MASTERS = [bytes([number]) * 32 for number in range(2)]
ALICE = Principal("alice", admin=True)


class Place:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.once = self.over(Keyring(MASTERS[:1]))

    def over(self, keyring: Keyring) -> Once:
        return Once(self.store, keyring, self.clock)

    async def issue(self) -> Issued:
        issuer = Issuer(self.store, Keyring(MASTERS[:1]), clock=self.clock, listeners=())
        return await issuer.create(ALICE, lifetime=timedelta(days=1))


@pytest.fixture
def place() -> Place:
    return Place()


async def test_what_was_put_is_taken_once(place: Place) -> None:
    issued = await place.issue()
    await place.once.put("nonce", issued)
    assert await place.once.take("nonce", "alice") == Shown(issued.record.id, issued.value)
    assert await place.once.take("nonce", "alice") is None


async def test_nobody_else_takes_it(place: Place) -> None:
    await place.once.put("nonce", await place.issue())
    assert await place.once.take("another", "alice") is None
    assert await place.once.take("nonce", "bob") is None
    assert await place.once.take("nonce", "alice") is not None


async def test_it_waits_five_minutes(place: Place) -> None:
    await place.once.put("nonce", await place.issue())
    place.clock.advance(300)
    assert await place.once.take("nonce", "alice") is None


async def test_the_store_has_neither_the_value_nor_what_opens_it(place: Place) -> None:
    issued = await place.issue()
    await place.once.claim("nonce", "alice")
    await place.once.put("nonce", issued)
    kept = repr(place.store._notes)
    assert issued.value not in kept
    assert issued.value.encode().hex() not in kept
    assert "nonce" not in kept


async def test_an_altered_note_opens_to_nothing(place: Place) -> None:
    await place.once.put("nonce", await place.issue())
    ((key, note),) = place.store._notes.items()
    altered = note.value[:-2] + ("00" if note.value[-2:] != "00" else "11")
    place.store._notes[key] = Note(owner="alice", value=altered, expires_ms=note.expires_ms)
    assert await place.once.take("nonce", "alice") is None


async def test_a_note_that_was_moved_to_another_form_opens_to_nothing(place: Place) -> None:
    await place.once.put("theirs", await place.issue())
    ((key, note),) = place.store._notes.items()
    await place.once.put("mine", await place.issue())
    mine = next(other for other in place.store._notes if other != key)
    place.store._notes[mine] = note
    assert await place.once.take("mine", "alice") is None


async def test_a_new_key_hides_no_value_that_waits(place: Place) -> None:
    await place.once.put("nonce", await place.issue())
    rotated = place.over(Keyring(MASTERS[::-1]))
    assert await rotated.take("nonce", "alice") is not None


async def test_a_form_is_claimed_once(place: Place) -> None:
    assert await place.once.claim("nonce", "alice")
    assert not await place.once.claim("nonce", "alice")
    assert await place.once.claim("another", "alice")


async def test_it_stays_claimed_for_as_long_as_it_is_taken(place: Place) -> None:
    await place.once.claim("nonce", "alice")
    place.clock.advance(13 * 3600)
    assert not await place.once.claim("nonce", "alice")


async def test_a_form_that_nothing_came_of_may_be_sent_again(place: Place) -> None:
    await place.once.claim("nonce", "alice")
    await place.once.release("nonce")
    assert await place.once.claim("nonce", "alice")


async def test_it_is_pending_for_ten_seconds(place: Place) -> None:
    assert not await place.once.pending("nonce")
    await place.once.claim("nonce", "alice")
    assert await place.once.pending("nonce")
    place.clock.advance(10)
    assert not await place.once.pending("nonce")


def test_no_repr_has_the_value() -> None:
    assert "secret" not in repr(Shown(Principal, "secret"))  # type: ignore[arg-type]
