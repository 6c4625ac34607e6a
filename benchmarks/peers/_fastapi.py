"""FastAPI applications with one route, which a dependency may guard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import Depends, FastAPI, Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["BASE", "add_route", "bare_app"]

BASE = "bare FastAPI"
_PATH = "/v4/jobGroups"


async def _hello() -> Response:
    return Response(b"ok")


def bare_app() -> FastAPI:
    """The application without a guard."""
    app = FastAPI()
    app.get(_PATH)(_hello)
    return app


def add_route(app: FastAPI, dependency: Callable[..., Awaitable[object]]) -> None:
    """The same route, guarded, its endpoint given what the dependency found."""

    async def hello(_: Any = Depends(dependency)) -> Response:  # noqa: ANN401, B008
        return Response(b"ok")

    app.get(_PATH)(hello)
