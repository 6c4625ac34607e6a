"""Forms of the page: read with one meaning, and taken from our own pages only.

Each form has a token of its own, random and signed, that is bound to the session, or to the visit
of somebody who has not logged in yet. It tells our forms from those of other sites, and one
submission from another.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from itsdangerous import BadData

from bearer_guard.errors import InvalidRequest
from bearer_guard.issuing.sessions import LONGEST, dated_serializer

from ._body import read_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from bearer_guard.clock import Clock
    from bearer_guard.keyring import Keyring

__all__ = ["FIELD", "MAX_FORM", "Forms", "comes_from_elsewhere", "read_form"]

FIELD: Final = "csrf"
MAX_FORM: Final = 64 * 1024  # bytes
_FORM: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 30
_NONCE_BYTES: Final = 16
_MOST_SECONDS: Final = int(LONGEST.total_seconds())  # no session lasts longer


class Forms:
    """Makes and checks the tokens of forms."""

    def __init__(self, keyring: Keyring, clock: Clock) -> None:
        self._serializer: Final = dated_serializer(keyring, "csrf", clock)

    def token(self, bound_to: str) -> str:
        """A new token, for one form.

        Args:
            bound_to: The id of the session or of the visit.
        """
        return self._serializer.dumps([_digest(bound_to), secrets.token_urlsafe(_NONCE_BYTES)])

    def nonce(self, form: Mapping[str, str], bound_to: str) -> str | None:
        """What tells this form from all others; ``None``: it is none of ours."""
        try:
            said = self._serializer.loads(form.get(FIELD, ""), max_age=_MOST_SECONDS)
        except BadData:
            return None
        digest, nonce = said
        return str(nonce) if secrets.compare_digest(digest, _digest(bound_to)) else None


async def read_form(request: Request, limit: int = MAX_FORM) -> dict[str, str]:
    """The fields of a form.

    Args:
        request: Its body is read to the end or to the limit.
        limit: In bytes.

    Raises:
        BodyTooLarge: There is more than the limit.
        InvalidRequest: It is no form, is not UTF-8, or has a field twice.
        starlette.requests.ClientDisconnect: The client went away.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != _FORM:
        raise InvalidRequest(f"send a form: {_FORM}")
    body = await read_body(request, limit)
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:  # UnicodeDecodeError among them; its text would have some of the body
        raise InvalidRequest("the body is no form in UTF-8, or has too many fields") from None
    if len(dict(pairs)) != len(pairs):
        raise InvalidRequest("a field stands twice in the form")
    return dict(pairs)


def comes_from_elsewhere(request: Request) -> bool:
    """Whether the browser says that another site's page sent this (W3C Fetch Metadata).

    ``Origin`` is looked at only where ``Sec-Fetch-Site`` is missing: with some referrer policies
    browsers send ``null`` for our own forms.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site != "same-origin"
    origin = request.headers.get("origin")
    if origin is None:
        return False
    return urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
