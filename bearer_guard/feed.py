"""What changed in the store, told to the cache: polls of the change log, and hints.

A poll's own answer is the heartbeat: there is no other, and no modes. A hint only evicts: it is
always safe and never needed, and moves neither the cursor nor the chain. The workspace's policy
travels with the polls and obeys the same bound.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Any, Final, Protocol

from .errors import StoreUnavailable
from .tasks import ANSWER_SECONDS, Faults, Tasks, time_limit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection
    from uuid import UUID

    from .cache import Cache
    from .clock import ForwardClock
    from .policy import Policy
    from .store import Changes, Cursor, TokenReader

__all__ = ["Feed", "Follower"]

POLICY_TRIES: Final = 3  # an answer that a change made here has overtaken is asked for again
CLOCK_STEP_MS: Final = 100  # below it, two clocks that were read one after the other
HINT_PAUSE: Final = 1.0  # seconds, after hints broke off

_SETTINGS: Final = Faults("reading the settings")
_log: Final = logging.getLogger("bearer_guard")


class Follower(Protocol):
    """Whoever remembers something of tokens, and must be told when it may be wrong."""

    def forget(self, numbers: Collection[int] | None, /) -> None:
        """Drop what is known of the tokens with these ids; ``None``: of all."""
        ...

    def vouch(self, until: float, /) -> None:
        """What was vouched for when it was looked up is good until then, in elapsed seconds."""
        ...


class Feed:
    """Keeps a cache, and those who follow, in step with a store.

    Args:
        store: Whose change log is polled.
        cache: What is told.
        bound: B of ``cache``, in seconds.
        clock: Time.
        in_use: Whether tokens are being used: polls pause while they are not.
    """

    def __init__(
        self,
        store: TokenReader,
        cache: Cache[int, Any],
        *,
        bound: float,
        clock: ForwardClock,
        in_use: Callable[[], bool],
    ) -> None:
        self._store: Final = store
        self._cache: Final = cache
        self._bound: Final = bound
        self._clock: Final = clock
        self._in_use: Final = in_use
        wish: float | None = getattr(store, "poll_interval", None)
        self._interval: Final = min(1.0, bound / 5) if wish is None else wish
        self._followers: list[Follower] = []
        self._tasks: Final = Tasks()
        self._awake = asyncio.Event()
        self._polling = asyncio.Lock()
        self._cursor: Cursor | None = None
        self._policy: Policy | None = None
        self._policy_t0 = float("-inf")
        self._policy_version = 0
        self._polled_at = float("-inf") if cache.polls else float("inf")
        store.subscribe(self._changed_here)

    async def open(self) -> None:
        """Poll once, and go on in the background.

        Raises:
            StoreUnavailable: The first poll had no answer. It may be opened again.
        """
        if not self._cache.polls:
            return
        await self.poll()
        self._tasks.spawn(self._keep_polling())
        if (hints := self._store.hints()) is not None:
            self._tasks.spawn(self._listen(hints))

    async def close(self) -> None:
        """Stop. What is known is dated, and goes stale by itself."""
        await self._tasks.stop()

    def abandon(self) -> None:
        """Forget the tasks of an event loop that is gone."""
        self._tasks.abandon()
        self._awake, self._polling = asyncio.Event(), asyncio.Lock()

    def follow(self, follower: Follower) -> None:
        """Keep this one informed too."""
        self._followers.append(follower)
        follower.vouch(self._cache.vouched_until)

    def wake(self) -> None:
        """Tokens are being used: poll on."""
        self._awake.set()

    @property
    def age(self) -> float:
        """Seconds since the last good poll was sent; ``-inf``: there are none, by the bound."""
        return self._clock.elapsed() - self._polled_at

    # The policy: read like a token, extended by polls like a token.

    def policy_now(self, now: float) -> Policy | None:
        """The workspace's settings, if what is known of them may be used at ``now``."""
        return self._policy if now < self._policy_t0 + self._bound else None

    @property
    def policy_until(self) -> float:
        """Until when what is known of the settings may be used, in elapsed seconds."""
        return self._policy_t0 + self._bound

    async def policy(self) -> Policy:
        """The workspace's settings, from the store.

        Raises:
            StoreUnavailable: No answer in time.
        """
        for _ in range(POLICY_TRIES):
            sent, version = self._clock.elapsed(), self._policy_version
            with _SETTINGS:
                async with time_limit(ANSWER_SECONDS):
                    policy = await self._store.policy()
            self._learn(policy, sent, version)
            # What was learnt meanwhile is later than this answer.
            known = self.policy_now(self._clock.elapsed())
            if known is not None or version == self._policy_version:
                return known or policy
        raise StoreUnavailable("the workspace's settings keep changing")

    def _learn(self, policy: Policy, sent: float, version: int) -> None:
        if version != self._policy_version or sent < self._policy_t0:
            return  # overtaken: by a change made here, or by a later answer
        changed, self._policy, self._policy_t0 = policy != self._policy, policy, sent
        if changed:
            self._tell(None)

    # Being told.

    def _changed_here(self, ids: Collection[UUID] | None) -> None:
        """This process's own call changed these: forget them before that call returns."""
        if ids is None:
            self._policy_version += 1
            self._policy_t0 = float("-inf")
        self._invalidate(ids)

    def _invalidate(self, ids: Collection[UUID] | None) -> None:
        numbers = None if ids is None else [token_id.int for token_id in ids]
        self._cache.invalidate(numbers)
        self._tell(numbers)

    def _tell(self, numbers: Collection[int] | None) -> None:
        for follower in self._followers:
            follower.forget(numbers)

    async def poll(self) -> None:
        """Ask once what changed.

        Raises:
            StoreUnavailable: No answer in time; what is known grows older.
        """
        async with self._polling:  # one at a time: each continues where the last one got to
            sent, version = self._clock.elapsed(), self._policy_version
            async with time_limit(min(1.0, self._bound / 4)):
                changes = await self._store.changes(self._cursor)
            self._take(changes, sent, version)

    async def check(self) -> None:
        """Make sure that the store answers, and that changes are followed.

        Raises:
            StoreUnavailable: No answer in time.
        """
        if not self._cache.polls:
            await self.policy()
        elif self.age > self._bound:
            await self.poll()

    def _take(self, changes: Changes, sent: float, version: int) -> None:
        if self._clock.step_ms() > CLOCK_STEP_MS:
            _log.warning("the clock was set forward: all tokens are read anew")
            self._invalidate(None)
        if changes.reset:
            self._cache.restarted(sent)
            self._tell(None)
        else:
            self._invalidate(changes.ids)
            self._cache.continued(sent)
        self._cursor, self._polled_at = changes.cursor, sent
        self._learn(changes.policy, sent, version)
        self._vouch()

    async def _keep_polling(self) -> None:
        failing = False
        while True:
            await asyncio.sleep(self._interval * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
            if not self._in_use() and not self._awake.is_set():
                self._lapse()
                await self._awake.wait()
            self._awake.clear()
            try:
                await self.poll()
            except StoreUnavailable as error:
                if not failing:
                    _log.warning("the store does not answer polls: %s", error)
                failing = True
            except Exception:  # noqa: BLE001 - a fault of the adapter must not end the polls for good
                _log.exception("a poll failed")
            else:
                failing = False

    def _lapse(self) -> None:
        """Let nothing be remembered on the word of polls while there are none."""
        self._cache.lapse()
        self._policy_t0 = float("-inf")
        self._vouch()

    def _vouch(self) -> None:
        for follower in self._followers:
            follower.vouch(self._cache.vouched_until)

    async def _listen(self, hints: AsyncIterator[Collection[UUID]]) -> None:
        while True:
            try:
                async for ids in hints:
                    self._invalidate(ids)
            except StoreUnavailable as error:
                _log.info("hints broke off, polls go on: %s", error)
            except Exception:  # noqa: BLE001 - a fault of the adapter; hints are never needed
                _log.exception("hints failed, polls go on")
            await asyncio.sleep(HINT_PAUSE)
            again = self._store.hints()
            if again is None:
                return
            hints = again
