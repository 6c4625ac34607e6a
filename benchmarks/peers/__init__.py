"""Other libraries that tell a request with a good token from one without.

Each is set up as its own documentation recommends, at its best: its cache on, its store the fastest
that it has, what it would do beside authentication switched off. A module of this package brings
the peers of one library; one that isn't installed is left out, and the results say so.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from ._peer import Peer

__all__ = ["MODULES", "gather"]

MODULES: Final = {
    "starlette_own": "Starlette's AuthenticationMiddleware",
    "mcp_bearer": "mcp",
    "jose": "PyJWT, joserfc",
    "safe_keys": "safe-api-keys",
    "shielded": "keyshield",
    "litestar_keys": "litestar-api-auth",
    "gated": "fastapi-keygate",
    "fastapi_accounts": "fastapi-users",
    "django_rest": "django-rest-knox, djangorestframework-api-key",
}


async def gather(stack: AsyncExitStack) -> tuple[list[Peer], list[str]]:
    """All peers that are installed, and a remark for each: how it is set up, or what it lacks.

    Args:
        stack: Closes what they have opened.
    """
    found: list[Peer] = []
    remarks: list[str] = []
    for module, what in MODULES.items():
        try:
            one = importlib.import_module(f"{__name__}.{module}")
        except ModuleNotFoundError as error:
            remarks.append(f"{what}: left out, {error.name} is not installed")
            continue
        peers = await one.peers(stack)
        found += peers
        remarks += [f"{peer.name}: {peer.setting}" for peer in peers]
    return found, remarks
