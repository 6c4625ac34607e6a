"""``/healthz`` and ``/readyz``, for whoever starts, watches and restarts the service.

Neither needs credentials, and neither says more than whether.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final
from uuid import UUID

from bearer_guard.errors import StoreUnavailable
from bearer_guard.tasks import ANSWER_SECONDS, Faults, time_limit

from ._answers import json_answer
from ._route import MethodRoute

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from bearer_guard.verify import Verifier

__all__ = ["health_routes", "readiness"]

_log: Final = logging.getLogger("bearer_guard")
_READ: Final = Faults("a read")
_NOBODYS: Final = UUID(int=0)  # no token has it


def readiness(verifier: Verifier) -> Callable[[], Awaitable[None]]:
    """What a verifier's health goes by: the store answers now, not only when it was opened.

    It is asked for the settings and for a token: one table may be there, and the other broken.
    """

    async def ready() -> None:
        async with time_limit(ANSWER_SECONDS):
            await verifier.ready()
            await verifier.feed.policy()
            with _READ:
                await verifier.store.fetch((_NOBODYS,))

    return ready


def health_routes(ready: Callable[[], Awaitable[object]]) -> list[Route]:
    """Both routes.

    Args:
        ready: Returns when requests can be answered; raises ``StoreUnavailable`` when not. It
            keeps to a time limit of its own.
    """

    async def healthz(request: Request) -> Response:
        del request
        return json_answer({"status": "ok"})

    async def readyz(request: Request) -> Response:
        del request
        try:
            await ready()
        except StoreUnavailable as error:
            _log.warning("not ready: %s", error)
            return json_answer({"status": "unavailable"}, 503, {"retry-after": "1"})
        return json_answer({"status": "ok"})

    return [MethodRoute("/healthz", healthz), MethodRoute("/readyz", readyz)]
