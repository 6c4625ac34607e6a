"""OAuth: introspection, revocation and metadata, asked by authlib's own client."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import httpx2
import pytest
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oauth2.rfc6750 import InsufficientScopeError, InvalidTokenError
from authlib.oauth2.rfc7662 import IntrospectTokenValidator
from mcp.shared.auth import ProtectedResourceMetadata
from starlette.applications import Starlette

from bearer_guard import ConfigurationError, KeyringError, Policy, StoreUnavailable, Verifier
from bearer_guard.endpoints.oauth import INTROSPECT, WELL_KNOWN, oauth_routes
from bearer_guard.events import TokenEnded
from bearer_guard.issuing import Issued, Issuer, Principal
from tests.integrations.support import CASES, Answer, Setting, check

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

INTROSPECTION: Final = "http://testserver/oauth/introspect"
REVOCATION: Final = "http://testserver/oauth/revoke"
INACTIVE: Final = {"active": False}


class World:
    """The endpoints, and people with tokens."""

    def __init__(self) -> None:
        self.setting = Setting()
        self.store, self.clock = self.setting.store, self.setting.clock
        self.verifier = Verifier(**self.setting.options)
        told = [self.setting.events.append]
        self.issuer = Issuer(self.store, self.setting.keyring, clock=self.clock, listeners=told)
        self.app = Starlette(
            routes=oauth_routes(
                self.verifier,
                self.issuer,
                resource="https://api.example.com/v1",
                scopes=["read", "write"],
                authorization_servers=["https://login.example.com"],
            )
        )
        self.transport = httpx2.ASGITransport(self.app, client=("192.0.2.1", 1))

    async def open(self) -> World:
        await self.verifier.open()
        await self.store.set_policy(Policy(users_may_generate=True))
        self.alice = await self.create("alice", scopes=["read", "write"])
        self.bob = await self.create("bob")
        self.service = await self.create("service", scopes=[INTROSPECT])
        self.setting.events.clear()
        return self

    async def create(self, owner: str, **fields: Any) -> Issued:
        fields.setdefault("lifetime", timedelta(hours=1, milliseconds=999))
        return await self.issuer.create(Principal(owner), **fields)

    def client(self, caller: Issued | None) -> AsyncOAuth2Client:
        """authlib's client, which shows the caller's token at the endpoints."""

        def show(client: Any, method: str, uri: str, headers: Any, body: Any) -> Any:
            del client, method
            if caller is not None:
                headers["Authorization"] = f"Bearer {caller.value}"
            return uri, headers, body

        return AsyncOAuth2Client(
            "client",
            token_endpoint_auth_method=show,
            revocation_endpoint_auth_method=show,
            transport=self.transport,
        )

    async def introspect(self, caller: Issued | None, token: str, **more: Any) -> Any:
        async with self.client(caller) as client:
            answer = await client.introspect_token(INTROSPECTION, token=token, **more)
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        return answer.json()

    async def revoke(self, caller: Issued | None, token: str, **more: Any) -> httpx2.Response:
        async with self.client(caller) as client:
            answer: httpx2.Response = await client.revoke_token(REVOCATION, token=token, **more)
        return answer

    async def post(
        self, url: str, headers: list[tuple[str, str]], body: bytes = b"token=x"
    ) -> Answer:
        form = ("content-type", "application/x-www-form-urlencoded")
        async with httpx2.AsyncClient(transport=self.transport) as client:
            answer = await client.post(url, headers=[form, *headers], content=body)
        return Answer(answer.status_code, dict(answer.headers), answer.content)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = await World().open()
    yield world
    await world.verifier.close()


def bearer(issued: Issued) -> tuple[str, str]:
    return ("authorization", f"Bearer {issued.value}")


# Introspection


async def test_a_service_is_told_all_of_a_good_token(world: World) -> None:
    now_s = world.clock.now_ms() // 1000
    assert await world.introspect(world.service, world.alice.value) == {
        "active": True,
        "token_type": "Bearer",
        "sub": "alice",
        "username": "alice",
        "jti": str(world.alice.record.id),
        "iat": now_s,
        "exp": now_s + 3600,
        "scope": "read write",
    }


async def test_what_a_token_has_not_is_left_out(world: World) -> None:
    await world.store.set_policy(Policy(users_may_generate=True, allow_non_expiring=True))
    forever = await world.create("alice", lifetime=None)
    assert not {"exp", "scope"} & set(await world.introspect(world.service, forever.value))


async def test_one_may_ask_about_ones_own_tokens(world: World) -> None:
    other = await world.create("alice")
    assert (await world.introspect(world.alice, world.alice.value))["active"] is True
    assert (await world.introspect(world.alice, other.value))["sub"] == "alice"


async def test_of_somebody_elses_token_nothing_is_told(world: World) -> None:
    assert await world.introspect(world.bob, world.alice.value) == INACTIVE
    assert await world.introspect(world.alice, world.service.value) == INACTIVE


@pytest.mark.parametrize("name", ["forged", "unknown", "expired", "deleted"])
async def test_whatever_is_not_good_is_inactive_and_no_more(world: World, name: str) -> None:
    assert await world.introspect(world.service, world.setting.tokens[name]) == INACTIVE


@pytest.mark.parametrize("text", ["x", "bg_", " ", "ä", "\x00", "Bearer x", "a" * 5000])
async def test_what_is_no_token_at_all_is_inactive(world: World, text: str) -> None:
    assert await world.introspect(world.service, text) == INACTIVE


async def test_the_hint_is_of_no_consequence(world: World) -> None:
    for hint in ("access_token", "refresh_token", "nonsense"):
        found = await world.introspect(world.service, world.alice.value, token_type_hint=hint)
        assert found["active"] is True


async def test_a_token_of_a_network_is_good_only_where_its_client_is_told_to_be(
    world: World,
) -> None:
    token = (await world.create("alice", networks=["198.51.100.0/24"])).value
    assert await world.introspect(world.service, token) == INACTIVE
    for address, active in [("198.51.100.7", True), ("192.0.2.1", False), ("nonsense", False)]:
        body = f"token={token}&client_address={address}".encode()
        answer = await world.post(INTROSPECTION, [bearer(world.service)], body)
        assert answer.json()["active"] is active


async def test_to_ask_is_to_use(world: World) -> None:
    await world.introspect(world.service, world.alice.value)
    assert world.alice.record.id.int in world.verifier.last_used.uses


async def test_authlibs_validator_takes_the_answer(world: World) -> None:
    found = {
        token: await world.introspect(world.service, token)
        for token in (world.alice.value, world.setting.tokens["forged"])
    }

    class Validator(IntrospectTokenValidator):  # type: ignore[misc] # authlib is not typed
        def introspect_token(self, token_string: str) -> Any:
            return found[token_string]

    validator = Validator()
    good, bad = map(validator.authenticate_token, found)
    validator.validate_token(good, ["read"], None)
    with pytest.raises(InsufficientScopeError):
        validator.validate_token(good, ["admin"], None)
    with pytest.raises(InvalidTokenError):
        validator.validate_token(bad, [], None)


# Revocation


async def test_ones_own_token_is_ended_at_once(world: World) -> None:
    old = await world.create("alice")
    assert (await world.introspect(world.alice, old.value))["active"] is True
    answer = await world.revoke(world.alice, old.value)
    assert (answer.status_code, answer.content) == (200, b"")
    assert await world.introspect(world.alice, old.value) == INACTIVE


async def test_a_token_may_end_itself(world: World) -> None:
    assert (await world.revoke(world.alice, world.alice.value)).status_code == 200
    answer = await world.post(INTROSPECTION, [bearer(world.alice)])
    check(answer, CASES["deleted"])


async def test_a_service_ends_anybodys_token_and_the_audit_knows_who_did(world: World) -> None:
    assert (await world.revoke(world.service, world.alice.value)).status_code == 200
    (event,) = world.setting.events
    assert isinstance(event, TokenEnded)
    assert (event.token_id, event.owner, event.by, event.reason) == (
        world.alice.record.id,
        "alice",
        "service",
        "deleted",
    )


async def test_somebody_elses_token_is_not_ended(world: World) -> None:
    answer = await world.revoke(world.bob, world.alice.value)
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert 'scope="introspect"' in answer.headers["www-authenticate"]
    assert (await world.introspect(world.alice, world.alice.value))["active"] is True


@pytest.mark.parametrize("name", ["forged", "unknown", "deleted"])
async def test_what_is_no_token_any_more_is_as_good_as_ended(world: World, name: str) -> None:
    answer = await world.revoke(world.service, world.setting.tokens[name])
    assert answer.status_code == 200
    assert not [event for event in world.setting.events if isinstance(event, TokenEnded)]


async def test_a_token_of_a_disabled_owner_can_be_ended(world: World) -> None:
    world.store._disabled.add("alice")
    world.verifier.feed._invalidate([world.alice.record.id])
    assert (await world.revoke(world.service, world.alice.value)).status_code == 200
    assert world.store._records[world.alice.record.id].ended_ms is not None


async def test_to_end_twice_does_no_harm(world: World) -> None:
    for _ in range(2):
        assert (await world.revoke(world.service, world.alice.value)).status_code == 200
    assert len([event for event in world.setting.events if isinstance(event, TokenEnded)]) == 1


# Both


@pytest.mark.parametrize("url", [INTROSPECTION, REVOCATION])
@pytest.mark.parametrize("name", [n for n in CASES if n not in {"good", "missing scope"}])
async def test_who_may_not_ask_gets_the_guards_own_answer(
    world: World, url: str, name: str
) -> None:
    if name == "store down":  # what is remembered is answered without it
        world.verifier.feed._invalidate(None)
    check(await world.post(url, world.setting.headers(CASES[name])), CASES[name])


@pytest.mark.parametrize("url", [INTROSPECTION, REVOCATION])
@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"", 400, "invalid_request"),
        (b"token=", 400, "invalid_request"),
        (b"token=a&token=b", 400, "invalid_request"),
        (b"token=%ff", 400, "invalid_request"),
        (b"token=" + b"a" * 70_000, 413, "content_too_large"),
    ],
)
async def test_a_form_that_says_nothing_is_refused(
    world: World, url: str, body: bytes, status: int, error: str
) -> None:
    answer = await world.post(url, [bearer(world.service)], body)
    assert (answer.status, answer.json()["error"]) == (status, error)


@pytest.mark.parametrize("url", [INTROSPECTION, REVOCATION])
async def test_a_token_in_the_query_is_none(world: World, url: str) -> None:
    """It would be in every log between here and there: RFC 7662 section 4."""
    url = f"{url}?token={world.alice.value}"
    assert (await world.post(url, [bearer(world.service)], b"hint=x")).status == 400


@pytest.mark.parametrize("url", [INTROSPECTION, REVOCATION])
async def test_other_methods_are_not_allowed(world: World, url: str) -> None:
    async with httpx2.AsyncClient(transport=world.transport) as client:
        for method in ("GET", "PUT", "DELETE"):
            answer = await client.request(method, url, headers=[bearer(world.service)])
            assert answer.status_code == 405
            assert answer.headers["allow"] == "POST"
            assert answer.json()["error"] == "method_not_allowed"


@pytest.mark.parametrize("error", [StoreUnavailable("down"), KeyringError("other keys")])
async def test_a_store_that_fails_half_way_is_503(world: World, error: Exception) -> None:
    await world.introspect(world.alice, world.alice.value)
    world.store.broken = error
    answer = await world.revoke(world.alice, world.alice.value)
    world.store.broken = None
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_a_client_that_goes_away_leaves_no_traceback(world: World) -> None:
    messages: list[Any] = [{"type": "http.request", "body": b"to", "more_body": True}]

    async def receive() -> Any:
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        del message

    name, value = bearer(world.service)
    headers = [(b"content-type", b"application/x-www-form-urlencoded")]
    headers.append((name.encode(), value.encode()))
    scope = {"type": "http", "method": "POST", "path": "/oauth/revoke", "headers": headers}
    await world.app({**scope, "query_string": b""}, receive, send)


async def test_no_token_is_in_any_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    for token in (world.alice.value, world.setting.tokens["forged"]):
        await world.introspect(world.service, token)
        await world.revoke(world.service, token)
    assert "bg_" not in caplog.text


# Metadata


async def test_the_metadata_is_what_the_standard_says(world: World) -> None:
    async with httpx2.AsyncClient(transport=world.transport) as client:
        answer = await client.get(f"http://testserver{WELL_KNOWN}/v1")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "resource": "https://api.example.com/v1",
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["read", "write"],
        "authorization_servers": ["https://login.example.com"],
    }
    read_by_mcp = ProtectedResourceMetadata.model_validate_json(answer.content)
    assert str(read_by_mcp.resource) == "https://api.example.com/v1"


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        ("https://api.example.com", ""),
        ("https://api.example.com/", ""),
        ("https://api.example.com:8443/a/b", "/a/b"),
        ("http://localhost:8000/x", "/x"),
        ("http://[::1]/x", "/x"),
    ],
)
async def test_the_path_of_the_resource_follows_the_well_known_one(
    world: World, resource: str, path: str
) -> None:
    routes = oauth_routes(world.verifier, world.issuer, resource=resource)
    assert routes[-1].path == WELL_KNOWN + path
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(Starlette(routes=routes))) as http:
        answer = await http.get(f"http://testserver{WELL_KNOWN}{path}")
    assert answer.json() == {"resource": resource, "bearer_methods_supported": ["header"]}


@pytest.mark.parametrize(
    "resource",
    [
        "http://api.example.com",
        "https://",
        "api.example.com",
        "https://api.example.com/#x",
        "https://api.example.com/#",
        "https://api.example.com/?a=1",
        "ftp://localhost/",
    ],
)
async def test_a_resource_that_the_standard_does_not_allow_is_an_error(
    world: World, resource: str
) -> None:
    with pytest.raises(ConfigurationError, match="https URL"):
        oauth_routes(world.verifier, world.issuer, resource=resource)


async def test_without_a_resource_there_is_no_metadata(world: World) -> None:
    routes = oauth_routes(world.verifier, world.issuer)
    assert [route.path for route in routes] == ["/oauth/introspect", "/oauth/revoke"]
