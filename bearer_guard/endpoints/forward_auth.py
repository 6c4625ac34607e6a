"""The endpoint that reverse proxies ask whether a request may pass.

    app = forward_auth_app("sqlite:///tokens.db", Keyring.from_env())

A proxy sends it the header fields of each request, and no body. 200: the request may pass, and
three fields tell whose it is: ``X-Bearer-Guard-User``, ``-Token-Id`` and ``-Scopes``. Otherwise the
answer is the guard's own refusal. It is a guard with nothing behind it, so that the verdicts are
the same, and as quick: behind a token that is remembered, there is an answer that is ready.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, TypeAlias

from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.errors import ConfigurationError
from bearer_guard.events import log_event
from bearer_guard.guard import BearerGuard
from bearer_guard.hot_path import MOST_REMEMBERED
from bearer_guard.proxy_sso import ProxySso
from bearer_guard.token import DEFAULT_PREFIX
from bearer_guard.verdict import Reason, Refusal, Rendered, quote, render

from ._answers import error as error_answer
from ._forwarded import SIMPLE, TELLING, URIS, USUAL, Proxies, Told, is_plain
from ._forwarded_audit import ForwardedRefused, Telling, told_now
from ._identity_fields import identity_fields
from ._path_rules import PathRules

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from bearer_guard.clock import Clock
    from bearer_guard.events import Listener
    from bearer_guard.keyring import Keyring
    from bearer_guard.record import TokenInfo
    from bearer_guard.refusals import Refusals
    from bearer_guard.store import TokenReader
    from bearer_guard.user import TokenCredentials
    from bearer_guard.verify import Verifier

__all__ = ["LOOPBACK", "ForwardAuth", "ForwardedRefused", "forward_auth_app"]

_Headers: TypeAlias = "tuple[tuple[bytes, bytes], ...]"

LOOPBACK: Final = ("127.0.0.0/8", "::1")

_log: Final = logging.getLogger("bearer_guard")
_POLICY_VIOLATION: Final = 1008  # RFC 6455 section 7.4.1
_NO_STORE: Final = ((b"content-length", b"0"), (b"cache-control", b"no-store"))
_PEER: Final = "bearer_guard.peer"  # in the scope: who has really sent the request
_TWICE: Final = 2


def forward_auth_app(
    store: TokenReader | Verifier | str,
    keyring: Keyring,
    *,
    prefix: str = "/forward-auth",
    trusted_proxies: Collection[str] = LOOPBACK,
    rules: Mapping[str, Collection[str]] | None = None,
    proxy_sso: ProxySso | str | None = ProxySso.default(),  # noqa: B008 - it is immutable
    staleness: float = 5.0,
    cache_size: int = 100_000,
    realm: str = "api",
    token_prefix: str = DEFAULT_PREFIX,
    listeners: Sequence[Listener] = (log_event,),
    clock: Clock = SYSTEM_CLOCK,
) -> ForwardAuth:
    """The endpoint as an ASGI application; its lifespan opens and closes the store.

    Args:
        store: Where records are, or the URL of one. The ``verifier`` of a guard, to share what it
            remembers, and whoever it tells: then it has to be opened and closed as that guard is.
        keyring: Whose tags, digests and seals count.
        prefix: The path. All below it is the endpoint too; everything else is 404.
        trusted_proxies: Addresses and CIDR blocks. Of these callers, and no others, it is believed
            what the client asked for and where it is. The server must tell the address of the
            proxy itself: ``uvicorn --no-proxy-headers``.
        rules: Scopes that are needed besides a token, by the path that the client asked for: an
            exact path, or a prefix that ends in ``/*``, which covers the path before it too. All
            rules that cover a path count, case and ``;`` parameters notwithstanding.
        proxy_sso: As for ``BearerGuard``; so are the others.
        staleness: The revocation bound in seconds.
        cache_size: How many tokens are remembered at most.
        realm: Of the challenge.
        token_prefix: Of the tokens.
        listeners: Told of refusals worth knowing, as ``ForwardedRefused``.
        clock: Time.

    Raises:
        ConfigurationError: A setting that can't work.
    """
    proxies, places = Proxies(trusted_proxies), _Places(prefix)
    admitted = _Admitted(places, proxies, PathRules(rules or {}), realm)
    app = ForwardAuth(
        admitted.app(),
        store=store,
        keyring=keyring,
        proxy_sso=proxy_sso,
        staleness=staleness,
        cache_size=cache_size,
        realm=realm,
        prefix=token_prefix,
        listeners=[Telling(listeners, token_prefix)],
        clock=clock,
    )
    app.places, app.proxies = places, proxies
    admitted.refusals = app.verifier.refusals
    return app


class ForwardAuth(BearerGuard):
    """The guard, and the answer behind it. Made by ``forward_auth_app``.

    Only what is not plainly good pays for finding out who the client is.
    """

    places: _Places
    proxies: Proxies

    async def _aside(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            below = self.places.below(scope)
            if below is None:
                await _not_found(scope, receive, send)
                return
            self._note(scope, below)
        await super()._aside(scope, receive, send)

    def _note(self, scope: Scope, below: str) -> None:
        """Put down what the proxy tells, and the client's address in the place of the proxy's."""
        told = _told_by(self.proxies, scope, below)
        told_now.set(told)
        if told is not None and told.hops:
            scope[_PEER] = scope["client"]
            client = self.proxies.client_behind(scope["client"][0], told.hops)
            scope["client"] = None if client is None else (client, 0)


class _Places:
    """The paths that are the endpoint's."""

    def __init__(self, prefix: str) -> None:
        if not prefix.startswith("/") or prefix.endswith("/"):
            raise ConfigurationError("prefix begins with / and does not end with one")
        self.top: Final = prefix

    def below(self, scope: Scope) -> str | None:
        """What follows the endpoint's path; ``None``: this is another path."""
        path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        rest = path.removeprefix(self.top)
        return rest if len(rest) < len(path) and rest[:1] in ("", "/") else None


class _Admitted:
    """Behind the guard: what comes here has a good token."""

    refusals: Refusals  # of its guard, which is made later

    def __init__(self, places: _Places, proxies: Proxies, rules: PathRules, realm: str) -> None:
        self._places: Final = places
        self._proxies: Final = proxies
        self._rules: Final = rules
        self._realm: Final = realm
        self._said: Final[set[str]] = set()
        self._passes: Final[dict[TokenCredentials, _Headers]] = {}

    def app(self) -> ASGIApp:
        """The answer as an application; a closure, as ``hot_path`` is one."""
        top, passes, aside = self._places.top, self._passes, self._aside
        ruled, plainly_allowed, telling = bool(self._rules), self._plainly_allowed, TELLING

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["path"] == top:
                headers = passes.get(scope["auth"])
                told = [field for field in scope["headers"] if field[0] in telling]
                once = len(told) < _TWICE or tuple([name for name, _ in told]) in USUAL
                if headers is not None and once and (not ruled or plainly_allowed(scope, told)):
                    await send(
                        {"type": "http.response.start", "status": 200, "headers": [*headers]}
                    )
                    await send({"type": "http.response.body", "body": b""})
                    return
            await aside(scope, receive, send)

        return answer

    def _plainly_allowed(self, scope: Scope, told: Sequence[tuple[bytes, bytes]]) -> bool:
        """Whether a known proxy tells a URI that can't be misread, and no rule is in its way."""
        peer = scope.get(_PEER) or scope.get("client")
        if peer is None or peer[0] not in self._proxies:
            return False
        for name, uri in told:
            if name in URIS:
                path = uri.partition(b"?")[0].decode("latin-1")
                if not (path and SIMPLE.fullmatch(path)):
                    return False
                needed = self._rules.needed(path)
                return not needed or needed <= set(scope["auth"].scopes)
        return False

    async def _aside(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, without a look at the body."""
        if scope["type"] not in ("http", "websocket"):
            return
        below = self._places.below(scope)
        if below is None:
            await _not_found(scope, receive, send)
            return
        answer = self._answer(scope, below)
        if scope["type"] == "http":
            await _send("http.response", answer, send)
            return
        self._say_once(
            "a proxy passes on Upgrade and Sec-WebSocket-*: take them from what it asks"
            " /forward-auth, or WebSockets may be refused"
        )
        await receive()  # websocket.connect
        if "websocket.http.response" in scope.get("extensions", {}):
            await _send("websocket.http.response", answer, send)
        else:
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    def _answer(self, scope: Scope, below: str) -> Rendered:
        auth: TokenCredentials = scope["auth"]
        told = _told_by(self._proxies, scope, below)
        if told is None:
            if self._rules:
                self._say_once("there are rules, and a caller is none of trusted_proxies")
                return self._unclear("The caller is no known proxy")
        elif self._rules or told.doubtful:
            asked = told.asked()
            if not asked.agreed:
                return self._unclear("The proxy and the client tell different URIs or methods")
            if self._rules and not is_plain(asked.path):
                return self._unclear("It can't be told for certain what path this is")
            needed = self._rules.needed(asked.path)
            if not needed <= set(auth.scopes):
                self.refusals.note(Refusal(Reason.SCOPE, auth.token), client=None)
                return render(Reason.SCOPE, realm=self._realm, scopes=needed)
        return Rendered(200, self._fields(auth), b"")

    def _fields(self, auth: TokenCredentials) -> _Headers:
        """The fields of a 200, put together once for as long as the guard remembers the token."""
        headers = self._passes.get(auth)
        if headers is None:
            if len(self._passes) >= MOST_REMEMBERED:
                self._passes.clear()
            headers = self._passes[auth] = (*_NO_STORE, *identity_fields(_token_of(auth)))
        return headers

    def _unclear(self, why: str) -> Rendered:
        """403, not 400: it is one of the two refusals that nginx passes on."""
        words = f'Bearer realm={quote(self._realm)}, error="invalid_request"'
        challenge = f"{words}, error_description={quote(why)}"
        answer = error_answer(403, "invalid_request", why, {"www-authenticate": challenge})
        return Rendered(answer.status_code, tuple(answer.raw_headers), bytes(answer.body))

    def _say_once(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            _log.warning("%s", what)


def _told_by(proxies: Proxies, scope: Scope, below: str) -> Told | None:
    """What a caller tells; ``None``: it is no known proxy."""
    peer = scope.get(_PEER) or scope.get("client")
    return Told(scope, below) if peer is not None and peer[0] in proxies else None


async def _send(kind: str, answer: Rendered, send: Send) -> None:
    headers = [*answer.headers]  # a list of its own: outer layers may add to it
    await send({"type": f"{kind}.start", "status": answer.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": answer.body})


def _token_of(auth: TokenCredentials) -> TokenInfo:
    if auth.token is None:
        raise ConfigurationError("the guard in front lets requests pass without a token")
    return auth.token


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await error_answer(404, "not_found", "There is nothing here")(scope, receive, send)
    elif scope["type"] == "websocket":
        await receive()  # websocket.connect
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
