"""The servers of one store, as one event loop reaches them: who has a slot, and a way to ask.

One server is where its URL says. Sentinels are asked which server is the primary, and again every
second: an old primary that comes back does not know that it is none any more. Of what they say the
newest counts: one of them may not have heard yet. The nodes of a cluster are asked who has which
slots; and a node that has not says who has.

redis-py's own clients for Sentinels and clusters ask one after the other, so that the first that is
mute uses up all the time there is, and take the first answer. Here all are asked at once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, TypeVar, cast

from redis.exceptions import RedisError, ResponseError

from bearer_guard.tasks import Tasks

from ._redis_answers import NobodyKnows
from ._redis_node import Node
from ._redis_url import Address, Kind

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from bearer_guard.clock import Clock

    from ._redis_url import Target

__all__ = ["Link"]

T = TypeVar("T")
_Slots: TypeAlias = "list[list[int | list[bytes | int]]]"

LAST_SLOT: Final = 16_383
SENTINEL_SECONDS: Final = 1.0  # how long their word is good
FIND_SECONDS: Final = 0.3  # for all that are asked together; then what was known before must do
LATE_SECONDS: Final = 0.05  # how long other Sentinels are waited for, after the first has answered
_NEVER: Final = float("-inf")


class _Range(NamedTuple):
    """Who has the slots from ``first`` to ``last``."""

    first: int
    last: int
    address: Address


class _Word(NamedTuple):
    """What a Sentinel says. The greatest of several is the newest.

    Attributes:
        epoch: Of the configuration: each fail-over has a higher one.
        switching: It has just made another the primary, and is about to say so.
        primary: Where the primary is.
    """

    epoch: int
    switching: bool
    primary: Address


class Link:
    """The connections of one event loop.

    Args:
        target: Which servers.
        clock: Dates what Sentinels say.
    """

    def __init__(self, target: Target, clock: Clock) -> None:
        self._target: Final = target
        self._clock: Final = clock
        self._nodes: Final[dict[Address, Node]] = {}
        self._sentinels: Final[dict[Address, Node]] = {}
        self._tasks: Final = Tasks()
        self._finding: Final = asyncio.Lock()
        self._ranges: list[_Range] = []
        self._found_at = _NEVER

    def __str__(self) -> str:
        """Where, for messages."""
        return str(self._target)

    async def node_of(self, slot: int) -> Node:
        """The server that has a slot.

        Raises:
            RedisError: Nobody knows, or nobody answers.
            OSError: Nobody answers.
        """
        for owner in await self._known_ranges():
            if owner.first <= slot <= owner.last:
                return self.node(owner.address)
        self.forget()
        raise NobodyKnows("no node of the cluster has the slot")

    async def primaries(self) -> list[Node]:
        """All servers that have slots."""
        addresses = dict.fromkeys(owner.address for owner in await self._known_ranges())
        return [self.node(address) for address in addresses]

    def node(self, address: Address) -> Node:
        """The server with this address."""
        if address not in self._nodes:
            self._nodes[address] = Node(
                address,
                login=self._target.login,
                database=self._target.database,
                tls=self._target.tls,
            )
        return self._nodes[address]

    def forget(self) -> None:
        """Find out anew who has what, before the next call."""
        self._found_at = _NEVER

    async def close(self) -> None:
        """Let go of all connections."""
        await self._tasks.stop()
        nodes = [*self._nodes.values(), *self._sentinels.values()]
        await asyncio.gather(*(node.close() for node in nodes))

    async def _known_ranges(self) -> list[_Range]:
        if self._is_stale():
            async with self._finding:
                if self._is_stale():
                    await self._find()
        return self._ranges

    def _is_stale(self) -> bool:
        if self._target.kind is not Kind.SENTINEL:
            return self._found_at == _NEVER
        return self._clock.elapsed() >= self._found_at + SENTINEL_SECONDS

    async def _find(self) -> None:
        now = self._clock.elapsed()
        ask = {
            Kind.SINGLE: self._only_one,
            Kind.SENTINEL: self._ask_sentinels,
            Kind.CLUSTER: self._ask_cluster,
        }[self._target.kind]
        try:
            async with asyncio.timeout(FIND_SECONDS):
                self._ranges = await ask()
        except (RedisError, OSError):
            if not self._ranges:
                raise
        self._found_at = now
        wanted = {owner.address for owner in self._ranges} | set(self._target.addresses)
        for address in set(self._nodes) - wanted:
            self._tasks.spawn(self._nodes.pop(address).close())

    async def _only_one(self) -> list[_Range]:
        return [_Range(0, LAST_SLOT, self._target.addresses[0])]

    async def _ask_sentinels(self) -> list[_Range]:
        for address in self._target.addresses:
            if address not in self._sentinels:
                self._sentinels[address] = Node(
                    address, login=self._target.sentinel_login, tls=self._target.tls
                )
        words = await _answers_of(
            (_word(sentinel, self._target.service) for sentinel in self._sentinels.values()),
            late=LATE_SECONDS,
        )
        return [_Range(0, LAST_SLOT, max(words).primary)]

    async def _ask_cluster(self) -> list[_Range]:
        addresses = dict.fromkeys([*self._nodes, *self._target.addresses])
        calls = (_slots(self.node(address)) for address in addresses)
        return (await _answers_of(calls, late=0))[0]


async def _word(sentinel: Node, service: str) -> _Word:
    asked = [("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service), ("SENTINEL", "MASTER", service)]
    address, about = await sentinel.send(asked)
    if address is None:
        raise NobodyKnows("the Sentinels know no such service")
    for reply in (address, about):
        if isinstance(reply, ResponseError):
            raise reply
    host, port = cast("list[bytes]", address)
    fields = cast("list[bytes]", about)
    known = dict(zip(fields[::2], fields[1::2], strict=True))
    switching = (host, port) != (known[b"ip"], known[b"port"])
    return _Word(int(known[b"config-epoch"]), switching, Address(host.decode(), int(port)))


async def _slots(node: Node) -> list[_Range]:
    (reply,) = await node.send([("CLUSTER", "SLOTS")])
    if isinstance(reply, ResponseError):
        raise NobodyKnows("is it a cluster? Its nodes don't tell who has what") from reply
    ranges = []
    for first, last, primary, *_ in cast("_Slots", reply):
        host, port = cast("list[bytes | None]", primary)[:2]
        # A node that does not know by which name it is reached leaves it out.
        address = Address(host.decode() if host else node.address.host, int(port or 0))
        ranges.append(_Range(cast("int", first), cast("int", last), address))
    return ranges


async def _answers_of(calls: Iterable[Coroutine[object, object, T]], *, late: float) -> list[T]:
    """What these return, as far as they do; the first of them first.

    Args:
        calls: All of them begin at once.
        late: How many seconds to wait for others after the first.

    Raises:
        RedisError: None returned.
        OSError: None returned.
    """
    tasks = [asyncio.ensure_future(call) for call in calls]
    pending, answers = set(tasks), list[T]()
    failed: RedisError | OSError = NobodyKnows("there is nobody to ask")
    try:
        while pending:
            done, pending = await asyncio.wait(
                pending,
                timeout=late if answers else None,
                return_when=asyncio.ALL_COMPLETED if answers else asyncio.FIRST_COMPLETED,
            )
            if answers:
                pending = set()  # whoever is later still is not waited for
            for task in done:
                try:
                    answers.append(task.result())
                except (RedisError, OSError) as error:
                    failed = error
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if not answers:
        raise failed
    return answers
