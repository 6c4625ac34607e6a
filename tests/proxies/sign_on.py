"""A single sign-on service: it knows who has a session, and is an OpenID provider besides."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, quote, urlsplit

from tests.support import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator

USER: Final = "mallory"  # whom it has logged in; tokens are alice's
SESSION: Final = b"Cookie: sso=open"
_HEADERS: Final = ("Remote-User", "Remote-Email", "X-Auth-Request-User", "X-authentik-username")
_SECRET: Final = b"the-secret-of-the-client-which-is-long"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer goes out in two pieces, and nobody waits for them
    nonces: dict[str, str]

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/authorize":
            self._authorize(parse_qs(url.query))
        elif url.path == "/.well-known/openid-configuration":
            self._describe(f"http://{self.headers['host']}")
        elif url.path == "/keys":  # none: the client's secret signs
            self._answer(200, {"Content-Type": "application/json"}, b'{"keys": []}')
        elif "sso=open" in self.headers.get("cookie", ""):
            self._answer(200, dict.fromkeys(_HEADERS, USER))
        else:
            self._answer(401, {})

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def _describe(self, issuer: str) -> None:
        about = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "jwks_uri": f"{issuer}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["HS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }
        self._answer(200, {"Content-Type": "application/json"}, json.dumps(about).encode())

    def _authorize(self, query: dict[str, list[str]]) -> None:
        code = f"code{len(self.nonces)}"
        self.nonces[code] = query["nonce"][0]
        back = f"{query['redirect_uri'][0]}?code={code}&state={quote(query['state'][0])}"
        self._answer(302, {"Location": back})

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        now = int(time.time())
        claims = {
            "iss": f"http://{self.headers['host']}",
            "sub": USER,
            "aud": "service",
            "iat": now,
            "exp": now + 600,
            "nonce": self.nonces[form["code"][0]],
        }
        tokens = {"access_token": "x", "token_type": "Bearer", "id_token": _sign(claims)}
        self._answer(200, {"Content-Type": "application/json"}, json.dumps(tokens).encode())

    def _answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        """Say nothing."""


def _sign(claims: dict[str, object]) -> str:
    parts = [_encode(json.dumps(part).encode()) for part in ({"alg": "HS256"}, claims)]
    text = ".".join(parts)
    return f"{text}.{_encode(hmac.digest(_SECRET, text.encode(), hashlib.sha256))}"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@contextmanager
def sign_on() -> Iterator[int]:
    """Serve until the block ends; gives the port."""
    handler = type("Handler", (_Handler,), {"nonces": {}})
    with ThreadingHTTPServer((LOOPBACK, 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
