"""An OpenID provider: a small Starlette application under uvicorn, on loopback.

It keeps the rules (redirect address, PKCE, client secret, codes that count once), and each part of
what it says can be another than it should be.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import urlencode

import httpx2
import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.support import LOOPBACK, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from tests.issuing.logins.certificates import Files

CLIENT_ID: Final = "bearer-guard"
CLIENT_SECRET: Final = "the client's own secret"
REDIRECT_URI: Final = "https://app.example.com/oidc/callback"

Twist: TypeAlias = Callable[[dict[str, Any]], object]


@dataclass
class Code:
    """What a code stands for until it is redeemed."""

    nonce: str
    challenge: str


@dataclass
class OpenIdProvider:
    """The provider and how it misbehaves.

    Attributes:
        url: Its name.
        person: The claims about who logs in.
        claims: Changes what the ID token says.
        published: Changes what it publishes of itself.
        given: Changes what it gives for a code.
        sign: Makes the ID token.
        answers: Takes the place of an answer, by path.
        keys: With which it signs, the first one first.
        asked: The paths of all requests.
    """

    url: str = ""
    person: dict[str, Any] = field(default_factory=lambda: {"sub": "alice"})
    claims: Twist = lambda _: None
    published: Twist = lambda _: None
    given: Twist = lambda _: None
    sign: Callable[[dict[str, Any]], str] | None = None
    answers: dict[str, Callable[[], Response]] = field(default_factory=dict)
    keys: list[RSAKey] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    codes: dict[str, Code] = field(default_factory=dict)

    def signed(self, claims: dict[str, Any]) -> str:
        key = self.keys[0]
        return str(jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key))

    async def describe(self, request: Request) -> Response:
        del request
        published = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
        }
        self.published(published)
        return JSONResponse(published)

    async def show_keys(self, request: Request) -> Response:
        del request
        return JSONResponse({"keys": [key.as_dict(private=False) for key in self.keys]})

    async def authorize(self, request: Request) -> Response:
        """Log the person in, without asking for anything."""
        query = request.query_params
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT_ID
        assert query["redirect_uri"] == REDIRECT_URI
        assert query["code_challenge_method"] == "S256"
        assert "openid" in query["scope"].split()
        code = secrets.token_urlsafe()
        self.codes[code] = Code(query["nonce"], query["code_challenge"])
        back = urlencode({"code": code, "state": query["state"]})
        return RedirectResponse(f"{REDIRECT_URI}?{back}")

    async def token(self, request: Request) -> Response:
        form = await request.form()
        known = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {known}":
            return JSONResponse({"error": "invalid_client"}, 401)
        code = self.codes.pop(str(form["code"]), None)
        verifier = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        if (
            code is None
            or code.challenge != challenge
            or form["redirect_uri"] != REDIRECT_URI
            or form["grant_type"] != "authorization_code"
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse(self._give(code))

    def _give(self, code: Code) -> dict[str, Any]:
        now = int(time.time())
        times = {"iat": now, "exp": now + 300}
        claims = {"iss": self.url, "aud": CLIENT_ID, "nonce": code.nonce, **times, **self.person}
        self.claims(claims)
        given = {
            "token_type": "Bearer",
            "access_token": secrets.token_urlsafe(),
            "id_token": (self.sign or self.signed)(claims),
        }
        self.given(given)
        return given

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                self._route("/.well-known/openid-configuration", self.describe),
                self._route("/keys", self.show_keys),
                self._route("/authorize", self.authorize),
                self._route("/token", self.token),
            ]
        )

    def _route(self, path: str, endpoint: Callable[[Request], Any]) -> Route:
        async def answer(request: Request) -> Response:
            self.asked.append(path)
            if path in self.answers:
                return self.answers[path]()
            answered: Response = await endpoint(request)
            return answered

        return Route(path, answer, methods=["GET", "POST"])

    def reset(self) -> None:
        """Behave again."""
        fresh = OpenIdProvider()
        for name in ("person", "claims", "published", "given", "sign", "answers", "asked", "codes"):
            setattr(self, name, getattr(fresh, name))
        self.keys = [a_key()]

    def log_in(self, url: str) -> dict[str, str]:
        """What a browser that is sent there brings back, the person having logged in."""
        answer = httpx2.get(url, follow_redirects=False, verify=False)
        assert answer.status_code == 307, answer.text
        back = httpx2.URL(answer.headers["location"])
        assert str(back.copy_with(query=None)) == REDIRECT_URI
        return dict(back.params)


def a_key() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": secrets.token_hex(4)}, private=True)


@contextmanager
def openid_provider(cert: Files | None = None) -> Iterator[OpenIdProvider]:
    """Run a provider until the block ends, with TLS where there is a certificate."""
    provider = OpenIdProvider(keys=[a_key()])
    port = free_port()
    provider.url = f"{'https' if cert else 'http'}://{LOOPBACK}:{port}"
    tls = {"ssl_certfile": str(cert.cert), "ssl_keyfile": str(cert.key)} if cert else {}
    config = uvicorn.Config(
        provider.app(), host=LOOPBACK, port=port, log_level="error", lifespan="off", **tls
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.005)
        yield provider
    finally:
        server.should_exit = True
        thread.join()
