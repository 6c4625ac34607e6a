"""Adds a new record, or leaves none behind.

When the store gives no answer to a write, nobody knows whether it took it. What may have been
added is then ended before the error goes on, so that no refused call leaves a token that works or
is listed. Where the store does not answer to that either, a row may be left behind whose value
nobody was ever given: it shows in the owner's list, and can be deleted there.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from bearer_guard.errors import DuplicateToken, InvalidRequest, StoreUnavailable
from bearer_guard.record import DIGEST_BYTES, TokenRecord

from .rules import (
    check_description,
    check_narrowing,
    check_networks,
    check_scopes,
    later_ms,
    whole_ms,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from datetime import timedelta

    from bearer_guard.keyring import Keyring
    from bearer_guard.store import Store
    from bearer_guard.token import TokenForm

    from .principal import Principal

__all__ = ["Draft", "Issued", "Mint", "length_ms"]

_TRIES: Final = 3  # ids are random: one that is taken, three times over, is a broken store
_BLANK: Final = bytes(DIGEST_BYTES)  # until the record is sealed


@dataclass(frozen=True, slots=True)
class Issued:
    """A creation's outcome: the only object that ever holds a token's text."""

    record: TokenRecord
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a principal wants a token to be; ``record`` checks it.

    Attributes:
        length_ms: Of its life, positive milliseconds; ``None``: it never expires.
    """

    length_ms: int | None
    description: str
    scopes: Iterable[str]
    networks: Iterable[str]

    def record(self, principal: Principal, now_ms: int) -> TokenRecord:
        """The record that comes of it, of a new line or of that of the principal's token.

        Raises:
            InvalidRequest: A field of the wrong form.
            NotAllowed: It is wider than the token that the principal has shown.
        """
        scopes, networks = check_scopes(self.scopes), check_networks(self.networks)
        check_narrowing(
            scopes=scopes,
            networks=networks,
            within_scopes=principal.scopes,
            within_networks=principal.networks,
        )
        parent, new = principal.token, uuid4()
        return TokenRecord(
            id=new,
            owner=principal.name,
            description=check_description(self.description),
            scopes=scopes,
            networks=networks,
            family=new if parent is None else parent.family,
            parent=None if parent is None else parent.id,
            binding=None,
            created_ms=now_ms,
            expires_ms=None if self.length_ms is None else later_ms(now_ms, self.length_ms),
            digest=_BLANK,
            seal=_BLANK,
            key_id="",
        )


class Mint:
    """Gives records their token, and adds them."""

    def __init__(self, store: Store, keyring: Keyring, form: TokenForm) -> None:
        self._store: Final = store
        self._keyring: Final = keyring
        self._form: Final = form
        self._keys_checked = False

    async def check_keys(self) -> None:
        """Make sure, once, that the store was made with one of the keys.

        Raises:
            KeyringError: It was made with others.
        """
        if not self._keys_checked:
            self._keyring.check(await self._store.remember_keys(self._keyring.ids))
            self._keys_checked = True

    async def add(self, record: TokenRecord) -> Issued:
        """Mint the token of ``record``, seal the record, and add it.

        Args:
            record: Its id is changed where it is taken.
        """
        await self.check_keys()
        for _ in range(_TRIES):
            value = self._form.mint(record.id, self._keyring.tag)
            record = self._keyring.seal(record, value.encode())
            try:
                async with self.undone_on_error(record):
                    await self._store.add(record)
            except DuplicateToken:  # somebody else's: it is left alone
                record = _with_another_id(record)
            else:
                return Issued(record, value)
        raise StoreUnavailable("the store calls every new id a duplicate")

    @asynccontextmanager
    async def undone_on_error(self, record: TokenRecord) -> AsyncIterator[None]:
        """End ``record`` where the block gets no answer from the store, or is cancelled."""
        try:
            yield
        except (StoreUnavailable, asyncio.CancelledError) as error:
            try:
                await self._store.end(record.id, record.created_ms)
            except StoreUnavailable as unanswered:
                raise error from unanswered
            raise


def length_ms(lifetime: timedelta | None) -> int | None:
    """The milliseconds of a lifetime.

    Raises:
        InvalidRequest: It is not positive.
    """
    if lifetime is None:
        return None
    length = whole_ms(lifetime)
    if length <= 0:
        raise InvalidRequest("the lifetime must be positive")
    return length


def _with_another_id(record: TokenRecord) -> TokenRecord:
    new = uuid4()
    return replace(record, id=new, family=new if record.family == record.id else record.family)
