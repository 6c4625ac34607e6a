"""The store in Redis: the contract on every kind of server, and what is its own."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pytest
import redis

from bearer_guard.errors import ConfigurationError, StoreUnavailable
from bearer_guard.store import AccountStore, NoteStore, Store, open_store
from bearer_guard.stores.redis import RedisStore
from bearer_guard.testing import (
    AccountStoreContract,
    ManualClock,
    NoteStoreContract,
    StoreContract,
    a_record,
)
from bearer_guard.testing._contract_base import Contract
from bearer_guard.testing._contract_records import EndingContract, KeepingContract
from bearer_guard.testing._contract_settings import SettingsContract
from tests.issuing.logins.certificates import Authority
from tests.stores.redis_servers import (
    Cluster,
    RedisServer,
    Watched,
    a_cluster,
    a_redis,
    patience,
    until,
    valkey_program,
    watched,
)
from tests.stores.servers import scratch
from tests.support import LOOPBACK, free_port

__all__ = ["patience"]  # a fixture


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with a_redis() as server:
        yield server


@pytest.fixture(scope="module")
def valkey() -> Iterator[RedisServer]:
    with a_redis(program=valkey_program()) as server:
        yield server


@pytest.fixture(scope="module")
def sentinels() -> Iterator[Watched]:
    with watched("--appendonly", "yes") as group:
        yield group


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with a_cluster() as nodes:
        yield nodes


PASSWORD = "p@ss/w:rd"  # what a URL must quote
RULES = Path(__file__).parents[2] / "docs" / "stores-redis.md"


def make_documented_user(admin: redis.Redis) -> str:
    """A user with the permissions that the documentation asks for. Returns its log-in in a URL."""
    (line,) = (line for line in RULES.read_text().splitlines() if line.startswith("ACL SETUSER"))
    rules = [rule.replace("PASSWORD", PASSWORD) for rule in line.split()[3:]]
    admin.execute_command("ACL", "SETUSER", "guard", "reset", *rules)
    return f"guard:{quote(PASSWORD, safe='')}@"


def logs(admins: list[redis.Redis]) -> Iterator[tuple[redis.Redis, bytes]]:
    for admin in admins:
        for log in admin.scan_iter("*:log"):
            yield admin, log


@pytest.mark.usefixtures("patience")
class OnServers(Contract):
    """How the contract's stores are made: ``admins`` reach all servers that hold data."""

    @pytest.fixture
    async def store(
        self, url: str, admins: list[redis.Redis], clock: ManualClock
    ) -> AsyncIterator[RedisStore]:
        self.admins = admins
        for admin in admins:
            admin.flushall()
        store = RedisStore(url, clock=clock)
        await store.open()
        yield store
        await store.close()

    @pytest.fixture
    async def second(
        self,
        store: RedisStore,  # noqa: ARG002 - it comes first
        url: str,
        clock: ManualClock,
    ) -> AsyncIterator[RedisStore]:
        other = RedisStore(url, clock=clock)
        await other.open()
        yield other
        await other.close()

    async def trim_log(self, store: RedisStore, clock: ManualClock) -> None:
        """Servers date the log by their own clock."""
        await super().trim_log(store, clock)
        for admin, log in logs(self.admins):
            admin.xtrim(log, maxlen=1, approximate=False)

    async def lose_revisions(self, store: RedisStore, count: int) -> None:  # noqa: ARG002 - a hook
        for admin, log in logs(self.admins):
            entries = admin.xrange(log)
            admin.delete(log)
            for entry, fields in entries[:-count]:
                admin.xadd(log, fields, id=entry)


class TestRedis(OnServers, StoreContract, AccountStoreContract, NoteStoreContract):
    """With the permissions that the documentation asks for, and no more."""

    @pytest.fixture
    def admins(self, server: RedisServer) -> list[redis.Redis]:
        return [server.client()]

    @pytest.fixture
    def url(self, server: RedisServer) -> str:
        return server.url(login=make_documented_user(server.client()))


class TestValkey(OnServers, StoreContract, AccountStoreContract, NoteStoreContract):
    @pytest.fixture
    def admins(self, valkey: RedisServer) -> list[redis.Redis]:
        return [valkey.client()]

    @pytest.fixture
    def url(self, valkey: RedisServer) -> str:
        return valkey.url()


class TestSentinels(OnServers, KeepingContract, EndingContract, SettingsContract):
    """Once it is found, the server is one like the others, but for what a replica confirms."""

    @pytest.fixture
    def admins(self, sentinels: Watched) -> list[redis.Redis]:
        return [sentinels.primary().client()]

    @pytest.fixture
    def url(self, sentinels: Watched) -> str:
        return sentinels.url()


class TestCluster(OnServers, StoreContract, AccountStoreContract, NoteStoreContract):
    @pytest.fixture
    def admins(self, cluster: Cluster) -> list[redis.Redis]:
        return [node.client() for node in cluster.nodes]

    @pytest.fixture
    def url(self, cluster: Cluster) -> str:
        return cluster.url()


# Options


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        ("redis://h", {"retries": 3}, "retries; there are clock, prefix, shards, unsafe"),
        ("redis://h?retries=3", {}, "retries; there are prefix"),
        ("redis://h?prefix={x}", {}, "prefix"),
        ("redis://h", {"prefix": "a b"}, "prefix"),
        ("redis://h", {"prefix": "x" * 65}, "prefix"),
        ("redis://h?shards=0", {}, "shards"),
        ("redis://h?shards=many", {}, "shards"),
        ("redis://h", {"shards": 257}, "shards"),
        ("redis://h?unsafe=yes", {}, "unsafe"),
        ("redis+cluster://h/1", {}, "the URL of a Redis store is"),
    ],
)
def test_a_wrong_option_is_refused(url: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        open_store(url, **options)


def test_an_option_by_name_stands_above_one_in_the_url() -> None:
    store = RedisStore("redis://h?prefix=url:&shards=3", prefix="name:", shards=2)
    assert store._db.log_key(1) == "name:{s1}:log"
    assert store._db.shards == 2


@pytest.mark.parametrize(
    ("url", "shards"), [("redis://h", 1), ("redis+sentinel://h/s", 1), ("redis+cluster://h", 16)]
)
def test_a_cluster_has_sixteen_shards_and_a_server_one(url: str, shards: int) -> None:
    store = open_store(url)
    assert isinstance(store, RedisStore)
    assert store._db.shards == shards


def test_it_is_all_kinds_of_store() -> None:
    store = RedisStore("redis://h")
    assert isinstance(store, Store)
    assert isinstance(store, AccountStore)
    assert isinstance(store, NoteStore)


async def test_databases_of_one_server_are_apart(server: RedisServer) -> None:
    server.client().flushall()
    one, other = RedisStore(server.url("/1")), RedisStore(server.url("/2"))
    await one.open()
    await other.open()
    record = a_record()
    await one.add(record)
    assert await other.fetch([record.id]) == {}
    assert await one.fetch([record.id]) == {record.id: record}
    await one.close()
    await other.close()


# Getting in


async def test_the_documented_user_is_not_warned_of_anything_and_gets_hints(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    admin = server.client()
    store = RedisStore(server.url(login=make_documented_user(admin)))
    await store.open()
    assert "checked" not in caplog.text
    hints = store.hints()
    hearing = asyncio.ensure_future(anext(hints))
    await until(lambda: admin.info("clients")["blocked_clients"] > 0)
    record = a_record()
    await store.add(record)
    await store.end(record.id, 5)
    assert await asyncio.wait_for(hearing, 2) == {record.id}
    await hints.aclose()
    await store.close()
    for command in (["FLUSHALL"], ["GET", "other"], ["KEYS", "*"], ["CONFIG", "SET", "save", ""]):
        with pytest.raises(redis.exceptions.NoPermissionError):
            server.client(username="guard", password=PASSWORD).execute_command(*command)


@pytest.mark.parametrize("login", ["", "guard:wrong@", ":wrong@"])
async def test_who_does_not_get_in_is_told_so_without_the_password(
    server: RedisServer, login: str
) -> None:
    admin = server.client()
    admin.config_set("requirepass", PASSWORD)
    try:
        with pytest.raises(StoreUnavailable) as caught:
            await RedisStore(server.url(login=login)).open()
        told = "".join(traceback.format_exception(caught.value))
        assert "does not accept the user name or the password" in str(caught.value)
        assert "wrong" not in told
        store = RedisStore(server.url(login=f":{quote(PASSWORD, safe='')}@"))
        await store.open()
        await store.close()
    finally:
        admin.config_set("requirepass", "")


class Secure(NamedTuple):
    """A server that asks for certificates; its port for TLS, and the query that satisfies it."""

    port: int
    files: dict[str, Path]


@pytest.fixture(scope="module")
def secure() -> Iterator[Secure]:
    with scratch() as folder:
        authority = Authority(folder)
        cert, key = authority.issue("server")
        for file in (authority.ca_file, cert, key):
            file.chmod(0o644)  # for the server's user
        port = free_port()
        with a_redis(
            *("--tls-port", str(port), "--tls-auth-clients", "yes"),
            *("--tls-cert-file", str(cert), "--tls-key-file", str(key)),
            *("--tls-ca-cert-file", str(authority.ca_file)),
        ):
            yield Secure(port, {"ca": authority.ca_file, "cert": cert, "key": key})


def secure_url(secure: Secure, host: str, *names: str) -> str:
    query = "&".join(f"{name}_file={secure.files[name]}" for name in names)
    return f"rediss://{host}:{secure.port}?{query}"


async def test_tls_with_a_certificate_of_ones_own(secure: Secure) -> None:
    store = RedisStore(secure_url(secure, LOOPBACK, "ca", "cert", "key"))
    await store.open()
    record = a_record()
    await store.add(record)
    assert await store.fetch([record.id]) == {record.id: record}
    await store.close()


@pytest.mark.parametrize(
    ("host", "names"),
    [
        (LOOPBACK, ["cert", "key"]),  # whose authority is none of the system's
        (LOOPBACK, ["ca"]),  # the server wants to see a certificate
        ("localhost", ["ca", "cert", "key"]),  # which is not the name in the certificate
    ],
    ids=["authority", "certificate", "name"],
)
async def test_tls_that_can_not_be_trusted_is_no_answer(
    secure: Secure, host: str, names: list[str]
) -> None:
    with pytest.raises(StoreUnavailable):
        await RedisStore(secure_url(secure, host, *names)).open()
