"""litestar-api-auth: its plugin and guard on a Litestar route, its backend in memory.

https://pypi.org/project/litestar-api-auth/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from litestar import Litestar, Response, get
from litestar_api_auth import APIAuthConfig, APIAuthPlugin, mint_api_key, require_api_key
from litestar_api_auth.backends.memory import MemoryBackend

from ._peer import PEER_TOKENS, Peer, asgi_peer, name_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AsyncExitStack

    from litestar.types import Guard
    from starlette.types import ASGIApp

__all__ = ["peers"]

_PREFIX = "myapp_"


def _app(plugins: Sequence[APIAuthPlugin] = (), guards: Sequence[Guard] = ()) -> Litestar:
    @get("/v4/jobGroups", guards=guards)
    async def hello() -> Response[bytes]:
        return Response(b"ok")

    return Litestar([hello], plugins=plugins, openapi_config=None, logging_config=None)


async def peers(stack: AsyncExitStack) -> list[Peer]:
    backend = MemoryBackend()
    config = APIAuthConfig(
        backend=backend,
        key_prefix=_PREFIX,
        header_name="Authorization",
        auth_scheme="Bearer",
        auto_routes=False,
        enable_openapi=False,
    )
    plain, guarded = _app(), _app([APIAuthPlugin(config=config)], [require_api_key])
    for one in (plain, guarded):
        await stack.enter_async_context(one.lifespan())
    tokens = [
        (await mint_api_key(backend, name=f"key {n}", scopes=["read"], prefix=_PREFIX))[0]
        for n in range(PEER_TOKENS)
    ]
    return [
        await asgi_peer(
            name_of("litestar-api-auth"),
            cast("ASGIApp", guarded),
            tokens,
            setting="APIAuthPlugin and require_api_key on a Litestar route; MemoryBackend",
            base=("bare Litestar", cast("ASGIApp", plain)),
            calls=200,
        )
    ]
