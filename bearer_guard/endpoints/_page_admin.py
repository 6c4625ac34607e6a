"""The pages of administrators, and everybody's own password."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from bearer_guard.errors import InvalidRequest
from bearer_guard.issuing.logins import Denied

from ._credentials import client_of
from ._page_cookies import Cookie
from ._page_site import HOME, SETTINGS, USERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from bearer_guard.issuing import Issuer
    from bearer_guard.issuing.accounts import AccountFlags, Accounts
    from bearer_guard.issuing.issuer import SettingsChange
    from bearer_guard.issuing.logins import LogIns
    from bearer_guard.policy import Policy

    from ._page_site import Site, Visit

__all__ = ["PasswordPage", "SettingsPage", "UserPages"]

_DAY: Final = timedelta(days=1)
_UNLIMITED: Final = "-1"
_DAYS: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_PAGE_USERS: Final = 50
# What the buttons beside a user do.
_CHANGES: Final[dict[str, AccountFlags]] = {
    "allow": {"may_generate": True},
    "forbid": {"may_generate": False},
    "enable": {"disabled": False},
    "disable": {"disabled": True},
}


class SettingsPage:
    """``/access-tokens/settings``."""

    def __init__(self, site: Site, issuer: Issuer) -> None:
        self._site: Final = site
        self._issuer: Final = issuer

    async def form(self, visit: Visit) -> Response:
        """``GET``."""
        return self._form(visit, days=_days(visit.policy))

    async def change(self, visit: Visit) -> Response:
        """``POST``."""
        days = visit.form.get("days", "").strip().replace("\N{MINUS SIGN}", "-")
        changes: SettingsChange = {
            "enabled": "enabled" in visit.form,
            "users_may_generate": "users_may_generate" in visit.form,
            "allow_non_expiring": "allow_non_expiring" in visit.form,
        }
        try:
            if days != _days(visit.policy):  # a limit of hours, set elsewhere, stays as it is
                changes["max_lifetime"] = _limit(days)
            await self._issuer.change_settings(visit.principal, **changes)
        except InvalidRequest as error:
            return self._form(visit, days=days, status=400, error=str(error))
        return visit.go(SETTINGS, done="saved")

    def _form(self, visit: Visit, *, days: str, status: int = 200, error: str = "") -> Response:
        things = {"days": days, "error": error}
        return self._site.show(visit, "settings.html", things, status=status)


class UserPages:
    """``/access-tokens/users``."""

    def __init__(self, site: Site, accounts: Accounts) -> None:
        self._site: Final = site
        self._accounts: Final = accounts

    async def table(self, visit: Visit) -> Response:
        """``GET``."""
        return await self._table(visit)

    async def change(self, visit: Visit) -> Response:
        """``POST``: what the button says that was pressed."""
        do, name = visit.form.get("do", ""), visit.form.get("name", "")
        if do == "add":
            return await self._add(visit, name)
        if do not in _CHANGES:
            raise InvalidRequest("there is no such thing to do")
        if name == visit.principal.name and do == "disable":
            raise InvalidRequest("nobody can disable themselves: another administrator can")
        await self._accounts.change(visit.principal, name, **_CHANGES[do])
        return visit.go(USERS, done="changed")

    async def _add(self, visit: Visit, name: str) -> Response:
        form = visit.form
        try:
            await self._accounts.add(
                visit.principal,
                name,
                password=form.get("password") or None,
                admin="admin" in form,
                may_generate="may_generate" in form,
            )
        except InvalidRequest as error:
            return await self._table(visit, status=400, error=str(error), typed=form)
        return visit.go(USERS, done="added")

    async def _table(
        self,
        visit: Visit,
        *,
        status: int = 200,
        error: str = "",
        typed: Mapping[str, str] | None = None,
    ) -> Response:
        query = visit.request.query_params
        text, after = query.get("q", "").strip(), query.get("after", "")
        found = [
            account
            for account in await self._accounts.list(visit.principal)
            if account.name > after and text.casefold() in account.name.casefold()
        ]
        things = {
            "error": error,
            "typed": typed or {},
            "text": text,
            "after": after,
            "accounts": found[:_PAGE_USERS],
            "more": len(found) > _PAGE_USERS,
        }
        return self._site.show(visit, "users.html", things, status=status)


class PasswordPage:
    """``/access-tokens/password``: everybody's own.

    Args:
        site: What all pages share.
        accounts: Has the passwords.
        log_ins: Makes sure of the current one, under the limits of every log-in.
    """

    def __init__(self, site: Site, accounts: Accounts, log_ins: LogIns) -> None:
        self._site: Final = site
        self._accounts: Final = accounts
        self._log_ins: Final = log_ins

    async def form(self, visit: Visit) -> Response:
        """``GET``."""
        return self._form(visit)

    async def change(self, visit: Visit) -> Response:
        """``POST``. All sessions end with it; this browser gets a new one."""
        current, new = visit.form.get("current", ""), visit.form.get("new", "")
        outcome = await self._log_ins.log_in(
            visit.principal.name, current, client=client_of(visit.request)
        )
        if isinstance(outcome, Denied):
            if outcome.retry_after is None:
                return self._form(visit, status=403, error="the current password is not right")
            answer = self._form(visit, status=429, error="too many tries have failed: wait")
            answer.headers["retry-after"] = str(outcome.retry_after)
            return answer
        try:
            await self._accounts.change_own_password(outcome, new)
        except InvalidRequest as error:
            return self._form(visit, status=400, error=str(error))
        session = await self._site.sessions.begin(outcome)
        answer = visit.go(HOME, done="password")
        Cookie.SESSION.put(answer, visit.request, session.cookie or "")
        return answer

    def _form(self, visit: Visit, *, status: int = 200, error: str = "") -> Response:
        return self._site.show(visit, "password.html", {"error": error}, status=status)


def _days(policy: Policy) -> str:
    if policy.max_lifetime is None:
        return _UNLIMITED
    return f"{policy.max_lifetime / _DAY:.10g}"


def _limit(days: str) -> timedelta | None:
    if days in {"", _UNLIMITED}:
        return None
    if not _DAYS.fullmatch(days):
        raise InvalidRequest("the longest lifetime is a whole number of days, or -1 for no limit")
    try:
        return timedelta(days=int(days))
    except OverflowError:
        raise InvalidRequest("so many days are beyond the year 9999; -1 is no limit") from None
