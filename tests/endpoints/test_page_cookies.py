"""The page's cookies."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.responses import Response

from bearer_guard.endpoints._page_cookies import Cookie


def request(scheme: str, cookies: str = "") -> Request:
    return Request(
        {
            "type": "http",
            "scheme": scheme,
            "server": ("testserver", 443),
            "path": "/",
            "query_string": b"",
            "headers": [(b"cookie", cookies.encode())],
        }
    )


def put(cookie: Cookie, scheme: str) -> str:
    answer = Response()
    cookie.put(answer, request(scheme), "value")
    return answer.headers["set-cookie"].lower()


@pytest.mark.parametrize("cookie", [Cookie.SESSION, Cookie.VISIT, Cookie.MADE])
def test_over_https_only_this_host_can_have_set_it(cookie: Cookie) -> None:
    said = put(cookie, "https")
    assert said == (f"__host-bearer-guard-{cookie}=value; httponly; path=/; samesite=lax; secure")


@pytest.mark.parametrize("cookie", list(Cookie))
def test_over_http_it_has_a_plain_name(cookie: Cookie) -> None:
    assert put(cookie, "http") == f"bearer-guard-{cookie}=value; httponly; path=/; samesite=lax"


def test_the_cookie_of_a_log_in_elsewhere_comes_along_with_its_answer() -> None:
    said = put(Cookie.JOURNEY, "https")
    assert "samesite=none" in said
    assert "secure" in said


def test_a_plain_one_counts_for_nothing_over_https() -> None:
    sent = "bearer-guard-session=planted"
    assert Cookie.SESSION.read(request("https", sent)) is None
    assert Cookie.SESSION.read(request("http", sent)) == "planted"
    assert Cookie.SESSION.read(request("https", f"__Host-{sent}")) == "planted"


def test_a_dropped_one_is_gone_at_once() -> None:
    answer = Response()
    Cookie.SESSION.drop(answer, request("https"))
    assert "max-age=0" in answer.headers["set-cookie"].lower()


def test_it_is_told_whether_an_answer_has_one() -> None:
    answer, asked = Response(), request("https")
    Cookie.VISIT.put(answer, asked, "x")
    assert Cookie.VISIT.is_in(answer, asked)
    assert not Cookie.SESSION.is_in(answer, asked)
