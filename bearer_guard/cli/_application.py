"""Assembles what ``serve`` serves: the guarded application, and the endpoints beside it.

One place decides which paths are the endpoints': exactly those of their routes. Every other path,
and each WebSocket, is the guarded application's.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from starlette.routing import Match, Route, Router

from bearer_guard import BearerGuard
from bearer_guard.endpoints.api import api_routes
from bearer_guard.endpoints.health import health_routes
from bearer_guard.endpoints.oauth import oauth_routes
from bearer_guard.endpoints.page import page_routes
from bearer_guard.errors import ConfigurationError, StoreUnavailable
from bearer_guard.issuing import Issuer
from bearer_guard.store import open_store

from ._logins import logins_of, page_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from bearer_guard.verify import Verifier

    from ._workplace import Place

__all__ = ["ARGUMENTS", "Service", "assemble", "factory"]

ARGUMENTS: Final = "BEARER_GUARD_SERVE_ARGUMENTS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What is to be served: the options of ``bearer-guard serve``.

    Attributes:
        app: The guarded application, as ``MODULE:APP``.
        exempt: Paths that need no token.
        staleness: The revocation bound, in seconds.
        prefix: Of the HTTP API.
    """

    app: str
    place: Place
    exempt: Sequence[str]
    optional: bool
    staleness: float
    realm: str
    prefix: str


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
    guard = BearerGuard(
        load_app(service.app),
        store=store,
        keyring=keyring,
        exempt=service.exempt,
        optional=service.optional,
        staleness=service.staleness,
        realm=service.realm,
    )
    verifier = guard.verifier

    async def ready() -> None:
        await verifier.ready()
        await verifier.feed.policy()  # the store answers now, not only when it was opened

    issuer, logins = Issuer(store, keyring), logins_of(store, service.place.logins)
    api = api_routes(
        store,
        keyring,
        issuer=issuer,
        log_ins=logins.by_password,
        directories=logins.directories,
        prefix=service.prefix,
        realm=service.realm,
    )
    oauth = oauth_routes(verifier, issuer, realm=service.realm)
    options = page_options(store, service.place.logins, logins)
    page = page_routes(store, keyring, **(options | {"issuer": issuer}))
    opened = (_opened_first(route, verifier) for route in (*api, *oauth, *page))
    routes = [*health_routes(ready), *opened]
    return _Beside(routes, cast("ASGIApp", guard))  # its callable in a slot is lost on pyright


def load_app(name: str) -> ASGIApp:
    """The application that ``MODULE:APP`` names; the working directory is looked at first.

    Raises:
        ConfigurationError: There is none. Whatever the module itself raises goes on as it is.
    """
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ConfigurationError(f"{name!r} names no application: write MODULE:APP")
    if (here := str(Path.cwd())) != sys.path[0]:
        sys.path.insert(0, here)
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise ConfigurationError(f"there is no module {error.name}, here or installed") from error
    try:
        app: ASGIApp = attrgetter(attribute)(found)
    except AttributeError as error:
        raise ConfigurationError(f"the module {module} has no {attribute}") from error
    if not callable(app):
        raise ConfigurationError(f"{name} is no ASGI application: it can't be called")
    return app


class _Beside:
    """Gives to each route what is exactly its own, and everything else to the guard."""

    def __init__(self, routes: Sequence[Route], guard: ASGIApp) -> None:
        self._routes: Final = routes
        self._router: Final = Router(routes, redirect_slashes=False)
        # What most requests are told by, without a look at each route.
        self._heads: Final = tuple({route.path.partition("{")[0] for route in routes})
        self._guard: Final = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        path = scope.get("path", "")
        # A route's pattern also matches before a line feed at the end.
        ours = scope["type"] == "http" and path.startswith(self._heads) and path[-1] != "\n"
        if ours and any(route.matches(scope)[0] is not Match.NONE for route in self._routes):
            await self._router(scope, receive, send)
        else:
            await self._guard(scope, receive, send)


def _opened_first(route: Route, verifier: Verifier) -> Route:
    """A route that opens the store, where the start went on without it."""
    answer: ASGIApp = route.app

    class Opened:
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            with suppress(StoreUnavailable):  # the endpoint finds out too, and says so
                await verifier.ready()
            await answer(scope, receive, send)

    return Route(route.path, Opened(), methods=route.methods)
