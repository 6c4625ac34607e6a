"""MCP servers of both libraries, behind uvicorn, with each library's own client."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import fastmcp
import httpx2
import mcp
import pytest
import uvicorn
from fastmcp.server.dependencies import get_access_token as fastmcp_token
from mcp.client.streamable_http import streamable_http_client
from mcp.server.auth.middleware.auth_context import get_access_token as mcp_token
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from pydantic import AnyHttpUrl

from bearer_guard import BearerGuard, StoreUnavailable
from bearer_guard.integrations.mcp import BearerGuardVerifier
from bearer_guard.testing import a_record, a_token
from tests.integrations.support import CASES, OWNER, SCOPE, Answer, Setting, check
from tests.support import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import ASGIApp

LIBRARIES: Final = ["mcp", "fastmcp"]
PING: Final = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
ACCEPTS: Final = [("accept", "application/json, text/event-stream")]


def mcp_app(verifier: BearerGuardVerifier, url: str) -> ASGIApp:
    settings = AuthSettings(
        issuer_url=AnyHttpUrl(url),
        resource_server_url=AnyHttpUrl(f"{url}/mcp"),
        required_scopes=[SCOPE],
        validate_token_resource=True,
    )
    server = MCPServer("tests", token_verifier=verifier, auth=settings)

    @server.tool()
    async def whoami() -> str:
        token = mcp_token()
        assert token is not None
        assert token.expires_at is not None
        return f"{token.client_id} {token.subject} {token.scopes}"

    return server.streamable_http_app()


def fastmcp_app(verifier: BearerGuardVerifier, url: str) -> ASGIApp:
    del url
    server = fastmcp.FastMCP("tests", auth=verifier)

    @server.tool
    async def whoami() -> str:
        token = fastmcp_token()
        assert token is not None
        assert token.expires_at is not None
        return f"{token.client_id} {token.subject} {token.scopes}"

    return server.http_app()


APPS: Final[dict[str, Callable[[BearerGuardVerifier, str], ASGIApp]]] = {
    "mcp": mcp_app,
    "fastmcp": fastmcp_app,
}


@asynccontextmanager
async def served(library: str, setting: Setting, *, guarded: bool = False) -> AsyncIterator[str]:
    """A server over a real connection; its address."""
    url = f"http://127.0.0.1:{free_port()}"
    options = dict(setting.options)
    verifier = BearerGuardVerifier(
        options.pop("store"),
        options.pop("keyring"),
        resource=f"{url}/mcp",
        required_scopes=[SCOPE],
        **options,
    )
    app = APPS[library](verifier, url)
    if guarded:
        app = BearerGuard(app, scopes=[SCOPE], **setting.options)
    port = int(url.rpartition(":")[2])
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield url
    finally:
        server.should_exit = True
        await serving
        await verifier.close()


async def call_with_mcp(url: str, token: str) -> str:
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}) as http:
        transport = streamable_http_client(f"{url}/mcp", http_client=http)
        async with mcp.Client(transport) as client:
            result = await client.call_tool("whoami")
    return str(result.content[0].text)  # type: ignore[union-attr]


async def call_with_fastmcp(url: str, token: str) -> str:
    async with fastmcp.Client(f"{url}/mcp", auth=token) as client:
        result = await client.call_tool("whoami")
    return str(result.content[0].text)  # type: ignore[union-attr]


CLIENTS: Final = {"mcp": call_with_mcp, "fastmcp": call_with_fastmcp}


async def post(url: str, headers: list[tuple[str, str]]) -> Answer:
    async with httpx2.AsyncClient() as http:
        answer = await http.post(f"{url}/mcp", json=PING, headers=[*ACCEPTS, *headers])
    return Answer(answer.status_code, dict(answer.headers), answer.content)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_with_a_good_token_acts_as_its_owner(library: str, client: str) -> None:
    setting = Setting()
    async with served(library, setting) as url:
        answer = await CLIENTS[client](url, setting.tokens["good"])
    assert answer == f"{OWNER} {OWNER} {[SCOPE]}"
    assert len(setting.store.fetches) == 1  # whatever the number of requests


@pytest.mark.parametrize("library", LIBRARIES)
async def test_a_client_with_a_bad_token_gets_nowhere(library: str) -> None:
    setting = Setting()
    async with served(library, setting) as url:
        with pytest.raises((ExceptionGroup, mcp.MCPError)):
            await CLIENTS[library](url, setting.tokens["forged"])
    assert setting.store.fetches == []


@pytest.mark.parametrize("library", LIBRARIES)
async def test_the_verdict_on_a_token_is_that_of_the_table(library: str) -> None:
    setting = Setting()
    async with served(library, setting) as url:
        for name in ("nothing", "malformed", "forged", "unknown", "expired", "deleted"):
            answer = await post(url, setting.headers(CASES[name]))
            assert answer.status == CASES[name].status, name
            assert answer.challenge is not None, name
        answer = await post(url, [setting.bearer("narrow")])
        assert answer.status == 403
        assert 'error="insufficient_scope"' in str(answer.challenge)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_store_that_is_down_lets_nobody_through(library: str) -> None:
    """And is no 401: clients would throw their tokens away."""
    setting = Setting()
    async with served(library, setting) as url:
        answer = await post(url, setting.headers(CASES["store down"]))
    assert answer.status == 500


@pytest.mark.parametrize("library", LIBRARIES)
async def test_with_the_guard_in_front_every_answer_is_that_of_the_table(library: str) -> None:
    setting = Setting()
    async with served(library, setting, guarded=True) as url:
        assert OWNER in await CLIENTS[library](url, setting.tokens["good"])
        for name in set(CASES) - {"good", "store down"}:
            check(await post(url, setting.headers(CASES[name])), CASES[name])
    async with served(library, setting, guarded=True) as url:
        check(await post(url, setting.headers(CASES["store down"])), CASES["store down"])


async def test_the_token_says_all_that_the_libraries_ask_for() -> None:
    setting = Setting()
    text, record = a_token(setting.keyring, a_record(owner=OWNER, expires_ms=None))
    setting.store._records[record.id] = record
    verifier = BearerGuardVerifier(setting.store, setting.keyring, clock=setting.clock)
    token = await verifier.verify_token(text)
    assert token is not None
    assert (token.token, token.client_id, token.subject) == (text, OWNER, OWNER)
    assert (token.scopes, token.expires_at, token.resource) == ([], None, None)
    assert token.claims == {"token_id": str(record.id)}
    good = await verifier.verify_token(setting.tokens["good"])
    assert good is not None
    assert good.expires_at == (setting.clock.now_ms() + 86_400_000) // 1000
    await verifier.close()


async def test_no_answer_of_the_store_is_no_refusal() -> None:
    setting = Setting()
    verifier = BearerGuardVerifier(setting.store, setting.keyring, clock=setting.clock)
    setting.store.broken = StoreUnavailable("down")
    with pytest.raises(StoreUnavailable):
        await verifier.verify_token(setting.tokens["good"])


def without(*packages: str) -> subprocess.CompletedProcess[str]:
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({packages!r}))\n"
        "from bearer_guard import Keyring\n"
        "from bearer_guard.integrations.mcp import BearerGuardVerifier as V\n"
        "print(V('memory://', Keyring.generate(), required_scopes=['a']).required_scopes)"
    )
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_mcp_alone_is_enough() -> None:
    assert without("fastmcp").stdout == "['a']\n"


def test_without_either_library_the_error_names_the_extra() -> None:
    assert "pip install 'bearer-guard[mcp]'" in without("fastmcp", "mcp").stderr
