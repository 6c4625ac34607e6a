"""The Access Tokens page: people make, see and delete their tokens in a browser.

    routes = page_routes(store, keyring)             # for a router of one's own
    app = page_app(store, keyring)                   # to be mounted, or served alone

It works without scripts, and without a mouse. A session is all that opens it: tokens don't.
Whoever mounts it opens the store; served alone, it does so in its lifespan.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypedDict

from starlette.applications import Starlette

from bearer_guard.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from typing import Unpack

    from starlette.routing import Route

    from bearer_guard.clock import Clock
    from bearer_guard.events import Listener
    from bearer_guard.issuing import Issuer
    from bearer_guard.issuing.logins import Directory, LogIns
    from bearer_guard.issuing.passwords import Passwords
    from bearer_guard.keyring import Keyring
    from bearer_guard.proxy_sso import ProxySso
    from bearer_guard.store import Store

    from ._page_providers import Provider, SamlProvider

__all__ = ["PageOptions", "page_app", "page_routes"]


class PageOptions(TypedDict, total=False):
    """Options of the page.

    Attributes:
        issuer: Makes the tokens; by default one over the store.
        log_ins: By a name and a password; by default native accounts, with limits of their own.
        by_password: Whether there is a form for them, ``True``.
        people: Who can be asked afresh what somebody may do, by the word of their log-in
            (``ldap``); see ``Sessions``.
        saml: A provider to log in at: ``/login/saml``, ``/saml/acs``, ``/saml/metadata``.
        oidc: Likewise: ``/login/oidc``, ``/oidc/callback``.
        passwords: How passwords are hashed.
        token_prefix: Of the tokens, ``bg``.
        proxy_sso: Identities that are refused beside a session or a log-in.
        clock: Time.
        listeners: Who is told what happened.
    """

    issuer: Issuer
    log_ins: LogIns
    by_password: bool
    people: Mapping[str, Directory]
    saml: SamlProvider
    oidc: Provider
    passwords: Passwords
    token_prefix: str
    proxy_sso: ProxySso
    clock: Clock
    listeners: Sequence[Listener]


def page_app(store: Store, keyring: Keyring, **options: Unpack[PageOptions]) -> Starlette:
    """The page as an application; every other path is 404.

    Raises:
        ConfigurationError: As for ``page_routes``.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        await store.open()
        try:
            keyring.check(await store.remember_keys(keyring.ids))
            yield
        finally:
            await store.close()

    app = Starlette(routes=page_routes(store, keyring, **options), lifespan=lifespan)
    app.router.redirect_slashes = False
    return app


def page_routes(store: Store, keyring: Keyring, **options: Unpack[PageOptions]) -> list[Route]:
    """Exactly the paths of the page, each of which answers every method.

    Args:
        store: Keeps tokens, notes, and native accounts, or ``log_ins`` are needed.
        keyring: The store's.
        options: See ``PageOptions``.

    Raises:
        ConfigurationError: The store keeps no notes or no accounts, or a package is missing.
    """
    try:
        from ._page_routes import routes_of  # noqa: PLC0415 - it loads an extra's templates
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "the page needs a package more: pip install 'bearer-guard[page]'"
        ) from error
    return routes_of(store, keyring, options)
