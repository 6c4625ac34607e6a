"""What comes of a request's credentials, and what the caller is told.

The answers are one table (RFC 6750 section 3.1). Rule 1: no other module names a status. Rule 2:
rows that must look alike outside (malformed, forged, unknown, tampered) share their words; the
reason itself goes to the audit only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .record import TokenInfo

__all__ = ["ANSWERS", "Accepted", "Answer", "Reason", "Refusal", "Rendered", "Verdict", "render"]


class Reason(StrEnum):
    """Why a request was turned away."""

    MISSING = "missing"
    TWO_HEADERS = "two-headers"
    MALFORMED = "malformed"
    FORGED = "forged"
    UNKNOWN = "unknown"
    TAMPERED = "tampered"
    EXPIRED = "expired"
    ENDED = "ended"
    FEATURE_OFF = "feature-off"
    OWNER_DISABLED = "owner-disabled"
    SCOPE = "scope"
    NETWORK = "network"
    PROXY_IDENTITY = "proxy-identity"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The token is good now.

    Attributes:
        token: Whose it is, and what for.
    """

    accepted: ClassVar = True
    token: TokenInfo


@dataclass(frozen=True, slots=True)
class Refusal:
    """The request is turned away.

    Attributes:
        reason: Why; not all of it is for the caller, see ``ANSWERS``.
        token: The token's info where it is known and genuine, for the audit.
    """

    accepted: ClassVar = False
    reason: Reason
    token: TokenInfo | None = None


Verdict: TypeAlias = Accepted | Refusal


class Answer(NamedTuple):
    """A row of the table.

    Attributes:
        status: Of HTTP.
        error: RFC 6750 section 3.1; empty where the challenge must not carry one.
        description: For people. It says nothing that only the token's holder may know, unless
            only the holder can see it.
        challenge: Whether ``WWW-Authenticate`` is sent.
    """

    status: int
    error: str = ""
    description: str = ""
    challenge: bool = True


_NOT_VALID: Final = Answer(401, "invalid_token", "The access token is not valid")

ANSWERS: Final[dict[Reason, Answer]] = {
    # No error code where no credentials were sent: RFC 6750 section 3, last paragraph.
    Reason.MISSING: Answer(401),
    Reason.TWO_HEADERS: Answer(400, "invalid_request", "More than one Authorization header"),
    Reason.MALFORMED: _NOT_VALID,
    Reason.FORGED: _NOT_VALID,
    Reason.UNKNOWN: _NOT_VALID,
    Reason.TAMPERED: _NOT_VALID,
    # From here on the caller has shown the real token, and may be told what became of it.
    Reason.EXPIRED: Answer(401, "invalid_token", "The access token expired"),
    Reason.ENDED: Answer(401, "invalid_token", "The access token was deleted"),
    Reason.FEATURE_OFF: Answer(401, "invalid_token", "Access tokens are switched off"),
    Reason.OWNER_DISABLED: Answer(401, "invalid_token", "The owner's account is disabled"),
    Reason.SCOPE: Answer(403, "insufficient_scope", "The access token lacks a needed scope"),
    Reason.NETWORK: Answer(
        403, "insufficient_scope", "The access token can't be used from this network"
    ),
    Reason.PROXY_IDENTITY: Answer(
        403,
        "invalid_request",
        "Access tokens don't work together with reverse-proxy single sign-on",
    ),
    # No challenge: the credentials may be good, and other ones would not help.
    Reason.UNAVAILABLE: Answer(
        503, "temporarily_unavailable", "Access tokens can't be checked now", challenge=False
    ),
}


class Rendered(NamedTuple):
    """An answer as it goes out: status, ASGI header list, body."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


def render(
    reason: Reason, *, realm: str, scopes: Iterable[str] = (), resource_metadata: str = ""
) -> Rendered:
    """The whole HTTP answer to a refusal.

    Args:
        reason: Which row.
        realm: Of the challenge, RFC 9110 section 11.5.
        scopes: Those that were needed; told with ``insufficient_scope`` (RFC 6750 section 3.1).
        resource_metadata: The URL of the document that tells where tokens come from; told with
            every 401 (RFC 9728 section 5.1).
    """
    answer = ANSWERS[reason]
    challenge = {"realm": realm}
    if answer.error:
        challenge |= {"error": answer.error, "error_description": answer.description}
    if reason is Reason.SCOPE:
        challenge["scope"] = " ".join(sorted(scopes))
    if resource_metadata and answer.status == 401:  # noqa: PLR2004 - it wants credentials
        challenge["resource_metadata"] = resource_metadata
    error = {
        "error": answer.error or "unauthorized",
        "error_description": answer.description or "An access token is needed",
    }
    body = json.dumps(error).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    if answer.challenge:
        words = ", ".join(f"{name}={quote(value)}" for name, value in challenge.items())
        headers.append((b"www-authenticate", b"Bearer " + words.encode("latin-1")))
    else:
        headers.append((b"retry-after", b"1"))
    return Rendered(answer.status, tuple(headers), body)


def quote(text: str) -> str:
    """A quoted-string of RFC 9110 section 5.6.4.

    Raises:
        ValueError: A character can't stand in a header field.
    """
    if any(not (char.isprintable() and ord(char) < 256) for char in text):  # noqa: PLR2004
        msg = f"{text!r} can't stand in a header field"
        raise ValueError(msg)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
