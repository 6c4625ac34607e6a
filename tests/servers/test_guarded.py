"""The same verdict on every server: raw bytes in, INTERFACE's answers out."""

from __future__ import annotations

import json
import re
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from bearer_guard.token import TokenForm
from tests.proxies.corpus import REFUSED, TAKEN, tally
from tests.servers.support import SERVERS, Served, serve
from tests.support import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.support import Served


class Site:
    """A guarded application on a real server."""

    def __init__(self, name: str, served: Served, tokens: dict[str, str]) -> None:
        self.name = name
        self.served = served
        self.tokens = tokens

    def raw(self, request: bytes) -> tuple[int, bytes, bytes]:
        """One request as it stands; status, head and body of the answer."""
        for _ in range(9):
            # A server that closes before it has read everything resets the connection, which can
            # overtake its answer.
            with suppress(ConnectionResetError, BrokenPipeError):
                answer = self._answer(request)
                break
        else:
            pytest.fail("the connection is always reset")
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1]), head.lower(), body

    def _answer(self, request: bytes) -> bytes:
        with socket.create_connection((LOOPBACK, self.served.port), timeout=10) as line:
            line.sendall(request)
            answer = b""
            while chunk := line.recv(65536):
                answer += chunk
                if _whole(answer, head=request.startswith(b"HEAD")):
                    break
        return answer

    def get(self, *lines: str, path: str = "/", method: str = "GET") -> tuple[int, bytes, bytes]:
        """One request with these header lines."""
        head = [f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", ""]
        return self.raw("\r\n".join(head).encode("latin-1"))


def _whole(answer: bytes, *, head: bool) -> bool:
    top, ended, body = answer.partition(b"\r\n\r\n")
    if not ended:
        return False
    lengths = [
        int(line.split(b":")[1])
        for line in top.lower().split(b"\r\n")
        if line.startswith(b"content-length")
    ]
    return head or (bool(lengths) and len(body) >= lengths[0]) or answer.endswith(b"0\r\n\r\n")


@pytest.fixture(scope="module", params=SERVERS)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    path = tmp_path_factory.mktemp("tokens") / "tokens.json"
    with serve(
        "tests.servers.guarded:app", request.param, env={"TOKENS": str(path)}, probe="/open"
    ) as served:
        yield Site(request.param, served, json.loads(path.read_text()))


def forged() -> str:
    return TokenForm().mint(uuid4(), lambda _: b"0123456789")


# Header lines with {token names}, and the status that each server must answer.
CASES: Final = {
    "good": (["Authorization: Bearer {good}"], 200),
    "lower case": (["authorization: bearer {good}"], 200),
    "spaces": (["Authorization:   Bearer   {good}  "], 200),
    "tab around": (["Authorization:\tBearer {good}\t"], 200),
    "none": ([], 401),
    "basic": (["Authorization: Basic YTpi"], 401),
    "empty": (["Authorization:"], 401),
    "tab inside": (["Authorization: Bearer\t{good}"], 401),
    "comma": (["Authorization: Bearer {good},{good}"], 401),
    "quotes": (['Authorization: Bearer "{good}"'], 401),
    "not ASCII": (["Authorization: Bearer {good}\xe9"], 401),
    "two": (["Authorization: Bearer {good}", "Authorization: Bearer {good}"], 400),
    "two kinds": (["Authorization: Bearer {good}", "authorization: Basic YTpi"], 400),
    "forged": (["Authorization: Bearer {forged}"], 401),
    "unknown": (["Authorization: Bearer {unknown}"], 401),
    "expired": (["Authorization: Bearer {expired}"], 401),
    "ended": (["Authorization: Bearer {ended}"], 401),
    "another network": (["Authorization: Bearer {elsewhere}"], 403),
    "proxy identity": (["Authorization: Bearer {good}", "X-Remote-User: m"], 403),
    "underscores": (["Authorization: Bearer {good}", "X_Remote_User: m"], 403),
    "capitals": (["Authorization: Bearer {good}", "REMOTE_USER: m"], 403),
    "a blank one": (["Authorization: Bearer {good}", "X-Remote-User:"], 200),
    "a blank and a full one": (
        ["Authorization: Bearer {good}", "X-Remote-User: ", "x-remote-user: m"],
        403,
    ),
    "a near miss": (["Authorization: Bearer {good}", "X-Remote-User-Agent: m"], 200),
    "a proxy identity alone": (["X-Remote-User: m"], 401),
    "a cookie": (["Cookie: Authorization=Bearer {good}"], 401),
}


@pytest.mark.parametrize("case", CASES)
def test_invariant_14_the_same_verdict_on_every_server(site: Site, case: str) -> None:
    lines, status = CASES[case]
    tokens = {**site.tokens, "forged": forged()}
    for _ in range(2):  # by the store, then by the hit path
        got, head, body = site.get(*(line.format(**tokens) for line in lines))
        assert got == status
        assert (b"www-authenticate: bearer realm=" in head) is (status != 200)
        assert json.loads(body)["user" if status == 200 else "error"]
        assert not [token for token in tokens.values() if token.encode() in head + body]


def test_invariant_7_no_server_hides_an_identity_or_makes_one_of_a_near_miss(site: Site) -> None:
    turn = list(SERVERS).index(site.name)
    bearer = f"Authorization: Bearer {site.tokens['good']}".encode()
    found, missed = tally(
        site.served.port, bearer, turn, lambda answer: "" if answer.status == 200 else None
    )
    assert set(found) == {REFUSED}
    assert found.total() > 250
    assert set(missed) == {TAKEN}  # it has passed, and the application does not tell its headers


def test_head_and_http_1_0_and_a_body_that_nobody_reads(site: Site) -> None:
    good = f"Authorization: Bearer {site.tokens['good']}"
    assert site.get(method="HEAD")[0] == 401
    assert site.raw(f"GET / HTTP/1.0\r\n{good}\r\n\r\n".encode())[0] == 200
    assert site.raw(b"GET / HTTP/1.0\r\n\r\n")[0] == 401
    post = f"POST / HTTP/1.1\r\nHost: x\r\n{good}\r\nContent-Length: 3\r\n\r\nabc".encode()
    assert json.loads(site.raw(post)[2])["length"] == 3
    refused = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 1000
    assert site.raw(refused)[0] == 401


def test_an_exempt_path_needs_no_token(site: Site) -> None:
    assert site.get(path="/open")[0] == 200
    assert site.get(path="/open/")[0] == 401
    assert site.get(path="/open%2F..%2F")[0] == 401


def test_absurd_headers_get_an_answer_and_no_traceback(site: Site) -> None:
    for line in ("Authorization: " + "x" * 8000, "X-Long: " + "y" * 8000, "A" * 4000 + ": b"):
        assert site.get(line)[0] in {400, 401, 431}
    many = [f"X-Header-{number}: {number}" for number in range(80)]
    assert site.get(*many, f"Authorization: Bearer {site.tokens['good']}")[0] == 200


CHUNKED: Final = "Transfer-Encoding: chunked"
BODY: Final = "4\r\nbody\r\n0\r\n\r\n"
# Requests that servers read in different ways, or not at all: version, header lines, body.
ODD: Final = {
    "64 kB in a header": ("1.1", ["X-Long: " + "x" * 65_536], ""),
    "64 kB in many headers": ("1.1", [f"X-{n}: " + "x" * 1000 for n in range(64)], ""),
    "64 kB of token": ("1.1", ["Authorization: Bearer " + "x" * 65_536], ""),
    "a length beside chunks": ("1.1", [CHUNKED, "Content-Length: 4"], BODY),
    "chunked twice": ("1.1", [CHUNKED, CHUNKED], BODY),
    "two lengths": ("1.1", ["Content-Length: 4", "Content-Length: 5"], "body"),
    "a negative length": ("1.1", ["Content-Length: -4"], "body"),
    "a chunk with an extension": ("1.1", [CHUNKED], BODY.replace("4", "4;a=b")),
    "a chunk of no size": ("1.1", [CHUNKED], BODY.replace("4", "x")),
    "an identity in a trailer": ("1.1", [CHUNKED], "0\r\nX-Remote-User: root\r\n\r\n"),
    "chunks in HTTP/1.0": ("1.0", [CHUNKED], BODY),
    "HTTP/2.7": ("2.7", [], ""),
    "NUL in a value": ("1.1", ["X-Note: a\0b"], ""),
}


@pytest.mark.parametrize("odd", ODD)
def test_what_is_odd_has_an_answer_and_never_another_user(odd: str, site: Site) -> None:
    version, lines, body = ODD[odd]
    top = [f"POST / HTTP/{version}", "Host: x", "Connection: close"]
    for token in (f"Authorization: Bearer {site.tokens['good']}", "X-Note: none"):
        request = "\r\n".join([*top, token, *lines, "", body]).encode("latin-1")
        status, _, answer = site.raw(request)
        passed = status == 200
        assert passed or status in {400, 401, 403, 431, 501, 505}  # 403: a trailer read as a header
        assert not passed or (token != "X-Note: none" and json.loads(answer)["user"] == "alice")
    assert not [place for place in raised_in(site.served.child.log()) if "bearer_guard" in place]


def raised_in(log: str) -> list[str]:
    """The files where errors came from. uvicorn logs one of its own when it has answered first."""
    traces = log.split("Traceback (most recent call last):")[1:]
    return [re.findall(r'^  File "([^"]+)"', trace, re.MULTILINE)[-1] for trace in traces]


def test_a_websocket_is_guarded(site: Site) -> None:
    url = f"ws://{LOOPBACK}:{site.served.port}/echo"
    good = {"Authorization": f"Bearer {site.tokens['good']}"}
    for _ in range(2):
        with connect(url, additional_headers=good) as line:
            line.send("hello")
            assert line.recv() == "alice: hello"
    for headers in ({}, {"Authorization": f"Bearer {forged()}"}, {**good, "X-Remote-User": "m"}):
        with pytest.raises(InvalidStatus) as refused:
            connect(url, additional_headers=headers)
        assert refused.value.response.status_code in {401, 403}


def test_what_is_open_is_closed_when_its_token_ends(site: Site) -> None:
    doomed = site.tokens["doomed"]
    url = f"ws://{LOOPBACK}:{site.served.port}/echo"
    with (
        connect(url, additional_headers={"Authorization": f"Bearer {doomed}"}) as line,
        socket.create_connection((LOOPBACK, site.served.port), timeout=10) as stream,
    ):
        line.send("hello")
        assert line.recv() == "alice: hello"
        head = f"GET /ticks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {doomed}\r\n\r\n"
        stream.sendall(head.encode())
        assert b" 200 " in stream.recv(4096)
        assert site.get(f"Authorization: Bearer {doomed}", path="/end")[0] == 200
        with pytest.raises(ConnectionClosed):
            line.recv(timeout=10)
        while stream.recv(4096):
            pass  # until it is cut: the end comes, not the time-out
    assert site.get(f"Authorization: Bearer {doomed}")[0] == 401
