"""Paths that need no token, and tricks that make no more of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bearer_guard.errors import ConfigurationError
from bearer_guard.exempt import Exempt

PATHS = Exempt(["/healthz", "/static/*", "/a/b/*", "/deep/../exact"])
SEGMENTS = st.sampled_from(["", ".", "..", "a", "b", "static", "static\\..", "...", "%2e%2e", "x"])


@pytest.mark.parametrize(
    "path",
    [
        "/healthz",
        "/static/app.css",
        "/static/css/app.css",
        "/static/...",
        "/static/.well-known",
        "/static/..a",
        "/a/b/c",
        "/deep/../exact",
    ],
)
def test_a_listed_path_needs_no_token(path: str) -> None:
    assert path in PATHS


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/healthz/",
        "/healthz/x",
        "/healthzx",
        "healthz",
        "//healthz",
        "/Healthz",
        "/healthz?x",
        "/healthz\0",
        "/healthz ",
        "/./healthz",
        "/x/../healthz",
        "/static",
        "/staticx",
        "/static*",
        "/STATIC/a",
        "/a/b",
        "/a/c/b/d",
        "/exact",
    ],
)
def test_another_path_needs_one(path: str) -> None:
    assert path not in PATHS


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static//x",
        "/static/x/",
        "/static/x//y",
        "/static/.",
        "/static/..",
        "/static/../admin",
        "/static/./x",
        "/static/x/..",
        "/static/x/../../admin",
        "/static/x/.",
        "/static/\\",
        "/static/..\\admin",
        "/static/x\\..\\..\\admin",
        "//static/x",
        "/static/../static/x",
        "/./static/x",
        "/static/%2e%2e/x",
        "/static/..;/x",
        "/static/x\n",
        "/static/.\x00./x",
    ],
)
def test_invariant_08_no_trick_makes_more_of_a_prefix(path: str) -> None:
    assert path not in PATHS


@given(st.lists(SEGMENTS, max_size=6))
def test_invariant_08_below_a_prefix_nothing_leads_out(segments: list[str]) -> None:
    path = "/static/" + "/".join(segments)
    odd = {*"\\;%", *map(chr, range(32)), "\x7f"}
    plain = all(s not in {"", ".", ".."} and not odd & set(s) for s in segments) and bool(segments)
    assert (path in PATHS) == plain


@given(st.text())
def test_no_path_is_an_error(path: str) -> None:
    assert (path in PATHS) in {True, False}


def test_everything_may_be_exempt_but_what_is_not_plain() -> None:
    everything = Exempt(["/*"])
    assert ["/x/y" in everything, "/x/../y" in everything] == [True, False]


def test_without_paths_nothing_is_exempt() -> None:
    nothing = Exempt([])
    assert not nothing
    assert "/" not in nothing
    assert "" not in nothing


@pytest.mark.parametrize("path", ["/x", "/x/*"])
def test_with_a_path_something_is_exempt(path: str) -> None:
    assert Exempt([path])


@pytest.mark.parametrize(
    "path", ["", "x", "*", "x/*", "/x*", "/*/x", "/x/*/*", "/x/**", "/x/*/", "http://h/x", " /x"]
)
def test_a_path_of_another_form_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match="exempt path"):
        Exempt([path])


def test_one_string_is_no_list_of_paths() -> None:
    with pytest.raises(ConfigurationError, match="not one string"):
        Exempt("/healthz")


@given(st.lists(SEGMENTS, min_size=1, max_size=5).map(lambda words: "/" + "/".join(words)))
def test_what_is_surely_none_of_them_is_none(path: str) -> None:
    assert not (PATHS.is_none(path) and path in PATHS)


def test_what_begins_like_one_of_them_is_left_to_a_closer_look() -> None:
    paths = ["/healthz", "/static/app.css", "/static/../x", "/healthzx", "/static", "/x"]
    assert [PATHS.is_none(path) for path in paths] == [False] * 3 + [True] * 3


def test_paths_may_come_from_an_iterator_and_be_joined() -> None:
    both = Exempt(path for path in ["/a"]) | Exempt(path for path in ["/b/*"])
    assert "/a" in both
    assert "/b/c" in both
    assert not both.is_none("/b/c")
