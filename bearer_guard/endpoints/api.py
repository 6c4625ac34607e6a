"""The HTTP API of the issuing side.

    app = api_app(store, keyring)                    # to be mounted, or served alone
    routes = api_routes(store, keyring)              # exactly its paths, for a router of one's own

Whoever mounts it opens the store; served alone, it does so in its lifespan.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypedDict

from starlette.applications import Starlette
from starlette.routing import Route

from bearer_guard.clock import SYSTEM_CLOCK, ForwardClock
from bearer_guard.errors import ConfigurationError
from bearer_guard.events import log_event
from bearer_guard.issuing import Issuer
from bearer_guard.issuing.accounts import Accounts
from bearer_guard.issuing.logins import LogIns
from bearer_guard.issuing.logins.password import AccountDirectory, PasswordLogin
from bearer_guard.issuing.logins.token import TokenLogin
from bearer_guard.issuing.passwords import Passwords
from bearer_guard.proxy_sso import ProxySso
from bearer_guard.refusals import Refusals
from bearer_guard.store import AccountStore
from bearer_guard.token import DEFAULT_PREFIX

from . import _answers
from ._credentials import Gate
from ._resource import Resource
from ._settings import Settings
from ._tokens import Tokens
from ._users import Users

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from typing import Unpack

    from starlette.requests import Request
    from starlette.responses import Response

    from bearer_guard.clock import Clock
    from bearer_guard.events import Listener
    from bearer_guard.issuing.logins import Directory
    from bearer_guard.keyring import Keyring
    from bearer_guard.store import Store

    from ._resource import Handler

__all__ = ["ApiOptions", "api_app", "api_routes"]


class ApiOptions(TypedDict, total=False):
    """Options of the HTTP API.

    Attributes:
        issuer: Makes the tokens; by default one over the store.
        log_ins: For Basic; by default native accounts, with limits of their own.
        directories: What the owners of tokens may do; by default native accounts.
        passwords: How passwords are hashed.
        prefix: Of the paths, ``/v4``.
        token_prefix: Of the tokens, ``bg``.
        realm: Of the challenges, ``api``.
        proxy_sso: Identities that are refused beside credentials.
        clock: Time.
        listeners: Who is told what happened.
    """

    issuer: Issuer
    log_ins: LogIns
    directories: Sequence[Directory]
    passwords: Passwords
    prefix: str
    token_prefix: str
    realm: str
    proxy_sso: ProxySso
    clock: Clock
    listeners: Sequence[Listener]


def api_app(store: Store, keyring: Keyring, **options: Unpack[ApiOptions]) -> Starlette:
    """The API as an application; every other path is 404.

    Raises:
        ConfigurationError: As for ``api_routes``.
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

    app = Starlette(
        routes=api_routes(store, keyring, **options),
        exception_handlers={404: _nothing_here},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


def api_routes(store: Store, keyring: Keyring, **options: Unpack[ApiOptions]) -> list[Route]:
    """Exactly the paths of the API, each of which answers every method.

    Args:
        store: Keeps tokens, and native accounts, or ``log_ins`` and ``directories`` are needed.
        keyring: The store's.
        options: See ``ApiOptions``.

    Raises:
        ConfigurationError: The prefix is no path, or the store keeps no accounts.
    """
    prefix = options.get("prefix", "/v4").rstrip("/")
    if prefix and not prefix.startswith("/"):
        raise ConfigurationError("the prefix of the HTTP API must begin with a slash")
    resources = _resources(store, keyring, options)
    return [Route(prefix + path, resource) for path, resource in resources.items()]


def _resources(store: Store, keyring: Keyring, options: ApiOptions) -> dict[str, Resource]:
    """What answers, by path."""
    clock = options.get("clock", SYSTEM_CLOCK)
    listeners = options.get("listeners", (log_event,))
    passwords = options.get("passwords") or Passwords()
    log_ins = options.get("log_ins") or LogIns(
        [PasswordLogin(_accounts_of(store), passwords)], clock=clock, listeners=listeners
    )
    issuer = options.get("issuer") or Issuer(
        store, keyring, clock=clock, prefix=_token_prefix(options), listeners=listeners
    )
    gate = Gate(
        log_ins=log_ins,
        tokens=_token_login(store, keyring, options),
        proxy_sso=options.get("proxy_sso") or ProxySso.default(),
        realm=options.get("realm", "api"),
        refusals=Refusals(listeners, ForwardClock(clock)),
    )

    def resource(**handlers: Handler) -> Resource:
        return Resource(gate, handlers, unless_off=store)

    tokens, settings = Tokens(issuer), Settings(issuer)
    resources = {
        "/apiAccessTokens": resource(GET=tokens.list, POST=tokens.create, DELETE=tokens.delete_all),
        "/apiAccessTokens/{token_id}": resource(GET=tokens.get, DELETE=tokens.delete),
        "/apiAccessTokens/{token_id}/renew": resource(POST=tokens.renew),
        "/apiAccessTokenSettings": Resource(
            gate, {"GET": settings.get, "PATCH": settings.change}, unless_off=None
        ),
    }
    if isinstance(store, AccountStore):
        accounts = Accounts(store, passwords=passwords, clock=clock, listeners=listeners)
        users = Users(accounts, log_ins)
        resources |= {
            "/users": resource(GET=users.list, POST=users.add),
            "/users/me": resource(PATCH=users.change_own),  # before the next one, which it fits too
            "/users/{name}": resource(PATCH=users.change),
        }
    return resources


def _token_login(store: Store, keyring: Keyring, options: ApiOptions) -> TokenLogin:
    directories = options.get("directories")
    if directories is None:
        directories = [AccountDirectory(_accounts_of(store))]
    return TokenLogin(
        store,
        keyring,
        directories=directories,
        clock=options.get("clock", SYSTEM_CLOCK),
        prefix=_token_prefix(options),
    )


def _token_prefix(options: ApiOptions) -> str:
    return options.get("token_prefix", DEFAULT_PREFIX)


def _accounts_of(store: Store) -> AccountStore:
    if not isinstance(store, AccountStore):
        raise ConfigurationError("this store keeps no accounts: give log_ins and directories")
    return store


async def _nothing_here(request: Request, error: Exception) -> Response:
    del request, error
    return _answers.error(404, "not_found", "there is nothing here")
