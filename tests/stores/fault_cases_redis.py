"""Which faults there are of Redis."""

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from tests.stores.fault_watch import Case, Step, killed, nothing
from tests.stores.redis_servers import FAST_FAILOVER, Cluster, Move, RedisServer, Watched, until

_LOG: Final = "bearer_guard:{s0}:log"
_NOT_BY_ITSELF: Final = 600_000  # milliseconds


def alone(server: RedisServer) -> Iterator[Case]:
    url = server.url()
    yield killed("Redis", url, server)
    yield Case("disk full (MISCONF)", "Redis", url, *_full_disk(server))
    yield Case("no connection left", "Redis", url, *_no_room(server))


def log(server: RedisServer) -> Iterator[Case]:
    url, admin = server.url(), server.client()

    async def forget() -> None:
        admin.delete(_LOG)

    async def go_back() -> None:
        entries: Any = admin.xrange(_LOG)
        admin.delete(_LOG)
        for entry, fields in entries[:-1]:
            admin.xadd(_LOG, fields, id=entry)

    async def flush() -> None:
        admin.flushall()

    yield Case("change log lost", "Redis", url, forget, nothing, "before")
    yield Case("counter went back", "Redis", url, go_back, nothing, "after")
    yield Case("FLUSHALL", "Redis", url, flush, nothing, "before")


def _full_disk(server: RedisServer) -> tuple[Step, Step]:
    """Redis takes no writes while it can't save."""

    def saved(status: str) -> bool:
        admin = server.client()
        state = admin.info("persistence")
        if not state["rdb_bgsave_in_progress"] and state["rdb_last_bgsave_status"] != status:
            admin.bgsave()
        return bool(state["rdb_last_bgsave_status"] == status)

    async def fill() -> None:
        server.client().config_set("save", "3600 1")
        server.folder.chmod(0o500)
        await until(lambda: saved("err"))

    async def free() -> None:
        server.folder.chmod(0o700)
        await until(lambda: saved("ok"))

    return fill, free


def _no_room(server: RedisServer) -> tuple[Step, Step]:
    admin = server.client()  # it is the one that has a place

    async def crowd() -> None:
        admin.config_set("maxclients", 1)
        admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    async def leave() -> None:
        admin.config_set("maxclients", 1000)

    return crowd, leave


def sentinels(group: Watched) -> Iterator[Case]:
    url, old = group.url(), group.primary()

    def kill() -> None:
        group.notice_after(_NOT_BY_ITSELF)
        old.kill()

    async def take_over() -> None:
        await asyncio.to_thread(group.notice_after, FAST_FAILOVER)
        await until(lambda: group.took_over(old))

    begin = partial(asyncio.to_thread, kill)
    yield Case("fail-over: the primary is killed", "Redis, Sentinels", url, begin, take_over)


def cluster(nodes: Cluster) -> Iterator[Case]:
    """All in one slot, which moves."""
    url, moves = nodes.url("?shards=1"), list[Move]()

    def begin() -> None:
        moves.append(Move(nodes, _LOG))
        moves[-1].begin()
        moves[-1].carry(_LOG)

    def finish() -> None:
        moves[-1].finish()

    def move() -> None:
        begin()
        finish()

    part, whole = partial(asyncio.to_thread, begin), partial(asyncio.to_thread, move)
    rest = partial(asyncio.to_thread, finish)
    yield Case("slot on the move, key by key", "Redis Cluster", url, part, rest)
    yield Case("slot moved", "Redis Cluster", url, whole, nothing, "after")
