"""Assembles what ``serve`` serves: the guarded application, and the endpoints beside it.

One place decides which paths are the endpoints': exactly those of their routes. Every other path,
and each WebSocket, is the guarded application's.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from starlette.routing import Match, Router

from bearer_guard import BearerGuard
from bearer_guard.endpoints._route import MethodRoute
from bearer_guard.endpoints.api import api_routes
from bearer_guard.endpoints.forward_auth import forward_auth_app
from bearer_guard.endpoints.health import health_routes, readiness
from bearer_guard.endpoints.oauth import metadata_url, oauth_routes
from bearer_guard.endpoints.page import page_routes
from bearer_guard.errors import ConfigurationError, StoreUnavailable
from bearer_guard.events import log_event
from bearer_guard.issuing import Issuer
from bearer_guard.store import open_store

from ._logins import logins_of, page_options

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from starlette.routing import Route
    from starlette.types import ASGIApp, Receive, Scope, Send

    from bearer_guard.events import Listener
    from bearer_guard.store import Store
    from bearer_guard.telemetry.metrics import Metrics
    from bearer_guard.verify import Verifier

    from ._workplace import Place

__all__ = ["ARGUMENTS", "Service", "assemble", "factory"]

ARGUMENTS: Final = "BEARER_GUARD_SERVE_ARGUMENTS"
_FORWARD_AUTH: Final = "/forward-auth"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What is to be served: the options of ``bearer-guard serve``.

    Attributes:
        app: The guarded application, as ``MODULE:APP``.
        exempt: Paths that need no token.
        staleness: The revocation bound, in seconds.
        prefix: Of the HTTP API.
        resource: The URL that clients know all this by; empty: there is no metadata document.
        metrics: Whether there are ``/metrics``.
    """

    app: str
    place: Place
    exempt: Sequence[str]
    optional: bool
    staleness: float
    realm: str
    prefix: str
    resource: str = ""
    metrics: bool = False


def factory() -> ASGIApp:
    """The application of a worker, which is told the command line in the environment.

    So it takes everything else from where the command itself did, and no secret is copied.
    """
    from ._root import root  # noqa: PLC0415 - a ring: `serve` imports this

    args = json.loads(os.environ[ARGUMENTS])
    app: ASGIApp = root.main(args, prog_name="bearer-guard", standalone_mode=False, obj=assemble)
    return app


def assemble(service: Service) -> ASGIApp:
    """The whole service as one application. Its lifespan opens and closes the store.

    Raises:
        ConfigurationError: A setting that can't work, or there is no such application.
        KeyringError: There are no keys.
    """
    store, keyring = open_store(service.place.store_url), service.place.keyring()
    metrics = _new_metrics() if service.metrics else None
    listeners: list[Listener] = [log_event]
    if metrics is not None:
        store = metrics.watch(store)
        listeners.append(metrics.count)
    guard = BearerGuard(
        load_app(service.app),
        store=store,
        keyring=keyring,
        exempt=service.exempt,
        optional=service.optional,
        staleness=service.staleness,
        realm=service.realm,
        resource_metadata=metadata_url(service.resource) if service.resource else "",
        listeners=listeners,
    )
    verifier = guard.verifier
    routes = [
        *health_routes(readiness(verifier)),
        *(_opened_first(route, verifier) for route in _routes(service, store, verifier, listeners)),
    ]
    if metrics is not None:
        metrics.follow(verifier)
        routes.append(_guarded(metrics.route(), service, verifier))
    asked = forward_auth_app(
        verifier,
        keyring,
        prefix=_FORWARD_AUTH,
        trusted_proxies=(),  # where clients are is the server's to tell, as for the application
        staleness=service.staleness,
        realm=service.realm,
    )
    # Callables in slots are lost on pyright.
    return _Beside(routes, cast("ASGIApp", guard), cast("ASGIApp", asked))


def _routes(
    service: Service, store: Store, verifier: Verifier, listeners: Sequence[Listener]
) -> list[Route]:
    """The endpoints that work on the store themselves."""
    keyring, table = verifier.keyring, service.place.logins
    issuer = Issuer(store, keyring, listeners=listeners)
    logins = logins_of(store, table, listeners=listeners)
    api = api_routes(
        store,
        keyring,
        issuer=issuer,
        log_ins=logins.by_password,
        directories=logins.directories,
        prefix=service.prefix,
        realm=service.realm,
        listeners=listeners,
    )
    resource = service.resource or None
    oauth = oauth_routes(verifier, issuer, resource=resource, realm=service.realm)
    options = page_options(store, table, logins) | {"issuer": issuer, "listeners": listeners}
    return [*api, *oauth, *page_routes(store, keyring, **options)]


def _new_metrics() -> Metrics:
    from bearer_guard.telemetry.metrics import Metrics  # noqa: PLC0415 - an extra's

    return Metrics()


def _guarded(route: Route, service: Service, verifier: Verifier) -> Route:
    """A route that needs a token, unless its path is exempt."""
    guard = BearerGuard(
        route.app,
        store=verifier,
        keyring=verifier.keyring,
        exempt=service.exempt,
        staleness=service.staleness,
        realm=service.realm,
    )
    return MethodRoute(route.path, guard, methods=["GET"])


def load_app(name: str) -> ASGIApp:
    """The application that ``MODULE:APP`` names; the working directory is looked at first.

    Raises:
        ConfigurationError: There is none. Where the module itself fails, its own part of the
            traceback is printed first.
    """
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute) or module.startswith("."):
        raise ConfigurationError(f"{name!r} names no application: write MODULE:APP")
    if (here := str(Path.cwd())) != sys.path[0]:
        sys.path.insert(0, here)
    try:
        found = importlib.import_module(module)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            msg = f"there is no module {error.name}, here or installed"
            raise ConfigurationError(msg) from error
        traceback.print_exception(error.with_traceback(_from_its_own(error.__traceback__)))
        raise ConfigurationError(f"the module {module} can't be imported: see above") from error
    try:
        app: ASGIApp = attrgetter(attribute)(found)
    except AttributeError as error:
        raise ConfigurationError(f"the module {module} has no {attribute}") from error
    if not callable(app):
        raise ConfigurationError(f"{name} is no ASGI application: it can't be called")
    return app


def _from_its_own(frames: TracebackType | None) -> TracebackType | None:
    """What is below the frames of ``load_app`` and of Python's import."""
    above = (__file__, importlib.__file__, "<frozen importlib.")
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(above):
        frames = frames.tb_next
    return frames


class _Beside:
    """Gives to each route what is exactly its own, and everything else to the guard.

    Args:
        routes: Of the endpoints.
        guard: The guarded application.
        forward_auth: That endpoint, which takes all below its path, and WebSockets too: a proxy
            may pass on that a client wants one.
    """

    def __init__(self, routes: Sequence[Route], guard: ASGIApp, forward_auth: ASGIApp) -> None:
        self._routes: Final = routes
        self._router: Final = Router(routes, redirect_slashes=False)
        # What most requests are told by, without a look at each route.
        heads = {route.path.partition("{")[0] for route in routes}
        self._heads: Final = (_FORWARD_AUTH, *heads)
        self._guard: Final = guard
        self._forward_auth: Final = forward_auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        path = scope.get("path", "")
        app = self._ours(scope, path) if path.startswith(self._heads) else self._guard
        await app(scope, receive, send)

    def _ours(self, scope: Scope, path: str) -> ASGIApp:
        if path == _FORWARD_AUTH or path.startswith(f"{_FORWARD_AUTH}/"):
            return self._forward_auth
        # A route's pattern also matches before a line feed at the end.
        http = scope["type"] == "http" and path[-1] != "\n"
        if http and any(route.matches(scope)[0] is not Match.NONE for route in self._routes):
            return self._router
        return self._guard


def _opened_first(route: Route, verifier: Verifier) -> Route:
    """A route that opens the store, where the start went on without it."""
    answer: ASGIApp = route.app

    class Opened:
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            with suppress(StoreUnavailable):  # the endpoint finds out too, and says so
                await verifier.ready()
            await answer(scope, receive, send)

    return MethodRoute(route.path, Opened(), methods=route.methods)
