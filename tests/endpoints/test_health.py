"""`health`: ``/healthz`` and ``/readyz``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

import httpx2
import pytest
from starlette.applications import Starlette

from bearer_guard import Keyring, Policy, Verifier
from bearer_guard.endpoints.health import health_routes, readiness
from bearer_guard.errors import StoreUnavailable
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.tasks import ANSWER_SECONDS

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from bearer_guard.record import TokenRecord


async def ask(path: str, *, ready: bool) -> httpx2.Response:
    async def check() -> None:
        if not ready:
            raise StoreUnavailable("postgresql://user:s3cret@db gives no answer")

    app = Starlette(routes=health_routes(check))
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
        return await client.get(path)


@pytest.mark.parametrize("ready", [True, False])
async def test_the_process_is_well_whatever_the_store_does(*, ready: bool) -> None:
    answer = await ask("/healthz", ready=ready)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_it_is_ready_when_the_store_answers() -> None:
    answer = await ask("/readyz", ready=True)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_it_is_not_ready_when_the_store_does_not() -> None:
    answer = await ask("/readyz", ready=False)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "s3cret" not in answer.text


@pytest.mark.parametrize("fault", [StoreUnavailable("no such table"), RuntimeError("a bug")])
async def test_a_verifier_is_not_ready_while_its_tokens_cannot_be_read(fault: Exception) -> None:
    class WithoutTokens(MemoryStore):
        async def fetch(self, ids: Collection[UUID]) -> dict[UUID, TokenRecord]:
            del ids
            raise fault

    verifier = Verifier(WithoutTokens(), Keyring.generate())
    with pytest.raises(StoreUnavailable):
        await readiness(verifier)()
    await verifier.close()


async def test_all_that_readiness_asks_has_one_limit() -> None:
    class Slow(MemoryStore):
        asked = 0.0

        async def policy(self) -> Policy:
            Slow.asked = asyncio.get_running_loop().time()
            await asyncio.sleep(ANSWER_SECONDS * 3 / 4)
            return Policy()

        async def fetch(self, ids: Collection[UUID]) -> NoReturn:
            await asyncio.Event().wait()
            raise AssertionError(ids)

    verifier = Verifier(Slow(), Keyring.generate())
    await verifier.open()
    with pytest.raises(StoreUnavailable):
        await readiness(verifier)()
    assert asyncio.get_running_loop().time() - Slow.asked < ANSWER_SECONDS * 3 / 2
    await verifier.close()


async def test_a_verifier_is_ready_while_its_store_answers() -> None:
    verifier = Verifier("memory://", Keyring.generate())
    await readiness(verifier)()
    await verifier.close()
    with pytest.raises(StoreUnavailable):
        await readiness(Verifier("redis://127.0.0.1:1/0", Keyring.generate()))()
