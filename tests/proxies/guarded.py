"""A guarded ASGI application that tells whose request it got, and which headers came with it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from bearer_guard import BearerGuard, Keyring

if TYPE_CHECKING:
    from starlette.requests import Request


async def whoami(request: Request) -> JSONResponse:
    return JSONResponse(
        {
            "user": request.user.display_name,
            "headers": [[n.decode("latin-1"), v.decode("latin-1")] for n, v in request.headers.raw],
        }
    )


app = BearerGuard(
    Starlette(routes=[Route("/{path:path}", whoami)]),
    store=os.environ["STORE"],
    keyring=Keyring.from_env(),
)
