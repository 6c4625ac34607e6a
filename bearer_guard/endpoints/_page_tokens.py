"""The pages of tokens: the table, and what makes, renews and deletes them."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode
from uuid import UUID

from bearer_guard.errors import InvalidRequest, IssueRefused, NotFound, StoreUnavailable
from bearer_guard.issuing.issuer import EVERYBODY

from ._page_cookies import Cookie
from ._page_once import SHOWN_SECONDS
from ._page_rows import Show, Wanted, find_rows, row_of
from ._page_site import ALL, CREATED, HOME

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.responses import Response

    from bearer_guard.issuing import Issued, Issuer
    from bearer_guard.policy import Policy
    from bearer_guard.record import TokenRecord

    from ._page_once import Once
    from ._page_site import Site, Visit

__all__ = ["TokenPages"]

_DAY: Final = timedelta(days=1)
_USUAL_DAYS: Final = 30  # what the form begins with
_NEVER: Final = -1  # days
_DAYS: Final = re.compile(r"[-+]?[0-9]{1,9}", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_GRACES: Final = {"0": timedelta(0), "1h": timedelta(hours=1), "1d": _DAY, "7d": 7 * _DAY}
_SHOWN: Final = "shown"  # in the place of a form's number: its value is not to be had any more
_PRESETS: Final = (7, 30, 90, 365)  # days


class TokenPages:
    """Handlers over an issuer.

    Args:
        site: What all pages share.
        issuer: Makes, lists and ends tokens.
        once: Hands the values on.
    """

    def __init__(self, site: Site, issuer: Issuer, once: Once) -> None:
        self._site: Final = site
        self._issuer: Final = issuer
        self._once: Final = once

    async def own(self, visit: Visit) -> Response:
        """``GET /access-tokens``: one's own tokens."""
        answer = await self._table(visit, visit.principal.name, HOME)
        # A browser that kept the page with the value, to go back to, throws it away when a cookie
        # changes; so this one is dropped only now.
        if Cookie.MADE.read(visit.request) == _SHOWN:
            Cookie.MADE.drop(answer, visit.request)
        return answer

    async def everybodys(self, visit: Visit) -> Response:
        """``GET /access-tokens/all``: all tokens, or those of one owner."""
        owner = visit.request.query_params.get("owner") or EVERYBODY
        return await self._table(visit, owner, ALL)

    async def new(self, visit: Visit) -> Response:
        """``GET /access-tokens/new``: the form."""
        return self._new(visit)

    async def create(self, visit: Visit) -> Response:
        """``POST /access-tokens/new``."""
        days, description = visit.form.get("days", ""), visit.form.get("description", "")

        async def make() -> Issued:
            return await self._issuer.create(
                visit.principal, lifetime=_lifetime(days), description=description
            )

        try:
            return await self._make_once(visit, make)
        except InvalidRequest as error:
            return self._new(
                visit, status=400, error=str(error), days=days, description=description
            )

    async def created(self, visit: Visit) -> Response:
        """``GET /access-tokens/created``: the value of a new token, the first time."""
        request, name = visit.request, visit.principal.name
        nonce = Cookie.MADE.read(request)
        if nonce is None or nonce == _SHOWN or request.method != "GET":
            return visit.go(HOME)
        shown = await self._once.take(nonce, name)
        if shown is None:
            return await self._not_shown(visit, nonce)
        record = await self._issuer.get(visit.principal, shown.token_id)
        return self._created(visit, record, shown.value)

    async def ask_delete(self, visit: Visit) -> Response:
        """``GET /access-tokens/{token_id}/delete``: the warning."""
        record = await self._issuer.get(visit.principal, _token_id(visit))
        return self._ask(visit, "delete.html", record)

    async def delete(self, visit: Visit) -> Response:
        """``POST /access-tokens/{token_id}/delete``."""
        await self._issuer.delete(visit.principal, _token_id(visit))
        back = ALL if visit.form.get("back") == ALL and visit.principal.admin else HOME
        return visit.go(back, done="deleted")

    async def ask_renew(self, visit: Visit) -> Response:
        """``GET /access-tokens/{token_id}/renew``: what will be made, and until when the old one.

        Raises:
            NotFound: It is somebody else's: that is nobody's to renew, not an administrator's.
        """
        record = await self._issuer.get(visit.principal, _token_id(visit))
        if record.owner != visit.principal.name:
            raise NotFound("there is no such token of yours")
        return self._ask(visit, "renew.html", record)

    async def renew(self, visit: Visit) -> Response:
        """``POST /access-tokens/{token_id}/renew``."""
        grace = _GRACES.get(visit.form.get("grace", "0"))
        if grace is None:
            raise InvalidRequest("there is no such choice of a grace")
        token_id = _token_id(visit)

        async def make() -> Issued:
            return await self._issuer.renew(visit.principal, token_id, grace=grace)

        return await self._make_once(visit, make)

    async def _make_once(self, visit: Visit, make: Callable[[], Awaitable[Issued]]) -> Response:
        """Make a token of a form, and send the browser to its value.

        A form that comes again makes nothing: it leads to the same value, if that was not shown.
        """
        nonce = visit.nonce
        if await self._once.claim(nonce, visit.principal.name):
            try:
                issued = await make()
            except (IssueRefused, StoreUnavailable):
                with suppress(StoreUnavailable):
                    await self._once.release(nonce)
                raise
            try:
                await self._once.put(nonce, issued)
            except StoreUnavailable:  # the token is there: shown now, or never
                return self._created(visit, issued.record, issued.value)
        answer = visit.go(CREATED)
        Cookie.MADE.put(answer, visit.request, nonce, seconds=SHOWN_SECONDS)
        return answer

    def _created(self, visit: Visit, record: TokenRecord, value: str) -> Response:
        """The one page that ever has a token."""
        token = row_of(record, self._now_ms())
        answer = self._site.show(visit, "created.html", {"value": value, "token": token})
        Cookie.MADE.put(answer, visit.request, _SHOWN)
        return answer

    async def _not_shown(self, visit: Visit, nonce: str) -> Response:
        """There is no value: it was shown, or is still being made for a form that came twice."""
        if await self._once.pending(nonce):
            answer = self._site.show(visit, "wait.html")
            answer.headers["refresh"] = "1"
            return answer
        answer = visit.go(HOME, done="shown")
        Cookie.MADE.drop(answer, visit.request)
        return answer

    async def _table(self, visit: Visit, owner: str, path: str) -> Response:
        query = visit.request.query_params
        wanted = Wanted.from_query(query, owner)
        rows = await find_rows(self._issuer, visit.principal, wanted, self._now_ms())
        things = {
            "path": path,
            "wanted": wanted,
            "everybody": EVERYBODY,
            "shows": list(Show),
            "rows": rows,
            "query": _query_maker(query, path),
            "may_generate": visit.may_generate,
        }
        return self._site.show(visit, "tokens.html", things | _form_things(visit.policy))

    def _new(
        self,
        visit: Visit,
        *,
        status: int = 200,
        error: str = "",
        days: str | None = None,
        description: str = "",
    ) -> Response:
        things = _form_things(visit.policy) | {
            "error": error,
            "description": description,
            "may_generate": visit.may_generate,
        }
        if days is not None:
            things["days"] = days
        return self._site.show(visit, "new.html", things, status=status)

    def _ask(self, visit: Visit, template: str, record: TokenRecord) -> Response:
        back = ALL if visit.request.query_params.get("back") == ALL else HOME
        token = row_of(record, self._now_ms())
        return self._site.show(visit, template, {"token": token, "back": back})

    def _now_ms(self) -> int:
        return self._site.clock.now_ms()


def _form_things(policy: Policy) -> dict[str, object]:
    """What the form for a new token says, within the policy."""
    limit = None if policy.max_lifetime is None else max(policy.max_lifetime // _DAY, 1)
    return {
        "days": str(_USUAL_DAYS if limit is None else min(_USUAL_DAYS, limit)),
        "description": "",
        "limit": limit,
        "presets": [days for days in _PRESETS if limit is None or days <= limit],
        "error": "",
    }


def _query_maker(query: Mapping[str, str], path: str) -> Callable[..., str]:
    """Makes addresses of the same table that ask for something else as well."""
    kept = {name: query[name] for name in ("owner", "q", "show") if query.get(name)}

    def address(**changes: str | None) -> str:
        fields = {name: value for name, value in (kept | changes).items() if value}
        return f"{path}?{urlencode(fields)}" if fields else path

    return address


def _lifetime(text: str) -> timedelta | None:
    """The length of a life that was typed in.

    Raises:
        InvalidRequest: It is no whole number of days.
    """
    text = text.strip().replace("\N{MINUS SIGN}", "-")
    if not _DAYS.fullmatch(text):
        raise InvalidRequest("the lifetime is a whole number of days")
    if int(text) == _NEVER:
        return None
    try:
        return timedelta(days=int(text))
    except OverflowError:
        raise InvalidRequest("so many days are beyond the year 9999") from None


def _token_id(visit: Visit) -> UUID:
    text = visit.request.path_params["token_id"]
    if not _UUID.fullmatch(text):
        raise NotFound("there is no such token")
    return UUID(text)
