"""Hands a new token's value from the form that made it to the page that shows it: once.

The store never has the value, not for a moment, in a form that it could be read from: it lies there
under a key that is made of a keyring's subkey *and* of the form's own random number, which only the
browser keeps. A form that is sent twice makes one token, and both answers lead to its value.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bearer_guard.issuing.sessions import LONGEST
from bearer_guard.store import Note

if TYPE_CHECKING:
    from bearer_guard.clock import Clock
    from bearer_guard.issuing import Issued
    from bearer_guard.keyring import Keyring
    from bearer_guard.store import NoteStore

__all__ = ["SHOWN_SECONDS", "Once", "Shown"]

SHOWN_SECONDS: Final = 300  # from being made to being shown: a redirect takes less than one
_PENDING_MS: Final = 10_000  # a token is made in less, or not at all
_CLAIMED_MS: Final = 2 * int(LONGEST.total_seconds()) * 1000  # longer than any form is taken
_IV_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class Shown:
    """A new token, to be shown now."""

    token_id: UUID
    value: str = field(repr=False)


class Once:
    """Which forms have made a token, and the values that wait to be shown.

    Args:
        notes: Where they are kept, so that any process may answer next.
        keyring: Whose subkeys hide the values.
        clock: Time.
    """

    def __init__(self, notes: NoteStore, keyring: Keyring, clock: Clock) -> None:
        self._notes: Final = notes
        self._subkeys: Final = keyring.subkeys("show once")
        self._clock: Final = clock

    async def claim(self, nonce: str, owner: str) -> bool:
        """Make this form ours to act on; ``False``: somebody has.

        Args:
            nonce: The form's random number.
            owner: Who sent it.
        """
        now_ms = self._clock.now_ms()
        note = Note(owner=owner, value=str(now_ms), expires_ms=now_ms + _CLAIMED_MS)
        return await self._notes.add_note(_claim(nonce), note, now_ms)

    async def release(self, nonce: str) -> None:
        """Nothing came of the form: it may be sent again."""
        await self._notes.drop_note(_claim(nonce))

    async def put(self, nonce: str, issued: Issued) -> None:
        """Keep what the form made until it is shown."""
        now_ms, owner = self._clock.now_ms(), issued.record.owner
        text = json.dumps([str(issued.record.id), issued.value]).encode()
        iv = secrets.token_bytes(_IV_BYTES)
        hidden = iv + AESGCM(_key(self._subkeys[0], nonce)).encrypt(iv, text, owner.encode())
        note = Note(owner=owner, value=hidden.hex(), expires_ms=now_ms + SHOWN_SECONDS * 1000)
        await self._notes.add_note(_value(nonce), note, now_ms)

    async def take(self, nonce: str, owner: str) -> Shown | None:
        """What the form made, the first time; ``None`` ever after."""
        note = await self._notes.note(_value(nonce), self._clock.now_ms())
        if note is None or note.owner != owner or not await self._notes.drop_note(_value(nonce)):
            return None
        hidden = bytes.fromhex(note.value)
        for subkey in self._subkeys:
            try:
                text = AESGCM(_key(subkey, nonce)).decrypt(
                    hidden[:_IV_BYTES], hidden[_IV_BYTES:], owner.encode()
                )
            except InvalidTag:
                continue
            token_id, value = json.loads(text)
            return Shown(UUID(token_id), value)
        return None

    async def pending(self, nonce: str) -> bool:
        """Whether the form's token is being made at this moment, by another process perhaps."""
        now_ms = self._clock.now_ms()
        note = await self._notes.note(_claim(nonce), now_ms)
        return note is not None and 0 <= now_ms - int(note.value) < _PENDING_MS


def _key(subkey: bytes, nonce: str) -> bytes:
    return hmac.digest(subkey, nonce.encode(), "sha256")


def _claim(nonce: str) -> str:
    return f"made {_digest(nonce)}"


def _value(nonce: str) -> str:
    return f"shown {_digest(nonce)}"


def _digest(nonce: str) -> str:
    return hashlib.sha256(nonce.encode()).hexdigest()
