"""Answers of the HTTP API: JSON bodies, and which status an error is.

What the guard refuses too is said as the guard says it, see ``verdict``; a 401 has a second
challenge here, as a password is welcome.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.responses import Response

from bearer_guard.errors import FeatureOff, InvalidRequest, NotAllowed, NotFound
from bearer_guard.issuing.accounts import NameTaken
from bearer_guard.verdict import Reason, quote, render

from ._json import BodyTooLarge, NotJson

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bearer_guard.errors import IssueRefused

__all__ = [
    "empty",
    "error",
    "json_answer",
    "refused",
    "too_many",
    "unauthorized",
    "why_not",
    "wrong_method",
]

_NO_STORE: Final = {"cache-control": "no-store"}
_UNAUTHORIZED: Final = 401


class _Row(NamedTuple):
    status: int
    code: str


# The nearest class in the error's line of descent counts.
_ROWS: Final[dict[type[BaseException], _Row]] = {
    NotFound: _Row(404, "not_found"),
    FeatureOff: _Row(404, "not_found"),  # the routes do not exist then
    NotAllowed: _Row(403, "access_denied"),
    NameTaken: _Row(409, "conflict"),
    BodyTooLarge: _Row(413, "content_too_large"),
    NotJson: _Row(415, "unsupported_media_type"),
    InvalidRequest: _Row(400, "invalid_request"),
}


def json_answer(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer with a JSON body, which nobody may keep."""
    return Response(
        value if isinstance(value, bytes) else json.dumps(value).encode(),
        status,
        {**_NO_STORE, **(headers or {})},
        media_type="application/json",
    )


def empty() -> Response:
    """Done, and nothing to say."""
    return Response(status_code=204, headers=_NO_STORE)


def error(
    status: int, code: str, description: str, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer that says what is wrong: to programs by ``code``, to people by ``description``."""
    return json_answer({"error": code, "error_description": description}, status, headers)


def wrong_method(allowed: Collection[str]) -> Response:
    """The answer to a method that a path is not for (RFC 9110 section 15.5.6)."""
    allow = {"allow": ", ".join(sorted(allowed))}
    return error(405, "method_not_allowed", "another method is needed", allow)


def why_not(refusal: IssueRefused) -> Response:
    """The answer to what the issuing side refuses."""
    row = next(_ROWS[kind] for kind in type(refusal).__mro__ if kind in _ROWS)
    return error(*row, str(refusal))


def refused(reason: Reason, *, realm: str) -> Response:
    """The guard's own answer to these credentials."""
    status, headers, body = render(reason, realm=realm)
    answer = Response(body, status)
    answer.raw_headers = list(headers)
    if status == _UNAUTHORIZED:
        answer.raw_headers.append(_basic_challenge(realm))
    return answer


def unauthorized(*, realm: str) -> Response:
    """The answer to a name and a password that prove nothing, for whatever reason."""
    answer = error(_UNAUTHORIZED, "unauthorized", "The name or the password is not right")
    bearer = b"Bearer realm=" + quote(realm).encode("latin-1")
    answer.raw_headers += [(b"www-authenticate", bearer), _basic_challenge(realm)]
    return answer


def too_many(retry_after: int) -> Response:
    """The answer where too many log-ins have failed; the password was not looked at."""
    return error(
        429,
        "too_many_requests",
        "Too many log-ins have failed: wait, and try again",
        {"retry-after": str(retry_after)},
    )


def _basic_challenge(realm: str) -> tuple[bytes, bytes]:
    """RFC 7617 sections 2 and 2.1."""
    words = f'Basic realm={quote(realm)}, charset="UTF-8"'
    return (b"www-authenticate", words.encode("latin-1"))
