"""The ASGI middleware: asks the verifier, then passes on or answers.

Every scope type but ``lifespan`` is guarded. What is plainly good takes ``hot_path``; this is
everything else.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from .answers import Answers, Line
from .clock import SYSTEM_CLOCK
from .credentials import bearer_token, field_value
from .errors import ConfigurationError, StoreUnavailable
from .events import log_event
from .exempt import Exempt
from .hot_path import hot_path
from .lifespan import run_lifespan
from .long_lived import LongLived
from .proxy_sso import ProxySso
from .record import is_scope
from .token import DEFAULT_PREFIX
from .user import TokenCredentials, TokenUser, anonymous
from .verdict import Reason, Refusal
from .verify import Found, Verifier

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from .clock import Clock
    from .events import Listener
    from .keyring import Keyring
    from .store import TokenReader

__all__ = ["BearerGuard"]

_log: Final = logging.getLogger("bearer_guard")


class BearerGuard:
    """Lets a request through to ``app`` if it carries a good token, and answers it otherwise.

    Args:
        app: The guarded ASGI application.
        store: Where records are, or the URL of one. Opened at start-up, or at the first request
            where no lifespan arrives. The ``verifier`` of another guard: to share what it
            remembers; then those settings are its own that make one.
        keyring: Whose tags, digests and seals count.
        exempt: Exact paths, or prefixes that end in ``/*``, that need no token.
        optional: A request without credentials passes as anonymous. Bad ones are refused still.
        scopes: Needed for every request.
        streams: Paths, as in ``exempt``, whose responses may outlive their token. They are stopped
            when it ends, as all WebSockets are.
        proxy_sso: Which headers assert an identity; the name of a product for its own; ``None``
            switches the check off.
        staleness: The revocation bound in seconds. 0: the store is read for every request.
        cache_size: How many tokens are remembered at most.
        realm: Of the challenge, RFC 9110 section 11.5.
        resource_metadata: The URL of the metadata document, RFC 9728, for the challenge of each
            401; empty: none.
        prefix: Of the tokens.
        listeners: Told of refusals worth knowing.
        clock: Time.

    Raises:
        ConfigurationError: A setting that can't work.
    """

    if TYPE_CHECKING:

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            """Serve one connection."""

    else:
        # The callable stands in a slot: a method would cost every request a frame more.
        __slots__ = ("__call__", "__dict__", "__weakref__")

    def __init__(
        self,
        app: ASGIApp,
        *,
        store: TokenReader | Verifier | str,
        keyring: Keyring,
        exempt: Collection[str] = (),
        optional: bool = False,
        scopes: Collection[str] = (),
        streams: Collection[str] = (),
        proxy_sso: ProxySso | str | None = ProxySso.default(),  # noqa: B008 - it is immutable
        staleness: float = 5.0,
        cache_size: int = 100_000,
        realm: str = "api",
        resource_metadata: str = "",
        prefix: str = DEFAULT_PREFIX,
        listeners: Sequence[Listener] = (log_event,),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if isinstance(store, Verifier):
            verifier = store
        else:
            verifier = Verifier(
                store,
                keyring,
                staleness=staleness,
                cache_size=cache_size,
                prefix=prefix,
                listeners=listeners,
                clock=clock,
            )
        self.verifier: Final = verifier
        self._app: Final = app
        self._exempt: Final = Exempt(exempt)
        self._streams: Final = Exempt(streams)
        apart = self._exempt | self._streams
        self._long_lived: Final = LongLived(self.verifier, staleness)
        if not isinstance(optional, bool):  # "no", from somewhere's environment, would be true
            raise ConfigurationError("optional must be true or false")
        self._optional: Final = optional
        self._scopes: Final = _scope_set(scopes, optional=optional)
        self._proxy_sso: Final = _sso(proxy_sso)
        self._answers: Final = Answers(realm, self._scopes, resource_metadata)
        self._hot: Final = hot_path(
            app,
            self._aside,
            self._answers.brush_off(self.verifier.refusals.silenced, self._aside),
            forged=self.verifier.keyring.forgery_test(self.verifier.form, b"Bearer "),
            names=self._proxy_sso.harmless(),
            short=apart.is_none if apart else None,
            uses=self.verifier.last_used.uses,
            elapsed=self.verifier.clock.elapsed,
        )
        self.verifier.follow(self._hot)
        setattr(self, "__call__", self._hot.app)  # noqa: B010 - to the type checkers it is a method

    async def _aside(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Every connection that is not plainly good."""
        if scope["type"] == "lifespan":
            opening, closing = self.verifier.open, self.verifier.close
            await run_lifespan(self._app, scope, receive, send, opening=opening, closing=closing)
            return
        if type(scope.get("headers")) is not list:
            scope["headers"] = list(scope.get("headers") or ())
        path = scope.get("path", "")
        if path in self._exempt:
            user, auth = anonymous()
            scope.setdefault("user", user)
            scope.setdefault("auth", auth)
            await self._app(scope, receive, send)
            return
        admitted = await self._admit(scope)
        if isinstance(admitted, Refusal):
            await self._answers.refuse(admitted, scope, receive, send)
        elif admitted is None or (scope["type"] == "http" and path not in self._streams):
            await self._app(scope, receive, send)
        else:
            await self._serve_long(admitted, scope, receive, send)

    async def _serve_long(self, found: Found, scope: Scope, receive: Receive, send: Send) -> None:
        line = Line(scope["type"], receive, send)

        async def stop(refusal: Refusal) -> None:
            self.verifier.refusals.note(refusal, client=_client(scope))
            await self._answers.stop(refusal, scope, line)

        await self._long_lived.run(self._app(scope, line.receive, line.send), found, stop)

    async def _admit(self, scope: Scope) -> Found | Refusal | None:
        """Set the user and the credentials of a good request; ``None``: it is anonymous."""
        value = field_value(scope["headers"])
        text = value if isinstance(value, Reason) else bearer_token(value)
        if text is Reason.MISSING and self._optional:
            scope["user"], scope["auth"] = anonymous()
            return None
        found, header = await self._find(text), None
        if isinstance(found, Found):
            header = self._proxy_identity(scope)
            refusal = self._permit(scope, found, header)
            if refusal is None:
                self._let_in(scope, found)
                return found
            found = refusal
        self.verifier.refusals.note(found, header=header, client=_client(scope))
        return found

    def _permit(self, scope: Scope, found: Found, header: str | None) -> Refusal | None:
        if header is not None:
            return Refusal(Reason.PROXY_IDENTITY, found.token)
        return self.verifier.permit(found, self._scopes, _client(scope))

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
        passed = self._hot.passed
        strange = [f for f in scope["headers"] if f[0] not in passed and f[0] != b"authorization"]
        header = self._proxy_sso.identity_in(strange)
        if header is None and "wsgi_environ" in scope:
            header = self._proxy_sso.identity_in_environ(scope["wsgi_environ"])
        for name, _ in strange:
            if name.lower() != b"authorization" and not self._proxy_sso.matches(name):
                self._hot.learn(name)
        return header

    def _let_in(self, scope: Scope, found: Found) -> None:
        user, auth = TokenUser(found.token.owner), TokenCredentials(found.token)
        scope["user"], scope["auth"] = user, auth
        now = self.verifier.clock.elapsed()
        self.verifier.last_used.note(found.number, now, _client(scope))
        if found.until > now and not found.networks:
            self._hot.remember(b"Bearer " + found.text, found.until, found.number, user, auth)


def _client(scope: Scope) -> str | None:
    client = scope.get("client")
    return client[0] if client else None


def _scope_set(scopes: Collection[str], *, optional: bool) -> frozenset[str]:
    if isinstance(scopes, str):
        raise ConfigurationError("scopes is a list of words, not one string")
    wanted = frozenset(scopes)
    if wanted and optional:
        raise ConfigurationError(
            "scopes are needed for every request, and optional lets some pass without a token:"
            " leave out optional, or ask for the scopes in the views instead"
        )
    if not all(map(is_scope, wanted)):
        raise ConfigurationError("each of scopes is one word, as in RFC 6749 section 3.3")
    return wanted


def _sso(proxy_sso: ProxySso | str | None) -> ProxySso:
    if isinstance(proxy_sso, str):
        return ProxySso.only(proxy_sso)
    if proxy_sso is None:
        _log.warning("identities of reverse proxies are not refused: proxy_sso is None")
        return ProxySso(groups=())
    return proxy_sso
