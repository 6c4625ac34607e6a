"""Bodies of requests: read no further than allowed, and forms that have one meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from bearer_guard.errors import InvalidRequest

from ._json import MAX_BODY, BodyTooLarge

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["read_body", "read_form"]

_FORM: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 20


async def read_body(request: Request, limit: int = MAX_BODY) -> bytes:
    """The whole body.

    Raises:
        BodyTooLarge: It has more than ``limit`` bytes; the rest is not read.
        starlette.requests.ClientDisconnect: The client went away.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BodyTooLarge(f"the body has more than {limit} bytes")
    return bytes(body)


async def read_form(request: Request, *, needed: str) -> dict[str, str]:
    """The fields of a form, those without a value left out (RFC 6749 appendix B and section 3.2).

    Raises:
        BodyTooLarge: There is more than the limit.
        InvalidRequest: It is no form, is not UTF-8, has a field twice, or lacks the one needed.
        starlette.requests.ClientDisconnect: The client went away.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != _FORM:
        raise InvalidRequest(f"send a form: {_FORM}")
    body = await read_body(request)
    try:
        pairs = parse_qsl(body.decode("ascii"), errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:  # UnicodeDecodeError among them; its text would have some of the body
        raise InvalidRequest("the body is no form in UTF-8, or has too many fields") from None
    if len(dict(pairs)) != len(pairs):
        raise InvalidRequest("a field stands twice in the form")
    if needed not in dict(pairs):
        raise InvalidRequest(f"the form has no {needed}")
    return dict(pairs)
