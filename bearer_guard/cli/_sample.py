"""The sample API of ``bearer-guard demo``: what an application behind the guard can look like."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route, WebSocketRoute

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket

__all__ = ["app"]

_numbers: Final = count(1)
_jobs: Final[dict[int, str]] = {}  # by number, whose


async def index(request: Request) -> Response:
    """For everybody: ``/`` is exempt."""
    del request
    return PlainTextResponse("The sample API of bearer-guard. Every other path needs a token.\n")


async def whoami(request: Request) -> Response:
    """Who the guard says this is, and with which token."""
    token = request.auth.token
    return JSONResponse(
        {
            "user": request.user.identity,
            "tokenId": str(token.id),
            "description": token.description,
            "scopes": list(request.auth.scopes),
        }
    )


async def start_job(request: Request) -> Response:
    """Begin a job of the user's."""
    number = next(_numbers)
    _jobs[number] = request.user.identity
    return JSONResponse({"id": number}, status_code=201)


async def job_status(request: Request) -> Response:
    """How it went, for whoever began it."""
    if _jobs.get(request.path_params["id"]) != request.user.identity:
        return JSONResponse({"error": "not_found"}, status_code=404)
    return JSONResponse("Complete")


async def echo(socket: WebSocket) -> None:
    """Say everything again."""
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


app: Final = Starlette(
    routes=[
        Route("/", index),
        Route("/whoami", whoami),
        Route("/v4/jobGroups", start_job, methods=["POST"]),
        Route("/v4/jobGroups/{id:int}/status", job_status),
        WebSocketRoute("/echo", echo),
    ]
)
