"""Logging in and out by a name and a password."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from bearer_guard.issuing.logins import Denied

from ._credentials import client_of
from ._page_cookies import Cookie
from ._page_site import ALL, HOME, LOGIN, NEW, SETTINGS, USERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from bearer_guard.issuing import Principal
    from bearer_guard.issuing.logins import LogIns

    from ._page_site import Site, Visit

__all__ = ["LogInPage", "enter", "page_after"]

_VISIT_BYTES: Final = 18
# Where a log-in may lead: no redirect goes anywhere else, whatever an address says.
_AFTER: Final = frozenset({HOME, NEW, ALL, USERS, SETTINGS})
_DENIED: Final = "The username or the password is not right."
_LIMITED: Final = "Too many log-ins have failed. Wait a minute, and try again."


class LogInPage:
    """``/login`` and ``/logout``.

    Args:
        site: What all pages share.
        log_ins: Prove names by passwords; ``None``: there is no form for that.
        providers: What else there is to log in by: the path that begins it, and what to call it.
    """

    def __init__(
        self, site: Site, log_ins: LogIns | None, providers: Sequence[tuple[str, str]]
    ) -> None:
        self._site: Final = site
        self._log_ins: Final = log_ins
        self._providers: Final = providers

    async def form(self, visit: Visit) -> Response:
        """``GET /login``."""
        if visit.session is not None:
            return visit.go(page_after(visit))
        return self._form(visit)

    async def log_in(self, visit: Visit) -> Response:
        """``POST /login``."""
        name, password = visit.form.get("username", ""), visit.form.get("password", "")
        if self._log_ins is None:
            return self._form(visit, status=403, error=_DENIED)
        outcome = await self._log_ins.log_in(name, password, client=client_of(visit.request))
        if not isinstance(outcome, Denied):
            return await enter(self._site, visit, outcome)
        if outcome.retry_after is None:
            return self._form(visit, status=403, error=_DENIED, name=name)
        answer = self._form(visit, status=429, error=_LIMITED, name=name)
        answer.headers["retry-after"] = str(outcome.retry_after)
        return answer

    async def ask(self, visit: Visit) -> Response:
        """``GET /logout``: a link may have led here, so nothing is done yet."""
        return self._site.show(visit, "logout.html")

    async def log_out(self, visit: Visit) -> Response:
        """``POST /logout``."""
        if visit.session is not None:
            await self._site.sessions.end(visit.session.id)
        answer = visit.go(LOGIN, done="out")
        Cookie.SESSION.drop(answer, visit.request)
        return answer

    def _form(
        self, visit: Visit, *, status: int = 200, error: str = "", name: str = ""
    ) -> Response:
        visit_id = Cookie.VISIT.read(visit.request) or secrets.token_urlsafe(_VISIT_BYTES)
        things = {
            "csrf": lambda: self._site.forms.token(visit_id),
            "error": error,
            "name": name,
            "next": page_after(visit),
            "by_password": self._log_ins is not None,
            "providers": self._providers,
        }
        answer = self._site.show(visit, "login.html", things, status=status)
        Cookie.VISIT.put(answer, visit.request, visit_id)
        return answer


async def enter(
    site: Site, visit: Visit, principal: Principal, *, wanted: str | None = None
) -> Response:
    """Begin the session of somebody who has logged in, and send them to the page they wanted.

    The browser's session from before is over: the new one has an id that nobody can have known.

    Args:
        site: What all pages share.
        visit: The request that proved it.
        principal: Who it is.
        wanted: The page; ``None``: the one that the form names.
    """
    await _end_the_old_one(site, visit.request)
    session = await site.sessions.begin(principal)
    after = page_after(visit) if wanted is None else _known(wanted)
    if not visit.policy.enabled and principal.admin:
        after = SETTINGS  # the only page that there is now
    answer = visit.go(after)
    Cookie.SESSION.put(answer, visit.request, session.cookie or "")
    Cookie.VISIT.drop(answer, visit.request)
    return answer


def page_after(visit: Visit) -> str:
    """The page that was wanted before the log-in."""
    query = visit.request.query_params
    return _known(visit.form.get("next", query.get("next", HOME)))


def _known(path: str) -> str:
    return path if path in _AFTER else HOME


async def _end_the_old_one(site: Site, request: Request) -> None:
    cookie = Cookie.SESSION.read(request)
    old = None if cookie is None else await site.sessions.find(cookie)
    if old is not None:
        await site.sessions.end(old.id)
