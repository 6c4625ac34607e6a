"""``bearer-guard forward-auth``: the endpoint that reverse proxies ask, alone."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Final

import click

from bearer_guard.errors import ConfigurationError

from ._command import Command
from ._config import TopOption
from ._extras import check_extras

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from bearer_guard.endpoints.forward_auth import ForwardAuth

    from ._workplace import Place

__all__ = ["forward_auth"]

_HOST: Final = "127.0.0.1"
_PORT: Final = 9000
_LOOPBACK: Final = ("127.0.0.0/8", "::1")  # see bearer_guard.endpoints.forward_auth


@click.command(
    "forward-auth",
    cls=Command,
    prints=False,
    example="bearer-guard forward-auth --port 9000 --rule '/admin/*=admin'",
)
@click.option("--host", cls=TopOption, default=_HOST, show_default=True, help="Where to listen.")
@click.option(
    "--port",
    cls=TopOption,
    type=click.IntRange(0, 65535),
    default=_PORT,
    show_default=True,
    help="Where to listen; 0: a free one.",
)
@click.option(
    "--workers",
    cls=TopOption,
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="How many processes.",
)
@click.option(
    "--trusted-proxy",
    multiple=True,
    metavar="ADDRESS",
    default=_LOOPBACK,
    show_default=True,
    help="A proxy that is believed: an address or a CIDR block. Give it again for more.",
)
@click.option(
    "--rule",
    multiple=True,
    metavar="PATH=SCOPE[,SCOPE…]",
    help="Scopes that a path needs: an exact path, or a prefix that ends in /*. Give it again for"
    " more; all that cover a path count.",
)
@click.option(
    "--staleness",
    cls=TopOption,
    type=click.FloatRange(0),
    metavar="SECONDS",
    default=5.0,
    show_default=True,
    help="For how long at most an ended token may still be accepted.",
)
@click.option("--realm", cls=TopOption, default="api", show_default=True, help="Of the challenges.")
@click.pass_context
def forward_auth(
    ctx: click.Context,
    place: Place,
    *,
    host: str,
    port: int,
    workers: int,
    trusted_proxy: tuple[str, ...],
    rule: tuple[str, ...],
    staleness: float,
    realm: str,
) -> object:
    """Answer what a reverse proxy asks of each request: whether it may pass, and whose it is.

    \b
      /forward-auth, and every path below it
          200 with X-Bearer-Guard-User, -Token-Id and -Scopes, or the refusal
      /healthz, /readyz
          need no credentials

    What a trusted proxy tells is believed: X-Forwarded-For for tokens that are bound to networks,
    and the fields that say what the client asked for. With rules, every other caller is refused.

    Requests are the proxy's to log: only refusals worth knowing are told here, in the audit log.

    SIGTERM stops the service when it has finished what is under way.
    """  # noqa: D301 - click's mark for lines that are not to be folded
    from bearer_guard.endpoints.forward_auth import forward_auth_app  # noqa: PLC0415 - Starlette
    from bearer_guard.store import open_store  # noqa: PLC0415 - likewise

    def build() -> ASGIApp:
        return _with_health(
            forward_auth_app(
                open_store(place.store_url),
                place.keyring(),
                trusted_proxies=trusted_proxy,
                rules=_rules(rule),
                staleness=staleness,
                realm=realm,
            )
        )

    if ctx.obj is not None:
        return build()  # in a worker
    from ._serving import run  # noqa: PLC0415 - it loads Starlette

    check_extras(place.store_url, "server")
    os.environ["WEB_CONCURRENCY"] = f"{workers}"  # stores that can't be shared look at it
    # The endpoint itself reads X-Forwarded-For: it has to see who has sent the request.
    os.environ["FORWARDED_ALLOW_IPS"] = ""
    build()
    asyncio.run(place.visit())
    run(sys.argv[1:], host=host, port=port, workers=workers, access_log=False)
    return None


def _rules(texts: Sequence[str]) -> dict[str, list[str]]:
    """``/path=scope,scope`` as the endpoint takes it; the same path may come again."""
    rules: dict[str, list[str]] = {}
    for text in texts:
        path, equals, scopes = text.rpartition("=")
        if not equals:
            msg = f"a rule is PATH=SCOPE, as in --rule '/admin/*=admin', not {text!r}"
            raise ConfigurationError(msg)
        rules.setdefault(path, []).extend(filter(None, scopes.split(",")))
    return rules


def _with_health(endpoint: ForwardAuth) -> ASGIApp:
    """The endpoint, and beside it what tells whether it can answer."""
    from starlette.routing import Router  # noqa: PLC0415 - not for --help

    from bearer_guard.endpoints.health import (  # noqa: PLC0415 - likewise
        health_routes,
        readiness,
    )

    routes = health_routes(readiness(endpoint.verifier))
    router, paths = Router(routes), {route.path for route in routes}
    answer: ASGIApp = endpoint.__call__  # in a slot: one frame less, and a type for checkers

    # No coroutine of its own: every request would pay for one more.
    def app(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        ours = scope["type"] == "http" and scope["path"] in paths
        return (router if ours else answer)(scope, receive, send)

    return app
