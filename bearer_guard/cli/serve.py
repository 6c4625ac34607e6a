"""``bearer-guard serve``: an application behind the guard, and the endpoints beside it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click

from ._command import Command
from ._config import TopOption
from ._extras import check_extras

if TYPE_CHECKING:
    from ._workplace import Place

__all__ = ["serve"]

_HOST: Final = "127.0.0.1"
_PORT: Final = 8000


@click.command(
    "serve",
    cls=Command,
    prints=False,
    example="bearer-guard serve reports.main:app --exempt / --exempt '/static/*' --workers 4",
)
@click.argument("app", metavar="MODULE:APP")
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
    "--exempt",
    cls=TopOption,
    multiple=True,
    metavar="PATH",
    help="Needs no token: an exact path, or a prefix that ends in /*. Give it again for more.",
)
@click.option(
    "--optional",
    cls=TopOption,
    is_flag=True,
    help="Let requests without credentials pass as anonymous; bad ones are refused still.",
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
@click.option(
    "--prefix", cls=TopOption, default="/v4", show_default=True, help="Of the HTTP API's paths."
)
@click.option(
    "--resource",
    cls=TopOption,
    metavar="URL",
    default="",
    help="The https URL that clients know all this by: a 401 then tells where its metadata are"
    " (RFC 9728).",
)
@click.option("--metrics", cls=TopOption, is_flag=True, help="Serve /metrics, for Prometheus.")
@click.pass_context
def serve(
    ctx: click.Context,
    place: Place,
    *,
    app: str,
    host: str,
    port: int,
    workers: int,
    exempt: tuple[str, ...],
    optional: bool,
    staleness: float,
    realm: str,
    prefix: str,
    resource: str,
    metrics: bool,
) -> object:
    """Serve an ASGI application behind the guard, with the HTTP API and the page beside it.

    MODULE is looked for in the working directory first.

    \b
    Of all routes, these are answered here, and never reach the application:
      PREFIX/apiAccessTokens…, PREFIX/apiAccessTokenSettings, PREFIX/users…
          take Basic or Bearer credentials, and refuse requests without
      /oauth/introspect, /oauth/revoke
          take a Bearer token, and refuse requests without
      /forward-auth and below
          for a reverse proxy to ask; takes a Bearer token, and refuses requests without
      /access-tokens…, /login…, /logout
          the Access Tokens page: takes a log-in, no token; /saml/… and /oidc/… with a provider
      /healthz, /readyz
          need no credentials
      /.well-known/oauth-protected-resource…, with --resource only
          needs no credentials
      /metrics, with --metrics only
          takes a Bearer token, and refuses requests without, unless --exempt names it; each
          worker has figures of its own

    Every other path needs a token, but those of --exempt.

    Ten failed log-ins a minute for an account, or a hundred for an address, and the next one has to
    wait. Each worker counts for itself: N workers let N times as many pass.

    Behind a proxy, FORWARDED_ALLOW_IPS names its address, so that its X-Forwarded-For counts;
    without, nobody's does. SIGTERM stops the service when it has finished what is under way.
    """  # noqa: D301 - click's mark for lines that are not to be folded
    from ._application import Service  # noqa: PLC0415 - it loads Starlette

    service = Service(
        app=app,
        place=place,
        exempt=exempt,
        optional=optional,
        staleness=staleness,
        realm=realm,
        prefix=prefix,
        resource=resource,
        metrics=metrics,
    )
    if ctx.obj is not None:
        return ctx.obj(service)  # in a worker: it only wants to know what to serve
    from ._serving import prepare, run  # noqa: PLC0415 - it loads Starlette

    check_extras(place.store_url, "server", "page", *(["metrics"] if metrics else []))
    prepare(service, workers)
    run(sys.argv[1:], host=host, port=port, workers=workers)
    return None
