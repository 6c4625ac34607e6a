"""What a proxy tells of a request, and when it is not to be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bearer_guard import ConfigurationError
from bearer_guard.endpoints._forwarded import USUAL, Asked, Proxies, Told, is_plain

if TYPE_CHECKING:
    from starlette.types import Scope


def a_scope(*headers: tuple[str, str], method: str = "HEAD") -> Scope:
    return {
        "type": "http",
        "method": method,
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }


@pytest.mark.parametrize(
    ("address", "is_one"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.0.0.1", False),
        ("::2", False),
        ("", False),
        ("unix:", False),
        ("10.1.2.3:80", False),
    ],
)
def test_proxies_are_known_by_address(address: str, is_one: bool) -> None:  # noqa: FBT001
    proxies = Proxies(["127.0.0.1", "::1", "10.0.0.0/8"])
    assert [address in proxies, address in proxies] == [is_one, is_one]


def test_many_clients_cost_no_memory() -> None:
    proxies = Proxies(["127.0.0.1"])
    for number in range(3000):
        assert f"10.0.{number // 256}.{number % 256}" not in proxies
    assert len(proxies._known) <= 1024


@pytest.mark.parametrize("addresses", ["127.0.0.1", ["localhost"], ["10.0.0.1/8"]])
def test_what_is_no_address_is_no_configuration(addresses: str | list[str]) -> None:
    with pytest.raises(ConfigurationError, match="trusted_proxies"):
        Proxies(addresses)


@pytest.mark.parametrize(
    ("values", "client"),
    [
        ([], "127.0.0.1"),
        (["192.0.2.1"], "192.0.2.1"),
        (["203.0.113.9, 192.0.2.1"], "192.0.2.1"),  # the client has made the first up
        (["203.0.113.9", "192.0.2.1"], "192.0.2.1"),
        (["192.0.2.1,10.0.0.1 , 10.0.0.2"], "192.0.2.1"),  # a proxy behind a proxy
        (["10.0.0.7, 10.0.0.1"], "10.0.0.7"),
        (["192.0.2.1, unknown"], None),
        (["192.0.2.1,"], None),
        (["192.0.2.1:4711"], None),
        (["2001:db8::1"], "2001:db8::1"),
    ],
)
def test_the_client_is_the_last_address_that_is_no_proxys(
    values: list[str], client: str | None
) -> None:
    proxies = Proxies(["127.0.0.1", "10.0.0.0/8"])
    assert proxies.client_behind("127.0.0.1", [v.encode() for v in values]) == client


@pytest.mark.parametrize(
    ("headers", "below", "asked"),
    [
        ([], "", Asked("HEAD", "")),
        ([("x-original-method", "PUT"), ("x-original-uri", "/a?b=/c")], "", Asked("PUT", "/a")),
        ([("x-forwarded-method", "PUT"), ("x-forwarded-uri", "/a%20b")], "", Asked("PUT", "/a b")),
        ([("x-original-url", "https://h:8/a?b")], "", Asked("HEAD", "/a")),
        ([("x-original-url", "https://h")], "", Asked("HEAD", "/")),
        ([("x-original-uri", " /a "), ("x-original-url", "http://h/a")], "", Asked("HEAD", "/a")),
        ([("x-original-uri", ""), ("x-forwarded-uri", "/a")], "", Asked("HEAD", "/a")),
        ([("x-original-uri", "//h/a")], "", Asked("HEAD", "//h/a")),
        ([("x-original-uri", "/%ff")], "", Asked("HEAD", "/\ufffd")),
        ([], "/a", Asked("HEAD", "/a")),
    ],
)
def test_what_was_asked_for_is_read(
    headers: list[tuple[str, str]], below: str, asked: Asked
) -> None:
    assert Told(a_scope(*headers), below).asked() == asked


@pytest.mark.parametrize(
    ("headers", "below"),
    [
        ([("x-original-uri", "/a"), ("x-forwarded-uri", "/b")], ""),
        ([("x-original-uri", "/a"), ("x-original-uri", "/b")], ""),
        ([("x-original-uri", "/a"), ("x-original-url", "http://h/b")], ""),
        ([("x-original-method", "GET"), ("x-forwarded-method", "PUT")], ""),
        ([("x-original-method", "GET"), ("x-original-method", "get")], ""),
        ([("x-original-uri", "/a")], "/b"),
        ([("x-original-method", "GET")], "/b"),  # HEAD is the client's own
    ],
)
def test_what_does_not_agree_is_noticed(headers: list[tuple[str, str]], below: str) -> None:
    told = Told(a_scope(*headers), below)
    assert told.doubtful
    assert not told.asked().agreed
    assert below or tuple(name.encode() for name, _ in headers) not in USUAL


@pytest.mark.parametrize(
    "path",
    ["/", "/a", "/a/", "/a/b.c~d_e-f", "/a;v=1/b", "/a b/ü", "/100%", "/a/.well-known", "/a:b@c"],
)
def test_plain_paths(path: str) -> None:
    assert is_plain(path)


@pytest.mark.parametrize(
    "path",
    [
        "", "a", "*", "//a", "/a//b", "/a//", "/..", "/a/../b", "/./a", "/a/.", "/a/..;x/b",
        "/a/;x/b", "/%61", "/a#b", "/a\\b", "/a\x00", "/a\n", "/\ufffd",
    ],
)  # fmt: skip
def test_paths_that_servers_may_read_in_two_ways(path: str) -> None:
    assert not is_plain(path)
