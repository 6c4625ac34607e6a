"""safe-api-keys: its ASGI middleware over its asynchronous manager, with its cache.

https://pypi.org/project/safe-api-keys/
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

from safe_api_keys import AsyncKeyManager
from safe_api_keys.cache import VerifyCache
from safe_api_keys.contrib.starlette import APIKeyMiddleware
from safe_api_keys.stores import MemoryStore

from benchmarks._asgi import bare

from ._peer import PEER_TOKENS, Peer, asgi_peer, name_of

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

__all__ = ["peers"]


async def peers(stack: AsyncExitStack) -> list[Peer]:  # noqa: ARG001 - nothing is opened
    manager = AsyncKeyManager(
        MemoryStore(), "acme_live", pepper=secrets.token_bytes(32), cache=VerifyCache()
    )
    issued = [
        await manager.issue("alice", scopes=["orders:read"], expires_in=timedelta(days=90))
        for _ in range(PEER_TOKENS)
    ]
    guarded = APIKeyMiddleware(bare, manager, protect=("/",))
    setting = "APIKeyMiddleware, AsyncKeyManager, MemoryStore, VerifyCache on"
    tokens = [one.raw_key for one in issued]
    return [await asgi_peer(name_of("safe-api-keys"), guarded, tokens, setting=setting)]
