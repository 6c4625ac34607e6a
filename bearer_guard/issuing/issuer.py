"""Makes tokens, shows them to their owners, and ends them.

The owner of what is made is the principal, full stop: no argument names another. Values are shown
once, in ``Issued``, and are kept nowhere. Records that no key vouches for are nobody's: they are in
no list, and are not found.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypedDict
from uuid import UUID

from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.errors import (
    ConfigurationError,
    FeatureOff,
    InvalidRequest,
    NotAllowed,
    NotFound,
)
from bearer_guard.events import (
    SettingsChanged,
    TokenCreated,
    TokenEnded,
    TokensEnded,
    emit,
    log_event,
)
from bearer_guard.record import EndReason, TokenRecord
from bearer_guard.store import Page
from bearer_guard.token import DEFAULT_PREFIX, TokenForm

from .minting import Draft, Issued, Mint, length_ms
from .rules import later_ms, whole_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Unpack

    from bearer_guard.clock import Clock
    from bearer_guard.events import Listener
    from bearer_guard.keyring import Keyring
    from bearer_guard.policy import Policy
    from bearer_guard.store import Store

    from .principal import Principal

__all__ = ["EVERYBODY", "MAX_PAGE", "Issued", "Issuer", "Listing", "SettingsChange"]

EVERYBODY: Final = "*"  # in the place of an owner: administrators only
MAX_PAGE: Final = 1000  # records; a page's seals are checked in 10 ms


@dataclass(frozen=True, slots=True)
class Listing(Page):
    """A page of tokens, which can be gone through as the list that it holds."""

    def __iter__(self) -> Iterator[TokenRecord]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)


class SettingsChange(TypedDict, total=False):
    """The fields of ``Policy`` to change; what is left out stays as it is."""

    enabled: bool
    users_may_generate: bool
    max_lifetime: timedelta | None
    allow_non_expiring: bool


class Issuer:
    """Makes, lists and ends tokens for principals.

    Args:
        store: Where records are kept; whoever makes the issuer opens and closes it.
        keyring: Must be one that the store was used with; it is checked at the first use.
        clock: Time.
        prefix: Of the tokens.
        listeners: Who is told what happened.

    Every method raises ``StoreUnavailable`` where the store gives no answer, and ``KeyringError``
    where it was made with other keys.
    """

    def __init__(
        self,
        store: Store,
        keyring: Keyring,
        *,
        clock: Clock = SYSTEM_CLOCK,
        prefix: str = DEFAULT_PREFIX,
        listeners: Sequence[Listener] = (log_event,),
    ) -> None:
        self._store: Final = store
        self._keyring: Final = keyring
        self._clock: Final = clock
        self._mint: Final = Mint(store, keyring, TokenForm(prefix))
        self._listeners: Final = listeners
        self._settling: Final = asyncio.Lock()

    async def create(
        self,
        principal: Principal,
        *,
        lifetime: timedelta | None,
        description: str = "",
        scopes: Iterable[str] = (),
        networks: Iterable[str] = (),
    ) -> Issued:
        """Make a token of the principal's.

        Args:
            principal: Who has proved who they are; the owner.
            lifetime: Any positive length, exact to the millisecond; ``None``: it never expires.
            description: The owner's own words.
            scopes: What it may be used for; none grants none.
            networks: CIDR blocks that it may be used from; none: anywhere.

        Raises:
            FeatureOff: Access tokens are switched off.
            NotAllowed: The principal may not make tokens, or not one as wide as this.
            LifetimeTooLong: Beyond the policy's limit.
            InvalidRequest: A lifetime that is not positive, or a field of the wrong form.
        """
        record = await self._draft(principal, lifetime, description, scopes, networks)
        issued = await self._mint.add(record)
        self._tell_created(issued.record, principal)
        return issued

    async def renew(
        self, principal: Principal, token_id: UUID | str, *, grace: timedelta = timedelta(0)
    ) -> Issued:
        """Make a token like this one, and end this one after the grace.

        The new one has the same description, length of life, scopes and networks. One that has
        expired can be renewed with a log-in, not with another token.

        Args:
            principal: The owner; nobody else, administrators neither.
            token_id: Of the old one.
            grace: For how long the old one goes on working, if it does not expire before.

        Raises:
            NotFound: There is none, it has ended, or it is somebody else's.
            FeatureOff: Access tokens are switched off.
            NotAllowed: The principal may not make tokens, or not one as wide as this.
            LifetimeTooLong: Beyond what the policy's limit is now.
            InvalidRequest: The grace is negative.
        """
        old = await self._owned(principal, token_id)
        now_ms = self._clock.now_ms()
        end_ms = later_ms(now_ms, _grace_ms(grace))
        if old.expires_ms is not None and old.expires_ms <= now_ms:
            principal.must_be_here_in_person()
        record = await self._draft(
            principal, _lifetime(old), old.description, old.scopes, old.networks
        )
        issued = await self._mint.add(replace(record, family=old.family, parent=old.id))
        async with self._mint.undone_on_error(issued.record):
            reason = EndReason.RENEWED if grace else EndReason.REPLACED
            await self._end(principal, old, end_ms, reason)
        self._tell_created(issued.record, principal)
        return issued

    async def list(
        self,
        principal: Principal,
        *,
        owner: str | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> Listing:
        """Tokens, current and expired, newest first; deleted ones are in no list.

        Args:
            principal: Who asks.
            owner: Whose; ``None``: the principal's own; ``*``: everybody's.
            after: The ``next`` of the page before.
            limit: 1 to 1000; ``None``: all.

        Raises:
            NotAllowed: Another owner, asked for by no administrator.
            InvalidRequest: The limit or the cursor is none.
        """
        if owner == EVERYBODY or owner not in {None, principal.name}:
            principal.must_be_admin()
        if limit is not None and limit not in range(1, MAX_PAGE + 1):
            raise InvalidRequest(f"the limit is 1 to {MAX_PAGE}")
        await self._mint.check_keys()
        whose = None if owner == EVERYBODY else owner or principal.name
        page = await self._page(whose, after, limit or MAX_PAGE)
        records = page.records
        while limit is None and page.next is not None:
            await asyncio.sleep(0)  # a store in memory never yields
            page = await self._page(whose, page.next, MAX_PAGE)
            records += page.records
        return Listing(records, page.next)

    async def get(self, principal: Principal, token_id: UUID | str) -> TokenRecord:
        """One token: one's own, or anybody's for an administrator.

        Raises:
            NotFound: There is none, it has ended, or it is somebody else's.
        """
        record = await self._find(token_id)
        if record is None or (record.owner != principal.name and not principal.admin):
            raise NotFound("there is no such token")
        return record

    async def delete(self, principal: Principal, token_id: UUID | str) -> EndReason:
        """End a token at once, for good: one's own, or anybody's for an administrator.

        A record that no key vouches for is an administrator's to end, whatever it says itself of
        an owner or an end: it was refused before, and a purge takes it out then.

        Returns:
            Why it has ended: ``DELETED``, or ``TAMPERED`` for such a record.

        Raises:
            NotFound: There is none, it has ended already, or it is somebody else's.
        """
        record = await self._stored(token_id)
        now_ms = self._clock.now_ms()
        if record is None:
            raise NotFound("there is no such token")
        if self._keyring.sealed(record):
            reason = EndReason.DELETED
            mine = principal.admin or record.owner == principal.name
            may_end = mine and not record.ended(now_ms)
        else:
            reason, may_end = EndReason.TAMPERED, principal.admin
        at_ms = now_ms if record.ended_ms is None else min(now_ms, record.ended_ms)
        if not may_end or not await self._end(principal, record, at_ms, reason):
            raise NotFound("there is no such token")
        return reason

    async def delete_all(self, principal: Principal, owner: str) -> int:
        """End all tokens of an owner at once, expired ones too.

        Returns:
            How many had not ended before.

        Raises:
            NotAllowed: Another owner, asked for by no administrator.
            InvalidRequest: Everybody at once.
        """
        if owner != principal.name:
            principal.must_be_admin()
        if owner == EVERYBODY:
            raise InvalidRequest("name one owner")
        await self._mint.check_keys()
        now_ms = self._clock.now_ms()
        count = await self._store.end_all(owner, now_ms)
        self._tell(
            TokensEnded(
                at_ms=now_ms,
                owner=owner,
                by=principal.name,
                reason=EndReason.DELETED,
                count=count,
            )
        )
        return count

    async def settings(self, principal: Principal) -> Policy:
        """The workspace's settings, for whoever has proved who they are."""
        del principal
        return await self._store.policy()

    async def change_settings(
        self, principal: Principal, **changes: Unpack[SettingsChange]
    ) -> Policy:
        """Change the workspace's settings; returns all of them.

        Raises:
            NotAllowed: The principal is no administrator.
            InvalidRequest: A setting that can't work.
        """
        principal.must_be_admin()
        async with self._settling:
            try:
                policy = replace(await self._store.policy(), **changes)
            except ConfigurationError as error:
                raise InvalidRequest(str(error)) from error
            await self._store.set_policy(policy)
        settings = {name: _plain(getattr(policy, name)) for name in SettingsChange.__annotations__}
        self._tell(
            SettingsChanged(at_ms=self._clock.now_ms(), by=principal.name, settings=settings)
        )
        return policy

    async def _draft(
        self,
        principal: Principal,
        lifetime: timedelta | None,
        description: str,
        scopes: Iterable[str],
        networks: Iterable[str],
    ) -> TokenRecord:
        """The record to be, of a principal who may have it, within the policy."""
        policy = await self._store.policy()
        if not policy.enabled:
            raise FeatureOff("access tokens are switched off")
        if not (principal.admin or principal.may_generate or policy.users_may_generate):
            raise NotAllowed("you may not generate access tokens: ask an administrator")
        length = length_ms(lifetime)
        policy.check_lifetime(lifetime)
        draft = Draft(length_ms=length, description=description, scopes=scopes, networks=networks)
        return draft.record(principal, self._clock.now_ms())

    async def _stored(self, token_id: UUID | str) -> TokenRecord | None:
        """The record, whatever has become of it."""
        await self._mint.check_keys()
        try:
            id = token_id if isinstance(token_id, UUID) else UUID(token_id)
        except (ValueError, TypeError, AttributeError):  # no id, whatever it is
            return None
        return (await self._store.fetch([id])).get(id)

    async def _find(self, token_id: UUID | str) -> TokenRecord | None:
        """The record, if its seal holds and it has not ended."""
        record = await self._stored(token_id)
        if record is None or not self._keyring.sealed(record):
            return None
        return None if record.ended(self._clock.now_ms()) else record

    async def _owned(self, principal: Principal, token_id: UUID | str) -> TokenRecord:
        record = await self._find(token_id)
        if record is None or record.owner != principal.name:
            raise NotFound("there is no such token of yours")
        return record

    async def _page(self, owner: str | None, after: str | None, limit: int) -> Page:
        """A page without the records that nobody vouches for: their owner may be made up."""
        now_ms = self._clock.now_ms()
        page = await self._store.page(owner, after, limit, now_ms=now_ms)
        records = [r for r in page.records if not r.ended(now_ms) and self._keyring.sealed(r)]
        return Page(records, page.next)

    async def _end(
        self, principal: Principal, record: TokenRecord, at_ms: int, reason: EndReason
    ) -> bool:
        """End a record; ``False``: it was purged meanwhile."""
        if await self._store.end(record.id, at_ms, reason=reason) is None:
            return False
        self._tell(
            TokenEnded(
                at_ms=self._clock.now_ms(),
                token_id=record.id,
                owner=record.owner,
                by=principal.name,
                reason=reason,
                ended_ms=at_ms,
            )
        )
        return True

    def _tell_created(self, record: TokenRecord, principal: Principal) -> None:
        self._tell(
            TokenCreated(
                at_ms=record.created_ms,
                token_id=record.id,
                owner=record.owner,
                proven_by=principal.proven_by,
                expires_ms=record.expires_ms,
                scopes=record.scopes,
                parent=record.parent,
            )
        )

    def _tell(self, event: SettingsChanged | TokenCreated | TokenEnded | TokensEnded) -> None:
        emit(self._listeners, event)


def _lifetime(record: TokenRecord) -> timedelta | None:
    if record.expires_ms is None:
        return None
    return timedelta(milliseconds=record.expires_ms - record.created_ms)


def _grace_ms(grace: timedelta) -> int:
    length = whole_ms(grace)
    if length < 0:
        raise InvalidRequest("the grace can't be negative")
    return length


def _plain(value: object) -> object:
    return value.total_seconds() if isinstance(value, timedelta) else value
