"""Puts the page together: which handler answers which path, and who may ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import Response
from starlette.routing import Route

from bearer_guard.clock import SYSTEM_CLOCK, ForwardClock
from bearer_guard.errors import ConfigurationError
from bearer_guard.events import log_event
from bearer_guard.issuing import Issuer
from bearer_guard.issuing.accounts import Accounts
from bearer_guard.issuing.logins import LogIns
from bearer_guard.issuing.logins.password import PasswordLogin
from bearer_guard.issuing.passwords import Passwords
from bearer_guard.issuing.sessions import Sessions
from bearer_guard.proxy_sso import ProxySso
from bearer_guard.refusals import Refusals
from bearer_guard.store import AccountStore, NoteStore
from bearer_guard.token import DEFAULT_PREFIX

from ._page_admin import PasswordPage, SettingsPage, UserPages
from ._page_forms import Forms
from ._page_login import LogInPage
from ._page_once import Once
from ._page_path import Path, Rule
from ._page_providers import METADATA, OIDC, SAML, ProviderPages
from ._page_render import protect
from ._page_site import ALL, CREATED, HOME, LOGIN, LOGOUT, NEW, PASSWORD, SETTINGS, USERS, Site
from ._page_tokens import TokenPages
from ._route import MethodRoute

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from bearer_guard.keyring import Keyring
    from bearer_guard.store import Store

    from ._page_path import Handler
    from ._page_render import Renderer
    from .page import PageOptions

__all__ = ["routes_of"]

_ANYBODY: Final = Rule(person=False, when_off=True)
_PERSON: Final = Rule()
_ADMIN: Final = Rule(admin=True)


def routes_of(store: Store, keyring: Keyring, options: PageOptions) -> list[Route]:
    """All routes. A path with a free part comes after those that it fits, too.

    Raises:
        ConfigurationError: The store keeps no notes, or no accounts.
    """
    parts = _Parts(store, keyring, options)
    pages = parts.to_log_in() | parts.to_administer() | parts.of_tokens()
    routes = [Route(path, page) for path, page in pages.items()]
    files = MethodRoute(f"{HOME}/static/{{name}}", _files(parts.site.renderer), methods=["GET"])
    return [files, *parts.documents(), *routes]


class _Parts:
    """What the options say, with what they leave out."""

    def __init__(self, store: Store, keyring: Keyring, options: PageOptions) -> None:
        self._store: Final = store
        self._options: Final = options
        self._clock: Final = options.get("clock", SYSTEM_CLOCK)
        self._listeners: Final = options.get("listeners", (log_event,))
        self._passwords: Final = options.get("passwords") or Passwords()
        self._log_ins: Final = options.get("log_ins") or LogIns(
            [PasswordLogin(_accounts_of(store), self._passwords)],
            clock=self._clock,
            listeners=self._listeners,
        )
        self._issuer: Final = options.get("issuer") or Issuer(
            store,
            keyring,
            clock=self._clock,
            prefix=options.get("token_prefix", DEFAULT_PREFIX),
            listeners=self._listeners,
        )
        self._once: Final = Once(_notes_of(store), keyring, self._clock)
        self.site: Final = self._site(keyring)

    def to_log_in(self) -> dict[str, Path]:
        """The ways in and out."""
        pages, links = self._providers()
        by_password = self._log_ins if self._options.get("by_password", True) else None
        log_in = LogInPage(self.site, by_password, links)
        pages[LOGIN] = self._path(_ANYBODY, GET=log_in.form, POST=log_in.log_in)
        pages[LOGOUT] = self._path(Rule(when_off=True), GET=log_in.ask, POST=log_in.log_out)
        return pages

    def to_administer(self) -> dict[str, Path]:
        """Settings, users, and everybody's own password."""
        settings = SettingsPage(self.site, self._issuer)
        pages = {
            SETTINGS: self._path(
                Rule(admin=True, when_off=True), GET=settings.form, POST=settings.change
            )
        }
        if isinstance(self._store, AccountStore):
            accounts = Accounts(
                self._store,
                passwords=self._passwords,
                clock=self._clock,
                listeners=self._listeners,
            )
            users, own = (
                UserPages(self.site, accounts),
                PasswordPage(self.site, accounts, self._log_ins),
            )
            pages[USERS] = self._path(_ADMIN, GET=users.table, POST=users.change)
            pages[PASSWORD] = self._path(_PERSON, GET=own.form, POST=own.change)
        return pages

    def of_tokens(self) -> dict[str, Path]:
        """The tokens' own pages."""
        tokens = TokenPages(self.site, self._issuer, self._once)
        one = f"{HOME}/{{token_id}}"
        return {
            HOME: self._path(_PERSON, GET=tokens.own),
            NEW: self._path(_PERSON, GET=tokens.new, POST=tokens.create),
            CREATED: self._path(_PERSON, GET=tokens.created),
            ALL: self._path(_ADMIN, GET=tokens.everybodys),
            f"{one}/delete": self._path(_PERSON, GET=tokens.ask_delete, POST=tokens.delete),
            f"{one}/renew": self._path(_PERSON, GET=tokens.ask_renew, POST=tokens.renew),
        }

    def documents(self) -> list[Route]:
        """What a SAML provider has to know of us."""
        saml = self._options.get("saml")
        if saml is None:
            return []

        async def metadata(request: Request) -> Response:
            del request
            return Response(saml.metadata(), media_type="application/samlmetadata+xml")

        return [MethodRoute(METADATA, metadata, methods=["GET"])]

    def _providers(self) -> tuple[dict[str, Path], list[tuple[str, str]]]:
        """The pages of the providers that there are, and the links to them."""
        pages: dict[str, Path] = {}
        links: list[tuple[str, str]] = []
        found = ((SAML, self._options.get("saml")), (OIDC, self._options.get("oidc")))
        for way, provider in found:
            if provider is not None:
                there = ProviderPages(self.site, provider)
                pages[way.begin] = self._path(_ANYBODY, GET=there.begin)
                pages[way.back] = self._path(way.rule, **{way.method: there.finish})
                links.append((way.begin, way.label))
        return pages, links

    def _path(self, rule: Rule, **handlers: Handler) -> Path:
        return Path(self.site, handlers, rule)

    def _site(self, keyring: Keyring) -> Site:
        store = self._store
        sessions = Sessions(
            _notes_of(store),
            keyring,
            accounts=store if isinstance(store, AccountStore) else None,
            people=self._options.get("people"),
            clock=self._clock,
        )
        return Site(
            store=store,
            sessions=sessions,
            forms=Forms(keyring, self._clock),
            proxy_sso=self._options.get("proxy_sso") or ProxySso.default(),
            refusals=Refusals(self._listeners, ForwardClock(self._clock)),
            clock=self._clock,
        )


def _files(renderer: Renderer) -> Callable[[Request], Awaitable[Response]]:
    """Styles, scripts and pictures: they are nobody's, and come while the store does not answer."""

    async def file(request: Request) -> Response:
        answer = renderer.file(request.path_params["name"])
        if answer is None:
            answer = Response("there is no such file", 404, media_type="text/plain")
        protect(answer)
        return answer

    return file


def _accounts_of(store: Store) -> AccountStore:
    if not isinstance(store, AccountStore):
        raise ConfigurationError("this store keeps no accounts: give log_ins")
    return store


def _notes_of(store: Store) -> NoteStore:
    if not isinstance(store, NoteStore):
        raise ConfigurationError("this store keeps no notes: sessions have to be kept somewhere")
    return store
