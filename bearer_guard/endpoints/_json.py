"""Bodies of requests: JSON that has one meaning, read no further than allowed.

``json`` of the standard library takes more than the standard does, and what a standard leaves open
is where two readers of one body differ (RFC 8259 sections 4, 6 and 8): so duplicate names, ``NaN``,
a byte order mark, and bytes that are not UTF-8 are refused, and every number with a fraction or an
exponent, which no field here has.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias, TypeVar

from bearer_guard.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.requests import Request

__all__ = ["MAX_BODY", "BodyTooLarge", "Fields", "NotJson", "parse", "read_fields"]

MAX_BODY: Final = 64 * 1024  # bytes

_T = TypeVar("_T", int, str, bool)
_Pairs: TypeAlias = "list[tuple[str, object]]"
_WORDS: Final[dict[type, str]] = {int: "an integer", str: "text", bool: "true or false"}
_UTF8: Final = frozenset({"utf-8", '"utf-8"'})


class BodyTooLarge(InvalidRequest):
    """The body has more than 64 KiB."""


class NotJson(InvalidRequest):
    """The content type is not JSON in UTF-8."""


class Fields:
    """The members of an object that a client sent.

    Args:
        values: As parsed.
        allowed: The names that mean something.

    Raises:
        InvalidRequest: There are others.
    """

    def __init__(self, values: dict[str, object], allowed: Collection[str]) -> None:
        if not values.keys() <= set(allowed):
            raise InvalidRequest(f"unknown field; the fields are {', '.join(allowed)}")
        self._values: Final = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def take(self, name: str, kind: type[_T]) -> _T:
        """The value of a field that must be there, of exactly this type: ``True`` is no integer.

        Raises:
            InvalidRequest: It is missing, or of another type.
        """
        if name not in self._values:
            raise InvalidRequest(f"{name} is missing")
        value = self._values[name]
        if type(value) is not kind:
            raise InvalidRequest(f"{name} must be {_WORDS[kind]}")
        return value

    def get(self, name: str, kind: type[_T], default: _T) -> _T:
        """The value of a field that may be left out."""
        return self.take(name, kind) if name in self._values else default

    def texts(self, name: str) -> list[str]:
        """A list of texts, empty where the field was left out.

        Raises:
            InvalidRequest: It is something else.
        """
        value = self._values.get(name, [])
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise InvalidRequest(f"{name} must be a list of texts")
        return value


async def read_fields(
    request: Request, allowed: Collection[str], *, may_be_empty: bool = False
) -> Fields:
    """The fields of the request's body.

    Args:
        request: Its body is read to the end or to the limit.
        allowed: Their names.
        may_be_empty: No body at all is an empty object.

    Raises:
        NotJson: The content type says so.
        BodyTooLarge: There is more than the limit; the rest is not read.
        InvalidRequest: No JSON object, or another field in it.
        starlette.requests.ClientDisconnect: The client went away.
    """
    if not may_be_empty or "content-type" in request.headers:
        _check_type(request)
    body = await _read(request)
    if may_be_empty and not body:
        return Fields({}, allowed)
    _check_type(request)
    return Fields(parse(body), allowed)


def parse(body: bytes) -> dict[str, object]:
    """The object that ``body`` spells.

    Raises:
        InvalidRequest: It spells none. The message never has any of it.
    """
    try:
        text = body.decode()
        value = json.loads(
            text,
            object_pairs_hook=_without_duplicates,
            parse_constant=_no_number,
            parse_float=_no_number,
        )
    except UnicodeDecodeError:
        raise InvalidRequest("the body is not UTF-8") from None
    except RecursionError:
        raise InvalidRequest("the body is nested too deeply") from None
    except ValueError:  # JSONDecodeError, and an integer of more digits than Python reads
        raise InvalidRequest("the body is not JSON, or has a number that is too long") from None
    if not isinstance(value, dict):
        raise InvalidRequest("the body must be a JSON object")
    return value


def _without_duplicates(pairs: _Pairs) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise InvalidRequest("a name stands twice in one object")
    return values


def _no_number(text: str) -> NoReturn:
    del text
    raise InvalidRequest("numbers must be integers")


async def _read(request: Request) -> bytes:
    """The body, given up as soon as it is, or says that it will be, beyond the limit."""
    told = request.headers.get("content-length", "")
    if told.isdecimal() and len(told) < 20 and int(told) > MAX_BODY:  # noqa: PLR2004 - 64 bits
        raise BodyTooLarge(f"the body has more than {MAX_BODY} bytes")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise BodyTooLarge(f"the body has more than {MAX_BODY} bytes")
    return bytes(body)


def _check_type(request: Request) -> None:
    types = request.headers.getlist("content-type")
    media, *parameters = (part.strip().lower() for part in (types or [""])[0].split(";"))
    charsets = {p.removeprefix("charset=") for p in parameters if p.startswith("charset=")}
    plain = request.headers.get("content-encoding", "identity").strip().lower() == "identity"
    if len(types) != 1 or media != "application/json" or charsets - _UTF8 or not plain:
        raise NotJson("send application/json, in UTF-8 and not compressed")
