"""Whether an ID token may be believed (OpenID Connect Core 1.0 section 3.1.3.7). No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bearer_guard.errors import ConfigurationError

try:
    from authlib.oidc.core import CodeIDToken
    from joserfc import jwt
    from joserfc.errors import InvalidKeyIdError, JoseError
except ModuleNotFoundError as missing:
    needed = "OpenID log-ins need a package more: pip install 'bearer-guard[oidc]'"
    raise ConfigurationError(needed) from missing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from joserfc.jwk import KeySet

__all__ = ["ALGORITHMS", "NOT_THE_CODE", "Expected", "Rejected", "UnknownKey", "believe"]

# Signatures by a key that the provider alone has: not "none", and not HMAC under a shared secret.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384")
NOT_THE_CODE: Final = "the provider does not know the code"
_SKEW_SECONDS: Final = 60
_LONGEST: Final = 64 << 10  # characters


class Rejected(Exception):
    """A log-in is refused. The message is for the log; the person is told none of it."""


class UnknownKey(Rejected):
    """The token names a key that the provider did not publish when it was last asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What an ID token must say.

    Attributes:
        issuer: Who made it.
        client_id: Whom it is for.
        nonce: Which log-in it ends.
        access_token: What was given along with it.
    """

    issuer: str
    client_id: str
    nonce: str
    access_token: str


def believe(id_token: str, keys: KeySet, expected: Expected, now_ms: int) -> Mapping[str, Any]:
    """What the token says, if it is the provider's, for us, for this log-in and good now.

    Raises:
        Rejected: It isn't.
    """
    if len(id_token) > _LONGEST:
        raise Rejected("the ID token is too long")
    try:
        token = jwt.decode(id_token, keys, algorithms=list(ALGORITHMS))
        claims = CodeIDToken(
            token.claims,
            token.header,
            options={
                "iss": {"essential": True, "value": expected.issuer},
                "aud": {"essential": True, "value": expected.client_id},
            },
            params={
                "nonce": expected.nonce,
                "client_id": expected.client_id,
                "access_token": expected.access_token,
            },
        )
        claims.validate(now=now_ms // 1000, leeway=_SKEW_SECONDS)
    except InvalidKeyIdError as error:
        raise UnknownKey("the ID token is signed with an unknown key") from error
    except (JoseError, TypeError, ValueError, RecursionError) as error:
        raise Rejected(
            f"the ID token does not hold: {type(error).__name__}{_part(error)}"
        ) from error
    return claims


def _part(error: Exception) -> str:
    """Which claim it is about."""
    claim = getattr(error, "claim", None)
    return f" ({claim})" if isinstance(claim, str) else ""
