"""A guarded ASGI application that tells whose request it got, and which headers came with it.

Beside it, at /forward-auth, the endpoint over a store where nobody listens.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from bearer_guard import BearerGuard, Keyring
from bearer_guard.endpoints.forward_auth import forward_auth_app
from tests.support import free_port

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send


async def whoami(request: Request) -> JSONResponse:
    return JSONResponse(
        {
            "user": request.user.display_name,
            "headers": [[n.decode("latin-1"), v.decode("latin-1")] for n, v in request.headers.raw],
        }
    )


keyring = Keyring.from_env()
guarded = BearerGuard(
    Starlette(routes=[Route("/{path:path}", whoami)]), store=os.environ["STORE"], keyring=keyring
)
storeless = forward_auth_app(f"redis://127.0.0.1:{free_port()}/0", keyring)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    asked = scope.get("path", "").startswith("/forward-auth")
    await (storeless if asked else guarded)(scope, receive, send)
