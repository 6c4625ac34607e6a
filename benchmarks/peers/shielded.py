"""keyshield: its FastAPI dependency over its cached service.

https://athroniaeth.github.io/keyshield/usage/cache/
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from aiocache import SimpleMemoryCache
from keyshield.api import create_depends_api_key
from keyshield.hasher.argon2 import Argon2ApiKeyHasher
from keyshield.repositories.in_memory import InMemoryApiKeyRepository
from keyshield.services.cached import CachedApiKeyService

from ._fastapi import BASE, add_route, bare_app
from ._peer import PEER_TOKENS, Peer, asgi_peer, name_of

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

from fastapi import FastAPI

__all__ = ["peers"]


async def peers(stack: AsyncExitStack) -> list[Peer]:  # noqa: ARG001 - nothing is opened
    service = CachedApiKeyService(
        repo=InMemoryApiKeyRepository(),
        hasher=Argon2ApiKeyHasher(pepper=secrets.token_urlsafe(32)),
        cache=SimpleMemoryCache(),
        min_delay=0,
        max_delay=0,
    )

    async def inject() -> CachedApiKeyService:
        return service

    app = FastAPI()
    add_route(app, create_depends_api_key(inject))
    tokens = [(await service.create(name=f"key {n}"))[1] for n in range(PEER_TOKENS)]
    setting = (
        "a FastAPI dependency; CachedApiKeyService, in memory, so that Argon2 ran only once; the"
        " 100 to 300 ms that each answer waits for, by default, are off"
    )
    name, base = name_of("keyshield"), (BASE, bare_app())
    return [await asgi_peer(name, app, tokens, setting=setting, base=base, calls=200)]
