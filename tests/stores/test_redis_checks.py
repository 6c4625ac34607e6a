"""Whether a Redis server is fit for a store, and what is said where it is not."""

import logging
from collections.abc import Iterator

import pytest

from bearer_guard.errors import ConfigurationError, StoreUnavailable
from bearer_guard.store import Finding
from bearer_guard.stores._redis_checks import Settings, judge
from bearer_guard.stores._redis_url import Kind
from bearer_guard.stores.redis import RedisStore
from tests.stores.redis_servers import RedisServer, a_pair, a_redis, patience, valkey_program

__all__ = ["patience"]  # a fixture
pytestmark = pytest.mark.usefixtures("patience")

INFO = {
    "redis_version": "7.4.1",
    "cluster_enabled": "0",
    "maxmemory_policy": "noeviction",
    "aof_enabled": "1",
    "connected_slaves": "0",
}
CONFIG = {"appendfsync": "always", "save": "", "min-replicas-to-write": "0"}
OFF = {"aof_enabled": "0"}
REPLICAS = {"connected_slaves": "2"}


def judged(
    info: dict[str, str], config: dict[str, str] | None, kind: Kind = Kind.SINGLE
) -> list[Finding]:
    full = None if config is None else CONFIG | config
    return judge(Settings("h:1", INFO | info, full), kind)


def test_of_a_sound_server_nothing_bad_is_said() -> None:
    assert judged({}, {}) == [Finding("ok", "Redis 7.4.1 at h:1")]
    assert judged(REPLICAS, {"min-replicas-to-write": "1"})[1:] == []


@pytest.mark.parametrize(
    ("info", "config", "level", "words"),
    [
        ({"maxmemory_policy": "allkeys-lru"}, {}, "error", "maxmemory-policy is allkeys-lru"),
        ({"maxmemory_policy": "allkeys-random"}, {}, "error", "set it to noeviction"),
        ({"maxmemory_policy": "volatile-ttl"}, {}, "warning", "set it to noeviction"),
        (OFF, {"save": "3600 1"}, "error", "set appendonly to yes"),
        (OFF | REPLICAS, {"min-replicas-to-write": "1"}, "error", "set appendonly to yes"),
        (OFF, {}, "warning", "all tokens are gone when it stops"),
        ({}, {"appendfsync": "everysec"}, "warning", "appendfsync is everysec"),
        ({}, {"appendfsync": "no"}, "warning", "set it to always"),
        (REPLICAS, {}, "warning", "min-replicas-to-write is 0"),
        ({}, None, "warning", "appendfsync, save, min-replicas-to-write could not be checked"),
    ],
)
def test_what_could_lose_a_revocation_is_said_with_its_cure(
    info: dict[str, str], config: dict[str, str] | None, level: str, words: str
) -> None:
    _, finding = judged(info, config)
    assert finding.level == level
    assert words in finding.text
    assert "h:1" in finding.text


def test_where_it_can_not_be_checked_a_server_without_aof_is_refused() -> None:
    assert [finding.level for finding in judged(OFF, None)] == ["ok", "error", "warning"]


@pytest.mark.parametrize("version", ["6.2.14", "5.0", ""])
def test_an_old_server_is_refused(version: str) -> None:
    with pytest.raises(ConfigurationError, match="too old"):
        judged({"redis_version": version}, {})


def test_valkey_is_called_by_its_name() -> None:
    info = {"server_name": "valkey", "valkey_version": "9.1.2", "redis_version": "7.2.4"}
    assert judged(info, {})[0].text == "Valkey 9.1.2 at h:1"


@pytest.mark.parametrize(
    ("enabled", "kind", "right"),
    [
        ("1", Kind.SINGLE, r"redis\+cluster://"),
        ("1", Kind.SENTINEL, r"redis\+cluster://"),
        ("0", Kind.CLUSTER, "redis://"),
    ],
)
def test_the_url_of_another_kind_is_refused_and_the_right_one_named(
    enabled: str, kind: Kind, right: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"must begin with {right}"):
        judged({"cluster_enabled": enabled}, {}, kind)


# Real servers


@pytest.fixture(scope="module", params=["redis", "valkey"])
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    program = valkey_program() if request.param == "valkey" else None
    with a_redis("--appendonly", "yes", "--appendfsync", "always", program=program) as server:
        yield server


async def said_at_opening(url: str, caplog: pytest.LogCaptureFixture) -> str:
    caplog.clear()
    store = RedisStore(url)
    with caplog.at_level(logging.WARNING, "bearer_guard"):
        await store.open()
    await store.close()
    return caplog.text


async def test_a_sound_server_is_opened_without_a_word(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    assert await said_at_opening(server.url(), caplog) == ""


@pytest.mark.parametrize(
    ("setting", "unsafe", "safe"),
    [("maxmemory-policy", "allkeys-lru", "noeviction"), ("appendonly", "no", "yes")],
)
async def test_an_unsafe_server_is_refused_unless_it_is_allowed(
    server: RedisServer,
    caplog: pytest.LogCaptureFixture,
    setting: str,
    unsafe: str,
    safe: str,
) -> None:
    admin = server.client()
    admin.config_set("save", "3600 1")
    admin.config_set(setting, unsafe)
    try:
        with pytest.raises(ConfigurationError, match=f"{setting} is {unsafe}.*unsafe=allow"):
            await RedisStore(server.url()).open()
        assert f"{setting} is {unsafe}" in await said_at_opening(
            server.url("?unsafe=allow"), caplog
        )
        findings = await RedisStore(server.url()).diagnose()
        assert [f.level for f in findings if setting in f.text] == ["error"]
    finally:
        admin.config_set(setting, safe)
        admin.config_set("save", "")


async def test_a_warning_is_logged_at_opening(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    admin = server.client()
    admin.config_set("appendfsync", "everysec")
    assert "appendfsync is everysec" in await said_at_opening(server.url(), caplog)
    admin.config_set("appendfsync", "always")


async def test_what_may_not_be_asked_is_said_to_be_unchecked(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.client().acl_setuser(
        "guard",
        enabled=True,
        passwords=["+pw"],
        keys=["bearer_guard:*"],
        commands=["+@all", "-config"],
    )
    text = await said_at_opening(server.url(login="guard:pw@"), caplog)
    assert "could not be checked" in text
    assert "pw" not in text


async def test_who_may_not_ask_for_replicas_is_told_that_none_is_waited_for(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.client().acl_setuser(
        "guard",
        reset=True,
        enabled=True,
        passwords=["+pw"],
        keys=["bearer_guard:*"],
        commands=["+@all", "-role"],
    )
    text = await said_at_opening(server.url(login="guard:pw@"), caplog)
    assert "no replica is waited for" in text


async def test_a_server_with_replicas_is_told_of_split_brains(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with a_pair("--appendonly", "yes") as (primary, _):
        text = await said_at_opening(primary.url(), caplog)
        assert "min-replicas-to-write is 0" in text


async def test_the_wrong_kind_of_url_is_told_by_a_real_server(server: RedisServer) -> None:
    url = server.url().replace("redis://", "redis+cluster://")
    with pytest.raises(StoreUnavailable, match="is it a cluster"):
        await RedisStore(url).open()


async def test_a_server_that_is_not_there_is_no_answer() -> None:
    for call in (
        RedisStore("redis://127.0.0.1:1").open,
        RedisStore("redis://127.0.0.1:1").diagnose,
    ):
        with pytest.raises(StoreUnavailable, match="can't be reached"):
            await call()
