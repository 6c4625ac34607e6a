"""How many log-ins may fail, for an account and for an address, in a sliding minute.

Failures are counted, nothing else: while a limit is used up, the right password has to wait too, or
guessing could go on. Tries that are under way are taken for failures until they are over: a burst
of them gets no more guesses than the limit says, and the right password among them only waits.

``limits`` keeps the counts, and reads wall time itself. They are this process's own, unless
``storage`` is shared.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from contextlib import asynccontextmanager
from functools import cached_property, partial
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final
from unicodedata import normalize

from bearer_guard.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from limits import RateLimitItem
    from limits.aio.storage import Storage
    from limits.aio.strategies import MovingWindowRateLimiter

    from bearer_guard.clock import Clock

__all__ = ["PER_ACCOUNT", "PER_ADDRESS", "FailureLimits"]

PER_ACCOUNT: Final = 10  # failures a minute
PER_ADDRESS: Final = 100
_ACCOUNT_TRIES: Final = 2  # at a time: as many passwords are looked at at once, see ``passwords``
_ADDRESS_TRIES: Final = 8  # so that one address leaves room for others where a directory is slow
_MINUTE: Final = 60  # seconds
_SITE_BITS: Final = 64  # of an IPv6 address: what one subscriber has at least (RFC 6177 section 2)


class FailureLimits:
    """Counts failed log-ins.

    Args:
        per_account: How many may fail in a minute for one account.
        per_address: For one IPv4 address, or one /64 of IPv6.
        clock: Tells how long is left to wait.
        storage: Of ``limits``, with moving windows; ``None``: this process's memory.
    """

    def __init__(
        self,
        *,
        per_account: int = PER_ACCOUNT,
        per_address: int = PER_ADDRESS,
        clock: Clock = SYSTEM_CLOCK,
        storage: Storage | None = None,
    ) -> None:
        # Now, and not in the first log-in: it takes a tenth of a second of the event loop.
        import limits.aio.strategies  # noqa: F401, PLC0415

        self._per_account: Final = per_account
        self._per_address: Final = per_address
        self._clock: Final = clock
        self._storage: Final = storage
        self._accounts: Final = _Turns(_ACCOUNT_TRIES)
        self._addresses: Final = _Turns(_ADDRESS_TRIES)

    @asynccontextmanager
    async def turn(self, account: str, address: str | None) -> AsyncIterator[int]:
        """Wait for one's turn to try; gives how many seconds to wait more, 0: go on.

        Args:
            account: The name as it was given.
            address: The client's; all clients without one are counted together.
        """
        (account_item, account_key), (address_item, address_key) = self._items(account, address)
        async with (
            self._accounts.turn(account_key, partial(self._left, account_item, account_key)),
            self._addresses.turn(address_key, partial(self._left, address_item, address_key)),
        ):
            yield await self.wait_s(account, address)

    async def wait_s(self, account: str, address: str | None) -> int:
        """Whole seconds until a log-in may be tried again; 0: now."""
        waits = [await self._wait_of(item, key) for item, key in self._items(account, address)]
        return max(waits)

    async def count(self, account: str, address: str | None) -> None:
        """A log-in failed."""
        for item, key in self._items(account, address):
            await self._windows.hit(item, key)

    async def _wait_of(self, item: RateLimitItem, key: str) -> int:
        if await self._windows.test(item, key):
            return 0
        stats = await self._windows.get_window_stats(item, key)
        left = math.ceil(stats.reset_time - self._clock.now_ms() / 1000)
        return min(max(left, 1), _MINUTE)

    async def _left(self, item: RateLimitItem, key: str) -> int:
        """How many may still fail."""
        return (await self._windows.get_window_stats(item, key)).remaining

    def _items(self, account: str, address: str | None) -> list[tuple[RateLimitItem, str]]:
        from limits import RateLimitItemPerMinute  # noqa: PLC0415 - not for --help

        return [
            (RateLimitItemPerMinute(self._per_account, namespace="acc"), _account_key(account)),
            (RateLimitItemPerMinute(self._per_address, namespace="adr"), _address_key(address)),
        ]

    @cached_property
    def _windows(self) -> MovingWindowRateLimiter:
        from limits.aio.storage import MemoryStorage  # noqa: PLC0415 - not for --help
        from limits.aio.strategies import MovingWindowRateLimiter  # noqa: PLC0415 - likewise

        return MovingWindowRateLimiter(self._storage or MemoryStorage())


class _Turns:
    """So many tries at a time for each key, and never more than may still fail."""

    def __init__(self, width: int) -> None:
        self._width: Final = width
        self._lines: Final[dict[str, _Line]] = {}

    @asynccontextmanager
    async def turn(self, key: str, left: Callable[[], Awaitable[int]]) -> AsyncIterator[None]:
        """Wait for a turn, first come, first served.

        Args:
            key: Of whom.
            left: How many may still fail. Where it is none, nobody waits, as nobody may try.
        """
        line = self._lines.setdefault(key, _Line())
        line.length += 1
        try:
            async with line.head:
                while 0 < await left() <= line.busy or line.busy >= self._width:
                    await line.wait()
                line.busy += 1
            try:
                yield
            finally:
                line.leave()
        finally:
            line.length -= 1
            if not line.length:
                del self._lines[key]


class _Line:
    """Those who wait, one behind the other, and those who try."""

    def __init__(self) -> None:
        self.length = 0  # all of them
        self.busy = 0  # those who try
        self.head: Final = asyncio.Lock()  # who has it is the next
        self._left: Final = asyncio.Event()

    async def wait(self) -> None:
        """Until somebody has finished."""
        self._left.clear()
        await self._left.wait()

    def leave(self) -> None:
        self.busy -= 1
        self._left.set()


def _account_key(account: str) -> str:
    """A key of bounded length. Spellings that a directory may take for one name share it."""
    name = normalize("NFKC", account[:1024]).casefold().strip()
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()


def _address_key(address: str | None) -> str:
    """An IPv4 address, or the /64 of an IPv6 one, since whoever has one address has them all."""
    try:
        ip = ip_address(address or "")
    except ValueError:
        return "unknown"
    if not isinstance(ip, IPv6Address):
        return str(ip)
    return str(ip.ipv4_mapped or IPv6Address(int(ip) >> _SITE_BITS << _SITE_BITS))
