"""The ASGI middleware: asks the verifier, then passes on or answers.

Every scope type but ``lifespan`` is guarded. What is plainly good takes ``hot_path``; this is
everything else.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from .clock import SYSTEM_CLOCK
from .credentials import bearer_token, field_value
from .errors import ConfigurationError, StoreUnavailable
from .events import log_event
from .exempt import Exempt
from .hot_path import hot_path
from .lifespan import run_lifespan
from .proxy_sso import ProxySso
from .token import DEFAULT_PREFIX
from .user import TokenCredentials, TokenUser, anonymous
from .verdict import Accepted, Reason, Refusal, render
from .verify import Found, Verifier

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from .clock import Clock
    from .events import Listener
    from .keyring import Keyring
    from .store import TokenReader
    from .verdict import Rendered

__all__ = ["BearerGuard"]

_log: Final = logging.getLogger("bearer_guard")
_POLICY_VIOLATION: Final = 1008  # RFC 6455 section 7.4.1


class BearerGuard:
    """Lets a request through to ``app`` if it carries a good token, and answers it otherwise.

    Args:
        app: The guarded ASGI application.
        store: Where records are, or the URL of one. Opened at start-up, or at the first request
            where no lifespan arrives.
        keyring: Whose tags, digests and seals count.
        exempt: Exact paths, or prefixes that end in ``/*``, that need no token.
        optional: A request without credentials passes as anonymous. Bad ones are refused still.
        scopes: Needed for every request.
        proxy_sso: Which headers assert an identity; the name of a product for its own; ``None``
            switches the check off.
        staleness: The revocation bound in seconds. 0: the store is read for every request.
        cache_size: How many tokens are remembered at most.
        realm: Of the challenge, RFC 9110 section 11.5.
        prefix: Of the tokens.
        listeners: Told of refusals worth knowing.
        clock: Time.

    Raises:
        ConfigurationError: A setting that can't work.
    """

    # The callable stands in a slot: a method would cost every request a frame more.
    __slots__ = (
        "__call__",
        "_answers",
        "_app",
        "_exempt",
        "_hot",
        "_optional",
        "_proxy_sso",
        "_scopes",
        "verifier",
    )  # fmt: skip

    if TYPE_CHECKING:

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            """Serve one connection."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        store: TokenReader | str,
        keyring: Keyring,
        exempt: Collection[str] = (),
        optional: bool = False,
        scopes: Collection[str] = (),
        proxy_sso: ProxySso | str | None = ProxySso.default(),  # noqa: B008 - it is immutable
        staleness: float = 5.0,
        cache_size: int = 100_000,
        realm: str = "api",
        prefix: str = DEFAULT_PREFIX,
        listeners: Sequence[Listener] = (log_event,),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.verifier: Final = Verifier(
            store,
            keyring,
            staleness=staleness,
            cache_size=cache_size,
            prefix=prefix,
            listeners=listeners,
            clock=clock,
        )
        self._app: Final = app
        self._exempt: Final = Exempt(exempt)
        self._optional: Final = optional
        self._scopes: Final = _scope_set(scopes, optional=optional)
        self._proxy_sso: Final = _sso(proxy_sso)
        self._answers: Final = _answers(realm, self._scopes)
        self._hot: Final = hot_path(
            app,
            self._aside,
            self._brushed_off(),
            forged=keyring.forgery_test(self.verifier.form, b"Bearer "),
            names=self._proxy_sso.harmless(),
            guarded=self._exempt.guarded if self._exempt else None,
            uses=self.verifier.last_used.uses,
            elapsed=self.verifier.clock.elapsed,
        )
        self.verifier.follow(self._hot)
        setattr(self, "__call__", self._hot.app)  # noqa: B010 - to the type checkers it is a method

    async def _aside(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Every connection that is not plainly good."""
        if scope["type"] == "lifespan":
            await run_lifespan(
                self._app,
                scope,
                receive,
                send,
                opening=self.verifier.open,
                closing=self.verifier.close,
            )
            return
        if scope.get("path", "") in self._exempt:
            user, auth = anonymous()
            scope.setdefault("user", user)
            scope.setdefault("auth", auth)
            await self._app(scope, receive, send)
            return
        refusal = await self._admit(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await self._answer(refusal, scope, receive, send)

    def _brushed_off(self) -> ASGIApp:
        """What answers a flood of forged tokens, at the price of a comparison or two."""
        status, headers, body = self._answers[Reason.FORGED]
        silenced, aside = self.verifier.refusals.silenced, self._aside

        async def brush_off(scope: Scope, receive: Receive, send: Send) -> None:
            if silenced():
                # A list of its own: outer layers may add to it.
                start = {"type": "http.response.start", "status": status, "headers": [*headers]}
                await send(start)
                await send({"type": "http.response.body", "body": body})
            else:
                await aside(scope, receive, send)

        return brush_off

    async def _admit(self, scope: Scope) -> Refusal | None:
        """Set the user and the credentials of a good request; else say why not."""
        value = field_value(scope.get("headers", ()))
        text = value if isinstance(value, Reason) else bearer_token(value)
        if text is Reason.MISSING and self._optional:
            scope["user"], scope["auth"] = anonymous()
            return None
        client = (scope.get("client") or (None,))[0]
        header = None
        found = await self._find(text)
        verdict = self.verifier.permit(found, self._scopes, client)
        if isinstance(found, Found):
            header = self._proxy_identity(scope)
            if header is not None:
                verdict = Refusal(Reason.PROXY_IDENTITY, found.token)
            elif isinstance(verdict, Accepted):
                self._let_in(scope, found, client)
        if isinstance(verdict, Accepted):
            return None
        self.verifier.refusals.note(verdict, header=header, client=client)
        return verdict

    async def _find(self, text: bytes | Reason) -> Found | Refusal:
        if isinstance(text, Reason):
            return Refusal(text)
        try:
            return await self.verifier.find(text)
        except StoreUnavailable as error:
            _log.warning("a request was answered 503: %s", error)
            return Refusal(Reason.UNAVAILABLE)

    def _proxy_identity(self, scope: Scope) -> str | None:
        """The name of a header, or a variable of the server's, that asserts an identity."""
        strange = [field for field in scope["headers"] if field[0] not in self._hot.passed]
        header = self._proxy_sso.identity_in(strange)
        if header is None and "wsgi_environ" in scope:
            header = self._proxy_sso.identity_in_environ(scope["wsgi_environ"])
        for name, _ in strange:
            if name.lower() != b"authorization" and not self._proxy_sso.matches(name):
                self._hot.learn(name)
        return header

    def _let_in(self, scope: Scope, found: Found, client: str | None) -> None:
        user, auth = TokenUser(found.token.owner), TokenCredentials(found.token)
        scope["user"], scope["auth"] = user, auth
        now = self.verifier.clock.elapsed()
        self.verifier.last_used.note(found.number, now, client)
        if found.until > now and not found.networks:
            self._hot.remember(b"Bearer " + found.text, found.until, found.number, user, auth)

    async def _answer(self, refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
        """Turn it away, in the way of its protocol; one that is not known gets no answer."""
        answer = self._answers[refusal.reason]
        if scope["type"] == "http":
            await _respond("http.response", answer, send)
        elif scope["type"] == "websocket":
            await receive()  # websocket.connect
            if "websocket.http.response" in scope.get("extensions", {}):
                await _respond("websocket.http.response", answer, send)
            else:
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION})


async def _respond(kind: str, answer: Rendered, send: Send) -> None:
    headers = list(answer.headers)  # a list of this answer's own: outer layers add to it
    await send({"type": f"{kind}.start", "status": answer.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": answer.body})


def _scope_set(scopes: Collection[str], *, optional: bool) -> frozenset[str]:
    if isinstance(scopes, str):
        raise ConfigurationError("scopes is a list of words, not one string")
    if scopes and optional:
        raise ConfigurationError(
            "scopes are needed for every request, and optional lets some pass without any:"
            " give one of the two"
        )
    return frozenset(scopes)


def _answers(realm: str, scopes: Collection[str]) -> dict[Reason, Rendered]:
    try:
        return {reason: render(reason, realm=realm, scopes=scopes) for reason in Reason}
    except ValueError as error:
        raise ConfigurationError(f"realm: {error}") from error


def _sso(proxy_sso: ProxySso | str | None) -> ProxySso:
    if isinstance(proxy_sso, str):
        return ProxySso.only(proxy_sso)
    if proxy_sso is None:
        _log.warning("identities of reverse proxies are not refused: proxy_sso is None")
        return ProxySso(groups=())
    return proxy_sso
