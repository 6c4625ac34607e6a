"""URLs of Redis stores: what they say, and what is said of those that say nothing."""

import traceback

import pytest

from bearer_guard.errors import ConfigurationError
from bearer_guard.stores._redis_url import Address, Kind, Login, Target, parse

HOST = (Address("localhost", 6379),)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://localhost", Target(kind=Kind.SINGLE, addresses=HOST)),
        ("redis://localhost/", Target(kind=Kind.SINGLE, addresses=HOST)),
        (
            "redis://localhost:7/3",
            Target(kind=Kind.SINGLE, addresses=(("localhost", 7),), database=3),
        ),
        ("redis://[::1]:7", Target(kind=Kind.SINGLE, addresses=(("::1", 7),))),
        ("rediss://localhost", Target(kind=Kind.SINGLE, addresses=HOST, tls={})),
        (
            "rediss://localhost?ca_file=/a&cert_file=/b&key_file=/c",
            Target(
                kind=Kind.SINGLE,
                addresses=HOST,
                tls={"ssl_ca_certs": "/a", "ssl_certfile": "/b", "ssl_keyfile": "/c"},
            ),
        ),
        (
            "redis://:p%40s%2Fs@localhost",
            Target(kind=Kind.SINGLE, addresses=HOST, login=Login(None, "p@s/s")),
        ),
        (
            "redis://me:pa:ss@localhost",
            Target(kind=Kind.SINGLE, addresses=HOST, login=Login("me", "pa:ss")),
        ),
        (
            "redis+sentinel://me:pw@a:1,b,[::1]:3/main/2?sentinel_username=s&sentinel_password=t",
            Target(
                kind=Kind.SENTINEL,
                addresses=(Address("a", 1), Address("b", 26379), Address("::1", 3)),
                service="main",
                database=2,
                login=Login("me", "pw"),
                sentinel_login=Login("s", "t"),
            ),
        ),
        (
            "rediss+cluster://a,b:2",
            Target(kind=Kind.CLUSTER, addresses=(Address("a", 6379), Address("b", 2)), tls={}),
        ),
    ],
)
def test_a_url_says_where_and_how(url: str, expected: Target) -> None:
    assert parse(url) == (expected, {})


def test_the_options_of_the_store_are_told_apart() -> None:
    target, options = parse("redis+cluster://a?shards=4&prefix=x:&unsafe=allow&sentinel_password=p")
    assert target.sentinel_login.password == "p"
    assert options == {"shards": "4", "prefix": "x:", "unsafe": "allow"}


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis:///0",
        "redis://:7",
        "http://localhost",
        "redis+tcp://localhost",
        "redis://localhost:99999",
        "redis://localhost:port",
        "redis://localhost/zero",
        "redis://localhost/-1",
        "redis://localhost/0/1",
        "redis://a,,b",
        "redis+sentinel://a",
        "redis+sentinel://a/",
        "redis+sentinel://a/main/x",
        "redis+cluster://a/1",
        "redis://[::1",
        "redis://localhost?prefix",
    ],
)
def test_another_form_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="the URL of a Redis store is"):
        parse(url)


def test_an_unknown_option_is_refused_and_the_known_are_named() -> None:
    with pytest.raises(ConfigurationError, match=r"retries; there are prefix, .*key_file"):
        parse("redis://localhost?retries=3")


def test_files_without_tls_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="ca_file: the URL must begin with rediss"):
        parse("redis://localhost?ca_file=/a")


@pytest.mark.parametrize(
    "url", ["redis://me:5ecret@a:b", "redis://me:5ecret@a?x=5ecret", "bad://5ecret@[", "5ecret"]
)
def test_an_error_does_not_tell_the_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(url)
    assert "5ecret" not in "".join(traceback.format_exception(caught.value, chain=True)[-3:])
    assert "5ecret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_nothing_that_is_printed_tells_a_password() -> None:
    target, _ = parse("redis+sentinel://me:5ecret@a/main?sentinel_password=5ecret")
    assert "5ecret" not in repr(target)
    assert str(target) == "a:26379"
