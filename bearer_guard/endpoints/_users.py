"""``/users`` of the HTTP API: native accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bearer_guard.errors import InvalidRequest, NotAllowed
from bearer_guard.issuing.logins import Denied
from bearer_guard.issuing.passwords import check_new

from ._answers import empty, json_answer, too_many
from ._credentials import client_of
from ._format import account_json
from ._json import read_fields

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from bearer_guard.issuing import Principal
    from bearer_guard.issuing.accounts import AccountFlags, Accounts
    from bearer_guard.issuing.logins import LogIns

    from ._json import Fields

__all__ = ["Users"]

_FIELDS: Final = ("name", "admin", "mayGenerate", "disabled", "password")


class Users:
    """Handlers over native accounts.

    Args:
        accounts: Makes and changes them.
        log_ins: Makes sure of a current password, under the limits of every log-in.
    """

    def __init__(self, accounts: Accounts, log_ins: LogIns) -> None:
        self._accounts: Final = accounts
        self._log_ins: Final = log_ins

    async def list(self, request: Request, principal: Principal) -> Response:
        """``GET``: all accounts."""
        del request
        accounts = await self._accounts.list(principal)
        return json_answer({"data": [account_json(account) for account in accounts]})

    async def add(self, request: Request, principal: Principal) -> Response:
        """``POST``: a new account."""
        principal.must_be_admin()
        fields = await read_fields(request, _FIELDS)
        account = await self._accounts.add(
            principal, fields.take("name", str), password=_password(fields), **_flags(fields)
        )
        return json_answer(account_json(account), 201)

    async def change(self, request: Request, principal: Principal) -> Response:
        """``PATCH …/{name}``: what is left out stays. A name can't be changed."""
        principal.must_be_admin()
        fields = await read_fields(request, _FIELDS)
        name = request.path_params["name"]
        if fields.get("name", str, name) != name:
            raise InvalidRequest("an account's name can't be changed")
        account = await self._accounts.change(
            principal, name, password=_password(fields), **_flags(fields)
        )
        return json_answer(account_json(account))

    async def change_own(self, request: Request, principal: Principal) -> Response:
        """``PATCH …/me``: one's own password, with the current one to prove it."""
        fields = await read_fields(request, ("password", "currentPassword"))
        new = fields.take("password", str)
        check_new(new)
        current = fields.take("currentPassword", str)
        outcome = await self._log_ins.log_in(principal.name, current, client=client_of(request))
        if isinstance(outcome, Denied):
            if outcome.retry_after is not None:
                return too_many(outcome.retry_after)
            raise NotAllowed("the current password is not right")
        await self._accounts.change_own_password(outcome, new)
        return empty()


def _password(fields: Fields) -> str | None:
    return fields.take("password", str) if "password" in fields else None


def _flags(fields: Fields) -> AccountFlags:
    flags: AccountFlags = {}
    if "admin" in fields:
        flags["admin"] = fields.take("admin", bool)
    if "mayGenerate" in fields:
        flags["may_generate"] = fields.take("mayGenerate", bool)
    if "disabled" in fields:
        flags["disabled"] = fields.take("disabled", bool)
    return flags
