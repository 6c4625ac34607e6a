"""Running scripts on the shards of a Redis store, within a time limit, with one kind of error.

A store is split into shards, as many as were chosen when it was made: one, or in a cluster sixteen.
All keys of a shard begin with its own hash tag and so lie in one slot, where a script can change a
token and write the change log at once. The first shard also holds what there is one of: the
settings, accounts, notes.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from redis.crc import key_slot
from redis.exceptions import MovedError, NoPermissionError, NoScriptError, ResponseError

from bearer_guard.errors import StoreUnavailable

from ._redis_answers import all_of, answers
from ._redis_link import Link
from ._redis_scripts import FENCE
from ._redis_url import Address

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from bearer_guard.clock import Clock

    from ._redis_node import Command, Node
    from ._redis_rows import Reply
    from ._redis_scripts import Arg, Script
    from ._redis_url import Target

__all__ = ["Database"]

REDIRECTS: Final = 3
REPLICA_MS: Final = 300  # how long a replica may take to confirm a write


class Database:
    """The servers of a store, and how they are asked.

    Args:
        target: Which servers.
        prefix: Of all keys.
        shards: How many there are.
        clock: Dates what Sentinels say.
    """

    def __init__(self, target: Target, *, prefix: str, shards: int, clock: Clock) -> None:
        self.target: Final = target
        self.shards = shards
        self._prefix: Final = prefix
        self._clock: Final = clock
        self.opened = False
        self._link: Link | None = None
        self._home: tuple[asyncio.AbstractEventLoop, int] | None = None

    def open(self) -> None:
        """Answer from now on."""
        self.opened = True

    async def close(self) -> None:
        """Let go of the connections, and answer no more."""
        self.opened = False
        if self._link is not None and self._home == _here():
            link, self._link = self._link, None
            await link.close()

    def shard_of(self, id: UUID) -> int:
        """Where a token is kept."""
        return id.int % self.shards

    def log_key(self, shard: int) -> str:
        """The change log of a shard."""
        return f"{self._prefix}{{s{shard}}}:log"

    def link(self) -> Link:
        """The connections of the running event loop.

        Raises:
            StoreUnavailable: The store is not open.
        """
        self._check_open()
        here = _here()
        if self._link is None or self._home != here:
            # Connections of another event loop, or from before a fork, are not ours to use.
            self._link, self._home = Link(self.target, self._clock), here
        return self._link

    def another_link(self) -> Link:
        """Connections apart from the others, for commands that wait. The caller closes it.

        Raises:
            StoreUnavailable: The store is not open.
        """
        self._check_open()
        return Link(self.target, self._clock)

    async def run(self, script: Script, shard: int, *args: Arg) -> Reply:
        """What a script returns on one shard.

        Raises:
            StoreUnavailable: No answer in time, or the server refuses.
        """
        return (await self.run_each(script, {shard: args}))[shard]

    async def run_each(
        self, script: Script, calls: Mapping[int, Sequence[Arg]]
    ) -> dict[int, Reply]:
        """What a script returns on several shards, given each its arguments: one round trip.

        Raises:
            StoreUnavailable: No answer in time, or a server refuses.
        """
        link = self.link()
        async with answers(link):
            by_node: dict[Node, list[_Call]] = defaultdict(list)
            for shard, args in calls.items():
                call = _Call(script, shard, self.log_key(shard), args)
                by_node[await link.node_of(call.slot)].append(call)
            answered = await all_of(
                _run(link, node, calls_there) for node, calls_there in by_node.items()
            )
        return {shard: reply for some in answered for shard, reply in some.items()}

    async def write(self, script: Script, shard: int, *args: Arg) -> Reply:
        """``run``, and what was written is on a replica too, if the server has one.

        Raises:
            StoreUnavailable: No answer in time, the server refuses, or no replica confirms. What
                was written then may be there all the same.
        """
        link = self.link()
        call = _Call(script, shard, self.log_key(shard), args)
        async with answers(link):
            node = await link.node_of(call.slot)
            (reply,) = await node.send([call.by_name()])
            reply, node = await _settled(link, node, call, reply)
            await _confirm(node, call.log)
        return reply

    def _check_open(self) -> None:
        if not self.opened:
            raise StoreUnavailable("the store is not open: `await store.open()` comes first")


class _Call(NamedTuple):
    """A script to run on a shard."""

    script: Script
    shard: int
    log: str
    args: Sequence[Arg]

    @property
    def slot(self) -> int:
        """Where the keys of the shard are."""
        return key_slot(self.log.encode())

    def by_name(self) -> Command:
        """What runs it where it is known."""
        return self.script.by_name(self.log, self.args)

    def in_full(self) -> Command:
        """What runs it anywhere."""
        return self.script.in_full(self.log, self.args)


async def _run(link: Link, node: Node, calls: Sequence[_Call]) -> dict[int, Reply]:
    replies = await node.send([call.by_name() for call in calls])
    return {
        call.shard: (await _settled(link, node, call, reply))[0]
        for call, reply in zip(calls, replies, strict=True)
    }


async def _settled(
    link: Link, node: Node, call: _Call, reply: Reply | ResponseError
) -> tuple[Reply, Node]:
    """What the script returned, and where it ran: where it is unknown or moved, nothing ran yet.

    A slot that is being handed over key by key is left alone: no node has all of its keys then.
    """
    for _ in range(REDIRECTS):
        match reply:
            case NoScriptError():
                (reply,) = await node.send([call.in_full()])
            case MovedError():
                link.forget()
                node = link.node(Address(reply.host or node.address.host, reply.port))
                (reply,) = await node.send([call.by_name()])
            case _:
                break
    if isinstance(reply, ResponseError):
        raise reply
    return reply, node


async def _confirm(node: Node, log: str) -> None:
    """Wait until a replica has what was written, where there is one."""
    (role,) = await node.send([("ROLE",)])
    match role:
        case [b"master", _, []] | NoPermissionError():  # which was said when the store was opened
            return
        case [b"master", *_]:
            pass
        case _:
            raise StoreUnavailable("written to a server that is not the primary now; do it again")
    for reply in await node.send([FENCE.in_full(log, ()), ("WAIT", 1, REPLICA_MS)]):
        if isinstance(reply, ResponseError):
            raise reply
        if reply == 0:
            raise StoreUnavailable(
                "written, but no replica confirms it: a fail-over could undo it; do it again"
            )


def _here() -> tuple[asyncio.AbstractEventLoop, int]:
    return asyncio.get_running_loop(), os.getpid()
