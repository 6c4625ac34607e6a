"""A token to a verdict: whose it is, and whether it is good now.

Forward-auth, frameworks and protocols other than ASGI use the ``Verifier``; the guard is a thin
layer over it. In the order of what it costs: the outline of the text and its tag, the cache, the
store. So a forged token makes no store call.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import sys
import weakref
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from .cache import Cache
from .clock import SYSTEM_CLOCK, ForwardClock
from .errors import ConfigurationError, KeyringError, StoreUnavailable
from .events import log_event
from .feed import Feed
from .judge import allowed_from, standing
from .keyring import Keyring
from .last_used import LastUsed
from .lookup import TRIES, Assessed, Lookup
from .record import TokenInfo
from .refusals import Refusals
from .store import open_store
from .tasks import ANSWER_SECONDS, Faults, time_limit
from .token import DEFAULT_PREFIX, TokenForm
from .verdict import Accepted, Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from uuid import UUID

    from .cache import Held
    from .clock import Clock
    from .events import Listener
    from .feed import Follower
    from .policy import Policy
    from .record import TokenRecord
    from .store import TokenReader
    from .verdict import Verdict

__all__ = ["Found", "Verifier"]

LIFE_SECONDS: Final = 60.0  # T of ``cache``: changes that bypass the log are seen by then
IDLE_SECONDS: Final = 60.0  # without a use, until polls pause; the longest between two flushes
SHORTEST_POLLED: Final = 0.5  # seconds; below this bound polls cost more than they save

_log: Final = logging.getLogger("bearer_guard")

# What the cache keeps of a record: why not (empty: nothing against it), digest, key id, owner,
# description, scopes, networks, created, expires. A plain tuple of atoms: the garbage collector
# stops tracking those, and does not walk 100,000 of them.
_Kept: TypeAlias = tuple[
    str, bytes, str, str, str, tuple[str, ...], tuple[str, ...], int, int | None
]
_UNKNOWN: Final[_Kept] = (Reason.UNKNOWN.value, b"", "", "", "", (), (), 0, None)


class Found(NamedTuple):
    """A good token, and for how long that may be remembered.

    Attributes:
        token: Whose it is, and what for.
        networks: Where from it may be used.
        number: Its id as an integer.
        until: Elapsed seconds until which it may be remembered, while polls vouch for it and
            nothing invalidates it; 0: not at all.
        text: The token itself. It goes no further than the guard.
    """

    token: TokenInfo
    networks: tuple[str, ...]
    number: int
    until: float
    text: bytes

    def __repr__(self) -> str:
        return f"<Found {self.token.id}>"


class Verifier:
    """Says whose tokens are, and whether they are good now.

    It opens itself where it is first used, and moves along to another event loop.

    Args:
        store: Where records are, or the URL of one.
        keyring: Whose tags, digests and seals count.
        staleness: The revocation bound in seconds: an ended token is accepted nowhere for longer.
            0: the store is read for every request.
        cache_size: How many tokens are remembered at most.
        prefix: Of the tokens.
        listeners: Told of refusals worth knowing.
        clock: Time.

    Raises:
        ConfigurationError: A setting that can't work.
    """

    def __init__(
        self,
        store: TokenReader | str,
        keyring: Keyring,
        *,
        staleness: float = 5.0,
        cache_size: int = 100_000,
        prefix: str = DEFAULT_PREFIX,
        listeners: Sequence[Listener] = (log_event,),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if not isinstance(keyring, Keyring):
            raise ConfigurationError("keyring must be a Keyring, such as Keyring.from_env()")
        if not (math.isfinite(staleness) and staleness >= 0):
            raise ConfigurationError("staleness must be a number of seconds, 0 or more")
        if cache_size < 0:
            raise ConfigurationError("cache_size must be 0 or more")
        self.store: Final = open_store(store) if isinstance(store, str) else store
        self.keyring: Final = keyring
        self.form: Final = TokenForm(prefix)
        self.clock: Final = ForwardClock(clock)
        self.refusals: Final = Refusals(listeners, self.clock)
        self.last_used: Final = LastUsed(self.store, self.clock)
        cache = Cache[int, _Kept](
            # Without a bound nothing is kept, and an answer is good however long it took.
            bound=staleness or 2 * ANSWER_SECONDS,
            life=LIFE_SECONDS,
            size=cache_size if staleness else 0,
            polls=staleness >= SHORTEST_POLLED,
        )
        self._bound: Final = staleness
        self._cache: Final = cache
        self._lookup: Final = Lookup(
            self.store, self._assess, cache=cache, share=staleness > 0, clock=self.clock
        )
        self.feed: Final = Feed(
            self.store, cache, bound=staleness, clock=self.clock, in_use=self._in_use
        )
        self.feed.follow(self._lookup)
        self._opening: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open_in: asyncio.AbstractEventLoop | None = None
        _forkable.add(self)

    # Its life.

    async def open(self) -> None:
        """Open the store, make sure that the keys are its own, begin to follow it.

        It is enough to begin using the verifier; at start-up this shows what is wrong.

        Raises:
            StoreUnavailable: The store does not answer. It may be opened again.
            KeyringError: The store was made with other keys.
            ConfigurationError: The store refuses to work as it is set up.
        """
        self._adopt()
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open())
            self._opening.add_done_callback(self._opened)
        opening = self._opening
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            if opening.cancelled():  # it was closed, and whoever waits for it was not
                raise StoreUnavailable("the store was closed") from None
            raise

    def _opened(self, opening: asyncio.Task[None]) -> None:
        """Where it failed, the next who needs it tries again, whoever waited for it or didn't."""
        if (opening.cancelled() or opening.exception() is not None) and self._opening is opening:
            self._opening = None

    async def _open(self) -> None:
        with _OPENING:
            await self.store.open()
            self.keyring.check(await self.store.remember_keys(self.keyring.ids))
            await self.feed.open()
        self.last_used.open()
        self._open_in = asyncio.get_running_loop()

    async def ready(self) -> None:
        """Open, if it isn't, as a request needs it: in good time, or not at all.

        Raises:
            StoreUnavailable: It can't be used now.
        """
        if self._open_in is asyncio.get_running_loop():
            return
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self.open()
        except TimeoutError as error:
            raise StoreUnavailable("the store has not been opened yet") from error
        except (KeyringError, ConfigurationError) as error:
            _log.error("%s", error)
            raise StoreUnavailable(str(error)) from error

    async def check(self) -> None:
        """Make sure that it can answer: the store does, and changes are followed.

        Raises:
            StoreUnavailable: It can't.
        """
        await self.ready()
        await self.feed.check()

    async def close(self) -> None:
        """Tell the store what was used last, stop all tasks, and close the store."""
        opening, self._opening, self._open_in = self._opening, None, None
        if opening is not None and not opening.done():
            opening.cancel()
        await self._lookup.close()
        await self.feed.close()
        await self.last_used.close()
        await self.store.close()

    def abandon(self) -> None:
        """Let go of an event loop that is gone. What is remembered is dated, and stays."""
        self._opening = self._loop = self._open_in = None
        self._lookup.abandon()
        self.feed.abandon()
        self.last_used.abandon()

    def _adopt(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self.abandon()
            self._loop = loop

    def follow(self, follower: Follower) -> None:
        """Tell this faster memory what it must forget."""
        self.feed.follow(follower)

    @property
    def remembered(self) -> int:
        """How many tokens the cache holds."""
        return len(self._cache)

    # Its work.

    async def verify(
        self, token: str, *, scopes: Collection[str] = (), address: str | None = None
    ) -> Verdict:
        """Say whose token this is and whether it is good now.

        Args:
            token: The whole text, without the scheme.
            scopes: Those it must have.
            address: Of the client, for tokens that are bound to networks.

        Returns:
            Accepted, with the token's info, or a refusal and its reason. Every string, good or
            bad, ends here; nothing about a token is ever raised.

        Raises:
            StoreUnavailable: No answer in time. Callers answer 503, never let through.

        Source: RFC 6750 sections 2.1 and 3.1.
        """
        found = await self.find(token.encode("utf-8", "surrogatepass"))
        if not isinstance(found, Refusal):
            found = self.permit(found, scopes, address) or found
        if isinstance(found, Refusal):
            self.refusals.note(found, client=address)
            return found
        self.last_used.note(found.number, self.clock.elapsed(), address)
        return Accepted(found.token)

    def permit(self, found: Found, scopes: Collection[str], address: str | None) -> Refusal | None:
        """Why a good token may not be used for this, from here; ``None``: it may."""
        if not allowed_from(found.networks, address):
            return Refusal(Reason.NETWORK, found.token)
        if not set(scopes) <= set(found.token.scopes):
            return Refusal(Reason.SCOPE, found.token)
        return None

    async def find(self, text: bytes) -> Found | Refusal:
        """Whose token this is, if it is good now, whatever it is used for.

        Raises:
            StoreUnavailable: No answer in time.
        """
        outline = self.form.split(text)
        if outline is None:
            return _MALFORMED
        if not self.keyring.vouches(*outline):
            return _FORGED if self.form.checked(text) else _MALFORMED
        token_id = self.form.id_of(text)
        if token_id is None:
            return _MALFORMED
        begun = self.clock.elapsed()
        if self._open_in is not asyncio.get_running_loop():
            await self.ready()
        self.feed.wake()
        kept, policy, until = await self._ask(token_id, begun)
        return self._conclude(token_id, text, kept, policy, until)

    async def still(self, found: Found) -> float | Refusal:
        """Whether a token that was found before is good still.

        Returns:
            Until when that may be remembered, as ``Found.until``; or why it is not.

        Raises:
            StoreUnavailable: No answer in time.
        """
        self.feed.wake()
        kept, policy, until = await self._ask(found.token.id, self.clock.elapsed())
        why_not = kept[0] or ("" if policy.enabled else Reason.FEATURE_OFF)
        return Refusal(Reason(why_not), found.token) if why_not else until

    def _conclude(
        self, token_id: UUID, text: bytes, kept: _Kept, policy: Policy, until: float
    ) -> Found | Refusal:
        why_not, digest, key_id, owner, description, scopes, networks, created, expires = kept
        if why_not in _NOBODYS:
            return Refusal(Reason(why_not))
        if not self.keyring.matches(key_id, digest, text):
            return Refusal(Reason.TAMPERED)
        token = TokenInfo(
            id=token_id,
            owner=owner,
            description=description,
            created_ms=created,
            expires_ms=expires,
            scopes=scopes,
        )
        if why_not:
            return Refusal(Reason(why_not), token)
        if not policy.enabled:
            return Refusal(Reason.FEATURE_OFF, token)
        return Found(token, networks, token_id.int, until, text)

    async def _ask(self, token_id: UUID, begun: float) -> tuple[_Kept, Policy, float]:
        """What is known of a token, and the policy, both within the bound at once.

        Then until when that may be remembered, as ``Found.until``. Whatever has to be read for it
        has one limit together, ``ANSWER_SECONDS`` after ``begun``, in elapsed seconds.
        """
        for _ in range(TRIES):
            # The settings first: nothing is awaited between the token's answer and its use.
            now = self.clock.elapsed()
            settings = self.feed.policy_now(now)
            if settings is None:
                async with time_limit(max(0.0, begun + ANSWER_SECONDS - now)):
                    settings = await self.feed.policy()
            then = self.clock.elapsed()
            held, fresh = self._cache.get(token_id.int, then), True
            if held is not None:
                kept = held.value
            else:
                kept, sent = await self._lookup.read(token_id, begun)
                then = self.clock.elapsed()
                held, fresh = self._cache.get(token_id.int, then), then < sent + self._bound
            # They may have changed meanwhile; where nothing is kept, they are this request's own.
            policy = self.feed.policy_now(then) if self._bound else settings
            if policy is not None and (fresh or not self._bound):
                return kept, policy, self._until(held)
        raise StoreUnavailable("the store answers too slowly for the revocation bound")

    def _assess(self, record: TokenRecord | None) -> Assessed[_Kept]:
        if record is None:
            return _UNKNOWN, False, None
        why_not = standing(record, self.keyring, self.clock.now_ms())
        kept: _Kept = (
            why_not.value if why_not else "",
            record.digest,
            sys.intern(record.key_id),
            sys.intern(record.owner),
            record.description,
            _shared(record.scopes),
            _shared(record.networks),
            record.created_ms,
            record.expires_ms,
        )
        return kept, not why_not, None if why_not else record.dead_ms()

    def _until(self, held: Held[_Kept] | None) -> float:
        """Until when a good token may be remembered: its own end, and that of the policy's word.

        Where polls vouch for what is remembered, they vouch for the policy too.
        """
        if held is None:
            return 0.0
        return held.until if self._cache.polls else min(held.until, self.feed.policy_until)

    def _in_use(self) -> bool:
        return self.last_used.idle < IDLE_SECONDS


_OPENING: Final = Faults("opening the store")
_MALFORMED: Final = Refusal(Reason.MALFORMED)
_FORGED: Final = Refusal(Reason.FORGED)
_NOBODYS: Final = frozenset({Reason.UNKNOWN.value, Reason.TAMPERED.value})


@lru_cache(maxsize=1024)
def _shared(words: tuple[str, ...]) -> tuple[str, ...]:
    """One tuple for all equal ones: most tokens have the scopes of others."""
    return words


_forkable: Final[weakref.WeakSet[Verifier]] = weakref.WeakSet()


def _after_fork() -> None:
    """In the child: tasks and reads were the parent's. What is remembered holds here too."""
    for verifier in tuple(_forkable):
        verifier.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
