"""JSON Web Tokens, verified by PyJWT and by joserfc in the least of layers.

https://pyjwt.readthedocs.io/en/stable/usage.html and https://jose.authlib.org/en/guide/jwt/
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt as jose
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey
from starlette.authentication import AuthCredentials, SimpleUser

from benchmarks._asgi import bare, refuse

from ._peer import PEER_TOKENS, Peer, asgi_peer, name_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AsyncExitStack

    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["jwt_claims", "peers", "pyjwt_layer"]

_REQUIRED = ["exp", "sub", "aud"]
_AUDIENCE = "api"


def layer(
    app: ASGIApp, verify: Callable[[str], dict[str, Any]], errors: type[Exception]
) -> ASGIApp:
    """Find the header, verify the token, set the user: the least that a person would write."""

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        for name, value in scope["headers"]:
            if name == b"authorization" and value.startswith(b"Bearer "):
                try:
                    claims = verify(value[7:].decode())
                except errors:
                    break
                scope["user"] = SimpleUser(claims["sub"])
                scope["auth"] = AuthCredentials(claims["scope"].split())
                await app(scope, receive, send)
                return
        await refuse(send)

    return guard


def jwt_claims() -> dict[str, Any]:
    """What such a token says."""
    now = int(time.time())
    return {
        "iss": "https://issuer.example.com",
        "sub": "alice",
        "aud": _AUDIENCE,
        "iat": now,
        "exp": now + 86400,
        "jti": secrets.token_urlsafe(16),
        "scope": "read",
    }


def pyjwt_layer(app: ASGIApp, key: Any, algorithm: str = "HS256") -> ASGIApp:  # noqa: ANN401
    """An application behind PyJWT. ``key``: of the kind that the algorithm takes."""

    def verify(token: str) -> dict[str, Any]:
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=_AUDIENCE,
            options={"require": _REQUIRED},
        )

    return layer(app, verify, jwt.InvalidTokenError)


def _joserfc_layer(app: ASGIApp, key: OctKey | ECKey, algorithm: str) -> ASGIApp:
    registry = jose.JWTClaimsRegistry(
        exp={"essential": True},
        sub={"essential": True},
        aud={"essential": True, "value": _AUDIENCE},
    )

    def verify(token: str) -> dict[str, Any]:
        decoded = jose.decode(token, key, algorithms=[algorithm])
        registry.validate(decoded.claims)
        return decoded.claims

    return layer(app, verify, JoseError)


async def peers(stack: AsyncExitStack) -> list[Peer]:  # noqa: ARG001 - nothing is opened
    return [*await _pyjwt(), *await _joserfc()]


async def _pyjwt() -> list[Peer]:
    secret, private = secrets.token_bytes(32), ec.generate_private_key(ec.SECP256R1())
    keys: dict[str, tuple[Any, Any]] = {
        "HS256": (secret, secret),
        "ES256": (private, private.public_key()),
    }
    found = []
    for name, (signing, verifying) in keys.items():
        tokens = [jwt.encode(jwt_claims(), signing, algorithm=name) for _ in range(PEER_TOKENS)]
        app = pyjwt_layer(bare, verifying, name)
        setting = f"jwt.decode with {name}; requires exp, sub, aud; no revocation"
        peer = asgi_peer(name_of("PyJWT", f", {name}"), app, tokens, setting=setting)
        found.append(await peer)
    return found


async def _joserfc() -> list[Peer]:
    keys: dict[str, OctKey | ECKey] = {
        "HS256": OctKey.generate_key(256),
        "ES256": ECKey.generate_key("P-256"),
    }
    found = []
    for name, key in keys.items():
        tokens = [jose.encode({"alg": name}, jwt_claims(), key) for _ in range(PEER_TOKENS)]
        app = _joserfc_layer(bare, key, name)
        setting = f"jwt.decode with {name}, then a JWTClaimsRegistry; no revocation"
        peer = asgi_peer(name_of("joserfc", f", {name}"), app, tokens, setting=setting)
        found.append(await peer)
    return found
