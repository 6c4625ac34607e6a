"""Whether a Redis server is set up so that no revocation gets lost, and what to do where it is not.

https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/ and
https://redis.io/docs/latest/develop/reference/eviction/ say what the settings mean.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from redis.exceptions import NoPermissionError, ResponseError

from bearer_guard.errors import ConfigurationError
from bearer_guard.store import Finding

from ._redis_answers import all_of, answers
from ._redis_url import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._redis_database import Database
    from ._redis_node import Node
    from ._redis_rows import Reply

__all__ = ["Settings", "inspect", "judge", "read_settings"]

_SETTINGS: Final = ("appendfsync", "save", "min-replicas-to-write")
_OLDEST: Final = (7, 0)  # scripts that say what they do came with it


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server tells about itself.

    Attributes:
        where: Its address.
        info: The lines of ``INFO``.
        config: Its configuration; ``None``: it does not say.
        tells_role: Whether this user may ask for its replicas.
    """

    where: str
    info: dict[str, str]
    config: dict[str, str] | None
    tells_role: bool = True

    @property
    def version(self) -> tuple[int, ...]:
        """Of Redis, or that which Valkey claims to be."""
        return tuple(int(n) for n in re.findall(r"\d+", self.info.get("redis_version", ""))[:2])

    @property
    def name(self) -> str:
        """Program and version."""
        program = self.info.get("server_name", "redis").capitalize()
        number = self.info.get("valkey_version") or self.info.get("redis_version", "of no version")
        return f"{program} {number} at {self.where}"

    @property
    def has_replicas(self) -> bool:
        """Whether others copy it."""
        return self.info.get("connected_slaves", "0") != "0"


async def inspect(db: Database) -> list[Finding]:
    """What is to be said of the servers that hold the store."""
    link = db.link()
    async with answers(link):
        servers = await all_of(read_settings(node) for node in await link.primaries())
    return [finding for server in servers for finding in judge(server, db.target.kind)]


async def read_settings(node: Node) -> Settings:
    """What a server tells about itself."""
    info, config, role = await node.send([("INFO",), ("CONFIG", "GET", *_SETTINGS), ("ROLE",)])
    if isinstance(info, ResponseError):
        raise info
    lines = cast("bytes", info).decode().splitlines()
    pairs = (line.partition(":") for line in lines if ":" in line)
    where = f"{node.address.host}:{node.address.port}"
    return Settings(
        where,
        {name: value for name, _, value in pairs},
        _config(config),
        tells_role=not isinstance(role, NoPermissionError),
    )


def _config(reply: Reply | ResponseError) -> dict[str, str] | None:
    if not isinstance(reply, list):
        return None  # denied, or renamed
    words = [cast("bytes", word).decode() for word in reply]
    return dict(zip(words[::2], words[1::2], strict=True))


def judge(server: Settings, kind: Kind) -> list[Finding]:
    """What is to be said of a server, the good included.

    Raises:
        ConfigurationError: It can't hold a store at all.
    """
    if server.version < _OLDEST:
        raise ConfigurationError(f"{server.name} is too old: it must be Redis 7.0 or Valkey 7.2")
    in_cluster = server.info.get("cluster_enabled") == "1"
    if in_cluster != (kind is Kind.CLUSTER):
        right = "redis+cluster://" if in_cluster else "redis://"
        raise ConfigurationError(f"the URL of {server.name} must begin with {right}")
    return [Finding("ok", server.name), *_eviction(server), *_persistence(server), *_rest(server)]


def _eviction(server: Settings) -> Iterator[Finding]:
    policy = server.info.get("maxmemory_policy", "")
    if policy.startswith("allkeys"):
        yield Finding(
            "error",
            f"{server.name}: maxmemory-policy is {policy}, which throws away tokens, settings and"
            " the news that accounts are disabled when memory is short; set it to noeviction",
        )
    elif policy.startswith("volatile"):
        yield Finding(
            "warning",
            f"{server.name}: maxmemory-policy is {policy}, which throws away sessions and notes of"
            " what was used once when memory is short; set it to noeviction",
        )


def _persistence(server: Settings) -> Iterator[Finding]:
    if server.info.get("aof_enabled") == "1":
        return
    snapshots = server.config is None or bool(server.config.get("save"))
    if snapshots or server.has_replicas:
        yield Finding(
            "error",
            f"{server.name}: appendonly is no, so that after a crash it comes back with an older"
            " copy, in which deleted tokens live again; set appendonly to yes, or save to '' where"
            " there are no replicas",
        )
    else:
        yield Finding(
            "warning",
            f"{server.name}: appendonly is no and save is empty: all tokens are gone when it stops",
        )


def _rest(server: Settings) -> Iterator[Finding]:
    if not server.tells_role:
        yield Finding(
            "warning",
            f"{server.name} does not let this user call ROLE, so that no replica is waited for and"
            " a fail-over can undo changes; give it that command",
        )
    if server.config is None:
        yield Finding(
            "warning",
            f"{server.name} does not tell its configuration, so that {', '.join(_SETTINGS)} could"
            " not be checked; give this user the command CONFIG GET, or look yourself",
        )
        return
    fsync = server.config.get("appendfsync")
    if server.info.get("aof_enabled") == "1" and fsync != "always":
        yield Finding(
            "warning",
            f"{server.name}: appendfsync is {fsync}, so that the last seconds of changes are lost"
            " when its machine crashes; set it to always",
        )
    if server.has_replicas and server.config.get("min-replicas-to-write", "0") == "0":
        yield Finding(
            "warning",
            f"{server.name}: min-replicas-to-write is 0, so that it goes on answering when it is"
            " cut off and another became the primary; set it to 1",
        )
