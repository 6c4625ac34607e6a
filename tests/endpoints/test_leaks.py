"""Reports of leaked tokens: signed, ended with their families, answered without repeating them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette

from bearer_guard import Keyring, Policy, Verifier
from bearer_guard.endpoints.leaks import leak_routes
from bearer_guard.events import TokenEnded, TokensEnded
from bearer_guard.issuing import Issued, Issuer, Principal
from bearer_guard.testing import a_token
from bearer_guard.token import TokenForm
from tests.endpoints.support_keys import pem, published, sign
from tests.integrations.support import Setting
from tests.issuing.support import FaultyStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bearer_guard.events import Event

URL = "http://testserver/secret-scanning/github"
HOUR = timedelta(hours=1)


class Store(FaultyStore):
    """One that can fail at the end of everything, too."""

    async def end_all(self, owner: str, at_ms: int, **more: Any) -> int:
        self._called("end_all")
        return await super().end_all(owner, at_ms, **more)


class World:
    """The endpoint, a reporter with a key, and people with tokens."""

    def __init__(self, path: Path) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        path.write_bytes(published({"k1": pem(self.key)}))
        self.setting = Setting()
        self.clock, self.keyring = self.setting.clock, self.setting.keyring
        self.store = Store()
        self.events: list[Event] = []
        self.app = Starlette(
            routes=leak_routes(
                self.store,
                self.keyring,
                keys=path,
                clock=self.clock,
                listeners=[self.events.append],
            )
        )
        self.issuer = Issuer(self.store, self.keyring, clock=self.clock, listeners=())
        self.verifier = Verifier(self.store, self.keyring, clock=self.clock, listeners=())

    async def create(self, owner: str = "alice", by: Issued | None = None, **more: Any) -> Issued:
        principal = Principal(owner, token=by and by.record)
        return await self.issuer.create(principal, lifetime=HOUR, **more)

    async def good(self, issued: Issued) -> bool:
        return (await self.verifier.verify(issued.value)).accepted

    async def post(self, body: bytes, **headers: str) -> httpx2.Response:
        signed = {
            "Github-Public-Key-Identifier": "k1",
            "Github-Public-Key-Signature": sign(self.key, body),
            "content-type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        transport = httpx2.ASGITransport(self.app)
        async with httpx2.AsyncClient(transport=transport) as client:
            return await client.post(URL, content=body, headers=signed)

    async def report(self, *tokens: str, kind: str = "bearer_guard_token") -> list[str]:
        """The labels of a report."""
        answer = await self.post(report(*tokens, kind=kind))
        assert answer.status_code == 200, answer.text
        rows = answer.json()
        assert [row["token_hash"] for row in rows] == [digest(token) for token in tokens]
        assert {row["token_type"] for row in rows} <= {kind}
        assert not any(token in answer.text for token in tokens)
        return [row["label"] for row in rows]


def report(*tokens: str, kind: str = "bearer_guard_token") -> bytes:
    url = "https://github.com/octocat/Hello-World/blob/main/.env"
    rows = [{"token": token, "type": kind, "url": url, "source": "content"} for token in tokens]
    return json.dumps(rows).encode()


def digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path / "keys.json")
    await world.verifier.open()
    await world.store.set_policy(Policy(users_may_generate=True))
    yield world
    world.store.before.clear()
    await world.verifier.close()


async def test_a_leaked_token_is_ended_at_once(world: World) -> None:
    leaked, other = await world.create(), await world.create()
    assert await world.good(leaked)
    assert await world.report(leaked.value) == ["true_positive"]
    assert not await world.good(leaked)
    assert await world.good(other)
    record = world.store._records[leaked.record.id]
    assert (record.ended_ms, record.end_reason) == (world.clock.now_ms(), "leaked")


async def test_its_family_is_ended_too(world: World) -> None:
    leaked = await world.create()
    made_with_it = await world.create(by=leaked)
    made_with_that = await world.create(by=made_with_it)
    assert await world.report(leaked.value) == ["true_positive"]
    assert not await world.good(made_with_it)
    assert not await world.good(made_with_that)


async def test_a_finder_who_has_renewed_it_gains_nothing(world: World) -> None:
    leaked = await world.create()
    finder = Principal("alice", token=leaked.record)
    renewed = await world.issuer.renew(finder, leaked.record.id)
    assert not await world.good(leaked)
    assert await world.good(renewed)
    assert await world.report(leaked.value) == ["true_positive"]
    assert not await world.good(renewed)


async def test_the_audit_is_told_which_and_how_many(world: World) -> None:
    leaked = await world.create()
    await world.create(by=leaked)
    await world.report(leaked.value)
    one, all_ = world.events
    assert isinstance(one, TokenEnded)
    assert (one.token_id, one.owner, one.by, one.reason) == (
        leaked.record.id,
        "alice",
        "github-secret-scanning",
        "leaked",
    )
    assert isinstance(all_, TokensEnded)
    assert (all_.owner, all_.by, all_.reason, all_.count) == (
        "alice",
        "github-secret-scanning",
        "leaked",
        2,
    )


async def test_a_token_alone_makes_one_event(world: World) -> None:
    await world.report((await world.create()).value)
    assert [type(event) for event in world.events] == [TokenEnded]


async def test_a_report_that_comes_again_does_no_harm(world: World) -> None:
    leaked, other = await world.create(), await world.create("bob")
    body = report(leaked.value)
    first, *rest = [await world.post(body) for _ in range(3)]
    assert {answer.content for answer in rest} == {first.content}
    assert len(world.events) == 1
    assert await world.good(other)


async def test_many_tokens_come_in_one_report(world: World) -> None:
    leaked = [await world.create(owner) for owner in ("alice", "bob") * 150]
    stray = TokenForm().mint(leaked[0].record.id, lambda _: b"0123456789")
    tokens = [issued.value for issued in leaked]
    labels = await world.report(stray, *tokens, *tokens[:2])
    assert labels == ["false_positive", *["true_positive"] * 302]
    assert not any([await world.good(issued) for issued in leaked])
    assert world.store.calls.count("fetch") < 10


async def test_what_is_none_of_ours_is_a_false_positive(world: World) -> None:
    theirs, _ = a_token(Keyring.generate())
    ours = (await world.create()).value
    typo = ours[:-1] + ("a" if ours[-1] != "a" else "b")
    tokens = ["x", "", "bg_" + "0" * 71, theirs, typo, "grüße", "\ud800"]
    calls = len(world.store.calls)
    answer = await world.post(report(*tokens))
    assert {row["label"] for row in answer.json()} == {"false_positive"}
    assert world.store.calls[calls:] == []  # made-up reports can't load the store either


async def test_a_token_of_ours_that_was_purged_is_a_true_positive(world: World) -> None:
    gone, _ = a_token(world.keyring)
    assert await world.report(gone) == ["true_positive"]
    assert world.events == []


async def test_a_row_that_nobody_vouches_for_ends_nothing(world: World) -> None:
    """Else whoever writes to the database could have a stranger's tokens ended by a leak."""
    bobs, mallorys = await world.create("bob"), await world.create("mallory")
    row = world.store._records[mallorys.record.id]
    world.store._records[row.id] = replace(row, owner="bob", family=bobs.record.family)
    assert await world.report(mallorys.value) == ["true_positive"]
    assert await world.good(bobs)
    assert world.events == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Github_Public_Key_Signature": ""},
        {"Github_Public_Key_Signature": "bm9uc2Vuc2U="},
        {"Github_Public_Key_Identifier": "k2"},
        {"Github_Public_Key_Identifier": ""},
    ],
)
async def test_a_report_that_is_not_signed_ends_nothing(
    world: World, headers: dict[str, str]
) -> None:
    issued = await world.create()
    answer = await world.post(report(issued.value), **headers)
    assert (answer.status_code, answer.json()["error"]) == (403, "access_denied")
    assert await world.good(issued)


async def test_a_signature_of_another_body_is_none(world: World) -> None:
    issued, decoy = await world.create(), report("x")
    signature = sign(world.key, decoy)
    answer = await world.post(report(issued.value), Github_Public_Key_Signature=signature)
    assert answer.status_code == 403
    assert await world.good(issued)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"1", b"[1]", b'"a"', b'[{"token": "x"}]', b"[[]]", b"\xff", b"[" * 100_000],
)
async def test_a_body_of_another_form_is_refused(world: World, body: bytes) -> None:
    answer = await world.post(body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_report_beyond_a_megabyte_is_refused(world: World) -> None:
    assert (await world.post(b"[" + b" " * (1 << 20) + b"]")).status_code == 413


async def test_fields_that_are_new_to_us_do_no_harm(world: World) -> None:
    leaked = (await world.create()).value
    body = json.dumps([{"token": leaked, "type": "t", "new": {"a": 1}}]).encode()
    assert (await world.post(body)).json()[0]["label"] == "true_positive"


@pytest.mark.parametrize("call", ["fetch", "end_all"])
async def test_a_store_that_fails_is_503_and_the_report_may_come_again(
    world: World, call: str
) -> None:
    leaked = await world.create()
    world.store.before.add(call)
    answer = await world.post(report(leaked.value))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "www-authenticate" not in answer.headers
    world.store.before.clear()
    assert await world.report(leaked.value) == ["true_positive"]
    assert not await world.good(leaked)


async def test_other_methods_are_not_allowed(world: World) -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(world.app)) as client:
        assert (await client.get(URL)).status_code == 405


async def test_no_token_is_in_any_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    leaked = await world.create()
    await world.report(leaked.value, "bg_nonsense")
    assert str(leaked.record.id) in caplog.text
    assert "bg_" not in caplog.text
