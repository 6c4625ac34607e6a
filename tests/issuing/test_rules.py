"""`rules`: what a new token may say."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bearer_guard.errors import InvalidRequest, NotAllowed
from bearer_guard.issuing.rules import (
    check_description,
    check_narrowing,
    check_networks,
    check_owner,
    check_scopes,
    later_ms,
    whole_ms,
)
from bearer_guard.judge import allowed_from


@pytest.mark.parametrize("text", ["", "nightly sync", "Bücher 📚 שלום", "x" * 256, "  spaced  "])
def test_a_description_is_kept_as_given(text: str) -> None:
    assert check_description(text) == text


@pytest.mark.parametrize(
    "text", ["x" * 257, "a\nb", "a\tb", "\0", "a\x7fb", "a\x85b", "\x1b[31m", "\ud800", 5, None]
)
def test_a_description_that_can_not_be_one_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        check_description(text)


@pytest.mark.parametrize("name", ["", "x" * 257, "a\nb", "\udfff", None])
def test_a_name_that_can_not_be_one_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        check_owner(name)


def test_scopes_are_sorted_and_stand_once() -> None:
    assert check_scopes(["write", "read", "write"]) == ("read", "write")


@pytest.mark.parametrize("scope", ["", "a b", 'a"b', "a\\b", "é", "a\n", "x" * 257])
def test_a_scope_that_is_no_scope_token_is_refused(scope: str) -> None:
    with pytest.raises(InvalidRequest):
        check_scopes([scope])


@pytest.mark.parametrize("scopes", ["read", [1], [None], [b"read"], ["s"] * 101])
def test_scopes_are_a_list_of_texts(scopes: list[str]) -> None:
    with pytest.raises(InvalidRequest):
        check_scopes(scopes)


@pytest.mark.parametrize(
    ("given_form", "kept"),
    [
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.1", "192.0.2.1/32"),
        ("2001:DB8:0:0::/32", "2001:db8::/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:a00:1", "10.0.0.1/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
    ],
)
def test_a_network_has_one_form(given_form: str, kept: str) -> None:
    assert check_networks([given_form]) == (kept,)


def test_networks_are_sorted_as_numbers_and_stand_once() -> None:
    networks = ["::1", "10.0.0.0/8", "9.0.0.0/8", "010.0.0.0/8"[1:], "10.0.0.0/16"]
    assert check_networks(networks) == ("9.0.0.0/8", "10.0.0.0/8", "10.0.0.0/16", "::1/128")


@pytest.mark.parametrize(
    "network",
    [
        "",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/",
        "/8",
        "010.0.0.0/8",
        "10.0.0/8",
        "10",
        "fe80::%eth0/64",
        "localhost",
        " 10.0.0.0/8",
        "10.0.0.0/\uff18",
    ],
)
def test_a_network_that_is_none_is_refused(network: str) -> None:
    with pytest.raises(InvalidRequest):
        check_networks([network])


@pytest.mark.parametrize(
    ("length", "ms"),
    [
        (timedelta(milliseconds=1), 1),
        (timedelta(microseconds=999), 0),
        (timedelta(microseconds=1999), 1),
        (timedelta(days=36500, milliseconds=1), 36500 * 86_400_000 + 1),
        (timedelta(microseconds=-1), -1),
    ],
)
def test_a_length_is_whole_milliseconds_and_never_more(length: timedelta, ms: int) -> None:
    assert whole_ms(length) == ms


@pytest.mark.parametrize("length", [3600, 1.5, None, "1d"])
def test_a_length_is_a_timedelta(length: timedelta) -> None:
    with pytest.raises(InvalidRequest):
        whole_ms(length)


def test_instants_go_to_the_end_of_the_year_9999() -> None:
    assert later_ms(0, 253_402_300_799_999) == 253_402_300_799_999
    with pytest.raises(InvalidRequest):
        later_ms(1, 253_402_300_799_999)


@pytest.mark.parametrize(
    ("scopes", "within"), [((), ()), (("a",), ("a", "b")), ((), ("a",)), (("a",), None)]
)
def test_scopes_within_those_of_the_parent_pass(
    scopes: tuple[str, ...], within: tuple[str, ...] | None
) -> None:
    check_narrowing(scopes=scopes, networks=(), within_scopes=within, within_networks=None)


@pytest.mark.parametrize(
    ("scopes", "within"), [(("a",), ()), (("a", "c"), ("a", "b")), (("A",), ("a",))]
)
def test_a_scope_that_the_parent_lacks_is_not_allowed(
    scopes: tuple[str, ...], within: tuple[str, ...]
) -> None:
    with pytest.raises(NotAllowed):
        check_narrowing(scopes=scopes, networks=(), within_scopes=within, within_networks=None)


@pytest.mark.parametrize(
    ("networks", "within"),
    [
        (["10.1.0.0/16"], ["10.0.0.0/8"]),
        (["10.0.0.0/8"], ["10.0.0.0/8"]),
        (["10.0.0.0/8"], []),
        ([], []),
        (["10.0.0.0/8"], ["10.0.0.0/9", "10.128.0.0/9"]),
        (["2001:db8:1::/48", "10.0.0.1"], ["2001:db8::/32", "10.0.0.0/30"]),
    ],
)
def test_networks_within_those_of_the_parent_pass(networks: list[str], within: list[str]) -> None:
    check_narrowing(
        scopes=(),
        networks=check_networks(networks),
        within_scopes=None,
        within_networks=check_networks(within),
    )


@pytest.mark.parametrize(
    ("networks", "within"),
    [
        ([], ["10.0.0.0/8"]),
        (["0.0.0.0/0"], ["10.0.0.0/8"]),
        (["10.0.0.0/7"], ["10.0.0.0/8"]),
        (["::/0"], ["10.0.0.0/8"]),
        (["10.0.0.0/8", "::1"], ["10.0.0.0/8"]),
    ],
)
def test_networks_wider_than_those_of_the_parent_are_not_allowed(
    networks: list[str], within: list[str]
) -> None:
    with pytest.raises(NotAllowed):
        check_narrowing(
            scopes=(),
            networks=check_networks(networks),
            within_scopes=None,
            within_networks=check_networks(within),
        )


blocks = st.lists(
    st.builds(
        lambda address, length: str(ip_network((address, length), strict=False)),
        st.integers(0, 2**32 - 1),
        st.integers(0, 32),
    ),
    min_size=1,
    max_size=4,
)


@given(blocks, blocks, st.integers(0, 2**32 - 1))
def test_what_passes_lets_nothing_in_that_the_parent_keeps_out(
    networks: list[str], within: list[str], address: int
) -> None:
    child, parent = check_networks(networks), check_networks(within)
    here = str(ip_address(address))
    try:
        check_narrowing(scopes=(), networks=child, within_scopes=None, within_networks=parent)
    except NotAllowed:
        return
    assert allowed_from(parent, here) or not allowed_from(child, here)
