"""fastapi-keygate: its dependency for asynchronous applications.

https://pypi.org/project/fastapi-keygate/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI
from keygate import AsyncKeyGate

from ._fastapi import BASE, add_route, bare_app
from ._peer import PEER_TOKENS, Peer, asgi_peer, name_of, scratch

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

__all__ = ["peers"]


async def peers(stack: AsyncExitStack) -> list[Peer]:
    app = FastAPI()
    url = f"sqlite+aiosqlite:///{scratch(stack)}/keygate.db"
    gate = AsyncKeyGate(db_url=url, default_per_minute=None)
    stack.push_async_callback(gate._engine.dispose)  # noqa: SLF001 - it has no way to be closed
    add_route(app, gate.require)
    tokens = [(await gate.create_key("alice")).key for _ in range(PEER_TOKENS)]
    setting = (
        "AsyncKeyGate.require on SQLite; its log of uses and its rate limits, on by default, are"
        " off; it has no cache"
    )
    name, base = name_of("fastapi-keygate"), (BASE, bare_app())
    return [await asgi_peer(name, app, tokens, setting=setting, base=base, calls=60)]
