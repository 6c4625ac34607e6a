"""``/apiAccessTokens`` of the HTTP API."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import quote
from uuid import UUID

from bearer_guard.errors import InvalidRequest, NotFound
from bearer_guard.issuing.issuer import MAX_PAGE

from ._answers import empty, json_answer
from ._format import token_json
from ._json import read_fields

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from bearer_guard.issuing import Issued, Issuer, Principal
    from bearer_guard.issuing.issuer import Listing

__all__ = ["Tokens"]

ROUTE: Final = "/apiAccessTokens"
_NEVER: Final = -1  # of ``lifetimeSeconds``
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


class Tokens:
    """Handlers over an issuer."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer: Final = issuer

    async def create(self, request: Request, principal: Principal) -> Response:
        """``POST``: a new token of the caller's."""
        allowed = ("lifetimeSeconds", "description", "scopes", "networks")
        fields = await read_fields(request, allowed)
        seconds = fields.take("lifetimeSeconds", int)
        issued = await self._issuer.create(
            principal,
            lifetime=None if seconds == _NEVER else _seconds(seconds),
            description=fields.get("description", str, ""),
            scopes=fields.texts("scopes"),
            networks=fields.texts("networks"),
        )
        return _created(request, issued)

    async def renew(self, request: Request, principal: Principal) -> Response:
        """``POST …/{tokenId}/renew``: a token like this one, which ends after the grace."""
        fields = await read_fields(request, ("graceSeconds",), may_be_empty=True)
        grace = _seconds(fields.get("graceSeconds", int, 0))
        return _created(
            request, await self._issuer.renew(principal, _token_id(request), grace=grace)
        )

    async def list(self, request: Request, principal: Principal) -> Response:
        """``GET``: all of somebody's tokens, or a page of them."""
        owner = _whose(request, principal)
        after, limit = _parameter(request, "after"), _limit(request)
        page = await self._issuer.list(principal, owner=owner, after=after, limit=limit or MAX_PAGE)
        rows = [_rows(page)]
        if limit is None:
            while page.next is not None:
                await asyncio.sleep(0)  # embedded stores answer at once: let others have a turn
                page = await self._issuer.list(
                    principal, owner=owner, after=page.next, limit=MAX_PAGE
                )
                rows.append(_rows(page))
        paged = limit is not None or after is not None
        tail = b', "next": ' + json.dumps(page.next).encode() if paged else b""
        return json_answer(b'{"data": [' + b", ".join(filter(None, rows)) + b"]" + tail + b"}")

    async def get(self, request: Request, principal: Principal) -> Response:
        """``GET …/{tokenId}``."""
        return json_answer(token_json(await self._issuer.get(principal, _token_id(request))))

    async def delete(self, request: Request, principal: Principal) -> Response:
        """``DELETE …/{tokenId}``."""
        await self._issuer.delete(principal, _token_id(request))
        return empty()

    async def delete_all(self, request: Request, principal: Principal) -> Response:
        """``DELETE ?owner=…``: all of somebody's tokens at once."""
        owner = _whose(request, principal)
        if not owner:
            raise InvalidRequest("say whose tokens to delete: ?owner=me")
        return json_answer({"deleted": await self._issuer.delete_all(principal, owner)})


def _created(request: Request, issued: Issued) -> Response:
    """The one answer that ever holds a token."""
    collection = request.scope["path"].rpartition(ROUTE)[0] + ROUTE
    return json_answer(
        {"tokenValue": issued.value, "tokenInfo": token_json(issued.record)},
        201,
        {"location": quote(f"{collection}/{issued.record.id}")},
    )


def _seconds(seconds: int) -> timedelta:
    try:
        return timedelta(seconds=seconds)
    except OverflowError:
        raise InvalidRequest("so many seconds are beyond the year 9999") from None


def _token_id(request: Request) -> UUID:
    text = request.path_params["token_id"]
    if not _UUID.fullmatch(text):
        raise NotFound("there is no such token")
    return UUID(text)


def _whose(request: Request, principal: Principal) -> str | None:
    owner = _parameter(request, "owner")
    return principal.name if owner == "me" else owner


def _limit(request: Request) -> int | None:
    text = _parameter(request, "limit")
    if text is None:
        return None
    limit = int(text) if _NUMBER.fullmatch(text) else 0
    if not 0 < limit <= MAX_PAGE:
        raise InvalidRequest(f"limit is 1 to {MAX_PAGE}")
    return limit


def _parameter(request: Request, name: str) -> str | None:
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise InvalidRequest(f"{name} stands twice in the query")
    return values[0] if values else None


def _rows(page: Listing) -> bytes:
    return ", ".join(json.dumps(token_json(record)) for record in page).encode()
