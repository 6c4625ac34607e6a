"""What clients try on a proxy with the endpoint beside it, and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.proxies.wire import Answered, ask
from tests.proxies.world import ODD_SENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.proxies.backend import Seen
    from tests.proxies.world import World

_FOREIGN: Final = ("remote-user", "x-remote-user", "x-forwarded-user", "x-auth-request-user")
_UPGRADE: Final = [
    b"Connection: Upgrade",
    b"Upgrade: websocket",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Version: 13",
]
LARGE: Final = 3_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer, and what reached the service."""

    answer: Answered
    seen: list[Seen]

    @property
    def refused(self) -> bool:
        return not self.seen and self.answer.status not in range(200, 400)

    @property
    def users(self) -> list[str]:
        return [user for seen in self.seen for user in seen.values("x-bearer-guard-user")]

    @property
    def foreign(self) -> list[str]:
        """Headers that a service could take for an identity."""
        return [name for seen in self.seen for name in _FOREIGN if seen.values(name)]

    def __str__(self) -> str:
        """The verdict, as the table has it."""
        status = str(self.answer.status) if self.answer.status else "closed"
        if not self.seen:
            return status
        users = ", ".join(user.strip() for user in self.users) or "nobody"
        return f"{status} {users}" + "".join(f" + {name}" for name in self.foreign)


def refused(outcome: Outcome) -> bool:
    return outcome.refused


def unauthorized(outcome: Outcome) -> bool:
    """401, and the challenge reaches the client."""
    challenges = outcome.answer.values("www-authenticate")
    return outcome.refused and outcome.answer.status == 401 and "Bearer" in "".join(challenges)


def forbidden(outcome: Outcome) -> bool:
    return outcome.refused and outcome.answer.status == 403


def alice(outcome: Outcome) -> bool:
    """It has passed as alice's, and the service can take it for nobody else's."""
    passed = outcome.answer.status in (101, 200) and outcome.users == ["alice"]
    return passed and not outcome.foreign


def alice_or_refused(outcome: Outcome) -> bool:
    return outcome.refused or alice(outcome)


def never_another(outcome: Outcome) -> bool:
    """Refused, or alice's, or the service is told of nobody and must refuse by itself."""
    return outcome.refused or (set(outcome.users) <= {"alice"} and not outcome.foreign)


def odd(outcome: Outcome) -> bool:
    return outcome.users == [ODD_SENT]


def whole(outcome: Outcome) -> bool:
    return alice(outcome) and outcome.seen[0].length == LARGE


def websocket(outcome: Outcome) -> bool:
    return alice(outcome) and outcome.answer.after == b"ping"


def never_admin(outcome: Outcome) -> bool:
    """The service sees no path below /admin, read in whatever way."""
    paths = [seen.path.lower().replace("%61", "a") for seen in outcome.seen]
    return outcome.refused or not any("admin" in path for path in paths)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One request.

    Attributes:
        name: Of the row of the table.
        token: Which token it carries.
        lines: Header lines besides.
        must: What has to come of it.
    """

    name: str
    must: Callable[[Outcome], bool]
    token: str | None = "valid"
    lines: list[bytes] = field(default_factory=list)
    method: str = "GET"
    path: str = "/"
    version: str = "1.1"
    body: bytes = b""

    def make(self, world: World, port: int) -> Outcome:
        world.backend.seen.clear()
        lines = [] if self.token is None else [world.bearer(self.token)]
        lines += [line.replace(b"TOKEN", world.tokens["admin"].encode()) for line in self.lines]
        answer = ask(
            port,
            lines,
            method=self.method,
            path=self.path,
            version=self.version,
            body=self.body,
        )
        return Outcome(answer, [*world.backend.seen])


def _identity(
    name: str, *lines: bytes, must: Callable[[Outcome], bool] = alice_or_refused
) -> Attack:
    return Attack(name=name, lines=[*lines], must=must)


def _body(name: str, *lines: bytes, body: bytes = b"4\r\nbody\r\n0\r\n\r\n") -> Attack:
    """A body whose end is in doubt."""
    return Attack(
        name=name, must=never_another, method="POST", token="valid", lines=[*lines], body=body
    )


def _bearer(token: bytes) -> bytes:
    return b"Authorization: Bearer " + token


_CHUNKED: Final = b"Transfer-Encoding: chunked"

ATTACKS: Final = [
    Attack(name="valid token", must=alice),
    Attack(name="valid token, HTTP/1.0", must=alice_or_refused, version="1.0"),
    Attack(name="valid token without scopes", must=alice, token="blank"),
    Attack(name="owner's name is no ASCII", must=odd, token="odd"),
    Attack(name="HEAD", must=alice, method="HEAD"),
    Attack(
        name="POST of 3 MB",
        must=whole,
        method="POST",
        lines=[b"Content-Length: %d" % LARGE],
        body=b"x" * LARGE,
    ),
    Attack(
        name="POST of 3 MB, chunked",
        must=whole,
        method="POST",
        lines=[b"Transfer-Encoding: chunked"],
        body=b"%x\r\n" % LARGE + b"x" * LARGE + b"\r\n0\r\n\r\n",
    ),
    Attack(
        name="POST that expects 100-continue",
        must=alice,
        method="POST",
        lines=[b"Content-Length: 4", b"Expect: 100-continue"],
        body=b"body",
    ),
    Attack(name="WebSocket", must=websocket, lines=_UPGRADE),
    Attack(name="WebSocket, no token", must=unauthorized, token=None, lines=_UPGRADE),
    Attack(name="no token", must=unauthorized, token=None),
    Attack(name="expired token", must=unauthorized, token="expired"),
    Attack(name="deleted token", must=unauthorized, token="deleted"),
    Attack(name="forged token", must=unauthorized, token="forged"),
    Attack(name="token of another network", must=forbidden, token="elsewhere"),
    Attack(
        name="token of another network, client-sent X-Forwarded-For",
        must=refused,
        token="elsewhere",
        lines=[b"X-Forwarded-For: 203.0.113.1"],
    ),
    Attack(name="token in the query", must=unauthorized, token=None, path="/?access_token=TOKEN"),
    Attack(
        name="two Authorization fields",
        must=refused,
        lines=[b"Authorization: Bearer TOKEN"],
    ),
    Attack(
        name="Basic beside Bearer",
        must=refused,
        lines=[b"Authorization: Basic cm9vdDpyb290"],
    ),
    Attack(
        name="two tokens in one field",
        must=refused,
        token=None,
        lines=[b"Authorization: Bearer TOKEN, Bearer TOKEN"],
    ),
    Attack(
        name="Connection: Authorization", must=never_another, lines=[b"Connection: Authorization"]
    ),
    # Two identities
    _identity("X-Remote-User", b"X-Remote-User: root", must=forbidden),
    _identity("x-FORWARDED-user", b"x-FORWARDED-user: root", must=forbidden),
    _identity("X_Remote_User", b"X_Remote_User: root"),
    _identity("X-Remote_User", b"X-Remote_User: root"),
    _identity("both spellings at once", b"X_Remote_User: root", b"X-Remote-User: root"),
    _identity("blank, then not", b"Remote-User:", b"Remote-User: root"),
    _identity("folded line", b"X-Remote-User:", b" root"),
    _identity("space before the colon", b"X-Remote-User : root"),
    _identity(
        "Connection: X-Remote-User",
        b"X-Remote-User: root",
        b"Connection: X-Remote-User",
        must=never_another,
    ),
    # The endpoint's own answer, made up
    Attack(
        name="X-Bearer-Guard-User, no token",
        must=unauthorized,
        token=None,
        lines=[b"X-Bearer-Guard-User: root"],
    ),
    Attack(name="X-Bearer-Guard-User", must=alice, lines=[b"X-Bearer-Guard-User: root"]),
    Attack(name="x-bearer-guard-USER", must=alice, lines=[b"x-bearer-guard-USER: root"]),
    Attack(
        name="X-Bearer-Guard-User twice",
        must=alice,
        lines=[b"X-Bearer-Guard-User: root", b"X-Bearer-Guard-User: admin"],
    ),
    _identity("X_Bearer_Guard_User", b"X_Bearer_Guard_User: root"),
    _identity("X-Bearer-Guard_User", b"X-Bearer-Guard_User: root"),
    _identity("X_Bearer-Guard-User", b"X_Bearer-Guard-User: root"),
    _identity("X-Bearer.Guard-User", b"X-Bearer.Guard-User: root"),
    _identity("X-Bearer-Guard-User, folded line", b"X-Bearer-Guard-User:", b" root"),
    _identity(
        "Connection: X-Bearer-Guard-User",
        b"X-Bearer-Guard-User: root",
        b"Connection: X-Bearer-Guard-User",
        must=never_another,
    ),
    # Scopes by path
    Attack(name="/admin with the scope", must=alice, token="admin", path="/admin/x"),
    Attack(name="/admin", must=forbidden, path="/admin"),
    Attack(name="/admin/x?y", must=forbidden, path="/admin/x?y"),
    Attack(name="/ADMIN/x", must=never_admin, path="/ADMIN/x"),
    Attack(name="/%61dmin/x", must=never_admin, path="/%61dmin/x"),
    Attack(name="/%2561dmin/x", must=never_admin, path="/%2561dmin/x"),
    Attack(name="//admin/x", must=never_admin, path="//admin/x"),
    Attack(name="/a/../admin/x", must=never_admin, path="/a/../admin/x"),
    Attack(name="/a/%2e%2e/admin/x", must=never_admin, path="/a/%2e%2e/admin/x"),
    Attack(name="/a/..%2fadmin/x", must=never_admin, path="/a/..%2fadmin/x"),
    Attack(name="/admin;v=1/x", must=never_admin, path="/admin;v=1/x"),
    Attack(name="/./admin/x", must=never_admin, path="/./admin/x"),
    Attack(name="/a\\..\\admin/x", must=never_admin, path="/a\\..\\admin/x"),
    Attack(name="absolute URI", must=never_admin, path="http://service.example/admin/x"),
    *(
        Attack(
            name=f"/admin/x and {name}: /",
            must=refused,
            path="/admin/x",
            lines=[f"{name}: /".encode()],
        )
        for name in ("X-Original-URI", "X-Original-URL", "X-Forwarded-Uri", "X_Original_URI")
    ),
    Attack(
        name="another X-Forwarded-Method",
        must=alice_or_refused,
        lines=[b"X-Forwarded-Method: DELETE", b"X-Original-Method: DELETE"],
    ),
    Attack(name="64 kB of headers", must=alice_or_refused, lines=[b"X-Big: " + b"x" * 65_536]),
    Attack(
        name="64 kB of headers, no token",
        must=refused,
        token=None,
        lines=[b"X-%d: " % number + b"x" * 1000 for number in range(64)],
    ),
    Attack(name="64 kB of token", must=refused, token=None, lines=[_bearer(b"x" * 65_536)]),
    Attack(name="64 kB of path", must=alice_or_refused, path="/" + "x" * 65_536),
    # What ends a request, and which it is
    Attack(name="HTTP/1.0, no token", must=refused, token=None, version="1.0"),
    Attack(
        name="HTTP/1.0, keep-alive",
        must=alice_or_refused,
        version="1.0",
        lines=[b"Connection: keep-alive"],
    ),
    Attack(name="HTTP/2.7", must=alice_or_refused, version="2.7"),
    _body("Content-Length and chunked", b"Content-Length: 4", _CHUNKED),
    _body("chunked twice", _CHUNKED, _CHUNKED),
    _body("chunked, and something else", b"Transfer-Encoding: chunked, identity"),
    _body("chunked, spelt oddly", b"Transfer-Encoding: xchunked"),
    _body("two Content-Length", b"Content-Length: 4", b"Content-Length: 5"),
    _body("negative Content-Length", b"Content-Length: -4"),
    _body("a chunk with an extension", _CHUNKED, body=b"4;a=b\r\nbody\r\n0\r\n\r\n"),
    _body("a chunk of no size", _CHUNKED, body=b"x\r\nbody\r\n0\r\n\r\n"),
    _body("an identity in a trailer", _CHUNKED, body=b"0\r\nX-Remote-User: root\r\n\r\n"),
    _body(
        "X-Bearer-Guard-User in a trailer",
        _CHUNKED,
        body=b"0\r\nX-Bearer-Guard-User: root\r\n\r\n",
    ),
    _identity("NUL in a value", b"X-Note: a\x00b"),
    _identity("bare CR before an identity", b"X-Note: a\rX-Remote-User: root"),
    _identity("bare LF before an identity", b"X-Note: a\nX-Remote-User: root"),
]
