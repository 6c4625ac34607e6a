"""An application behind the guard, for real servers: it tells what it saw of each request.

The tokens are made at start-up, and written to the file that ``TOKENS`` names.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute

from bearer_guard import BearerGuard, Keyring, open_store
from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.testing import a_record, a_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.websockets import WebSocket

store, keyring = open_store("memory://"), Keyring.generate()


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    now_ms = SYSTEM_CLOCK.now_ms()
    records = {
        "good": a_record(expires_ms=now_ms + 3_600_000),
        "expired": a_record(expires_ms=now_ms),
        "ended": a_record(expires_ms=None, ended_ms=now_ms, end_reason="deleted"),
        "elsewhere": a_record(expires_ms=None, networks=["192.0.2.0/24"]),
        "doomed": a_record(expires_ms=None),
        "unknown": a_record(expires_ms=None),
    }
    texts = {}
    for name, record in records.items():
        texts[name], sealed = a_token(keyring, record)
        if name != "unknown":
            await store.add(sealed)
    await asyncio.to_thread(Path(os.environ["TOKENS"]).write_text, json.dumps(texts))
    yield


async def whoami(request: Request) -> JSONResponse:
    try:
        length = len(await request.body())
    except ClientDisconnect:  # the body did not end as it should
        length = -1
    return JSONResponse({"user": request.user.display_name, "length": length})


async def end(request: Request) -> JSONResponse:
    """Ends the token that it is called with."""
    await store.end(request.auth.token.id, SYSTEM_CLOCK.now_ms())
    return JSONResponse({})


async def ticks(_: Request) -> StreamingResponse:
    async def tick() -> AsyncIterator[bytes]:
        while True:
            yield b"tick\n"
            await asyncio.sleep(0.05)

    return StreamingResponse(tick())


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(f"{websocket.user.display_name}: {text}")


app = BearerGuard(
    Starlette(
        routes=[
            Route("/", whoami, methods=["GET", "POST"]),
            Route("/open", whoami),
            Route("/end", end),
            Route("/ticks", ticks),
            WebSocketRoute("/echo", echo),
        ],
        lifespan=lifespan,
    ),
    store=store,
    keyring=keyring,
    exempt=["/open"],
    streams=["/ticks"],
)
