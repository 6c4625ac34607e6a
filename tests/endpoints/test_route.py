"""`_route`: other methods are answered in JSON, wherever the route stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Router

from bearer_guard.endpoints._route import MethodRoute

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp


async def here(request: Request) -> Response:
    return Response(request.method)


@pytest.mark.parametrize("surround", [Router, lambda routes: Starlette(routes=routes)])
@pytest.mark.parametrize(
    ("methods", "allow"),
    [(["POST"], "POST"), (["PUT", "GET"], "GET, HEAD, PUT"), (None, "GET, HEAD")],
)
async def test_another_method_is_told_which_there_are(
    methods: list[str] | None, allow: str, surround: Callable[[list[MethodRoute]], ASGIApp]
) -> None:
    transport = httpx2.ASGITransport(surround([MethodRoute("/x", here, methods=methods)]))
    async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
        for method in allow.split(", "):
            assert (await client.request(method, "/x")).status_code == 200
        answer = await client.delete("/x")
    assert (answer.status_code, answer.headers["allow"]) == (405, allow)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "error": "method_not_allowed",
        "error_description": "another method is needed",
    }
