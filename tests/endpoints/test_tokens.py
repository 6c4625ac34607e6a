"""``/apiAccessTokens`` of the HTTP API."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from bearer_guard.record import Use
from tests.endpoints.support import Api, challenges

NOW = "2026-11-24T14:00:00.000Z"
FIELDS = ["tokenId", "description", "expiredAt", "lastUsed", "createdAt", "scopes", "networks"]


@pytest.fixture
async def api() -> Api:
    return await Api().people()


async def test_a_token_is_made_in_exactly_the_known_form(api: Api) -> None:
    body = {"lifetimeSeconds": 3600, "description": "nightly sync"}
    answer = await api.ask("POST", "/apiAccessTokens", json=body)
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    made = answer.json()
    assert list(made) == ["tokenValue", "tokenInfo"]
    info = made["tokenInfo"]
    assert list(info) == FIELDS
    assert info | {"tokenId": ""} == {
        "tokenId": "",
        "description": "nightly sync",
        "expiredAt": "2026-11-24T15:00:00.000Z",
        "lastUsed": None,
        "createdAt": NOW,
        "scopes": [],
        "networks": [],
    }
    assert str(UUID(info["tokenId"])) == info["tokenId"]
    assert made["tokenValue"].startswith("bg_")


async def test_the_location_leads_to_the_token(api: Api) -> None:
    answer = await api.ask("POST", "/apiAccessTokens", json={"lifetimeSeconds": 60})
    found = await api.ask("GET", answer.headers["location"], prefix="")
    assert found.json() == answer.json()["tokenInfo"]


async def test_scopes_and_networks_are_kept_in_order(api: Api) -> None:
    made = await api.create(scopes=["write", "read"], networks=["::1", "10.0.0.0/8"])
    assert made["tokenInfo"]["scopes"] == ["read", "write"]
    assert made["tokenInfo"]["networks"] == ["10.0.0.0/8", "::1/128"]


async def test_a_token_makes_the_next_one(api: Api) -> None:
    first = await api.create()
    body = {"lifetimeSeconds": 60}
    answer = await api.ask("POST", "/apiAccessTokens", token=first["tokenValue"], json=body)
    assert answer.status_code == 201
    listed = await api.ask("GET", "/apiAccessTokens", token=answer.json()["tokenValue"])
    assert {row["tokenId"] for row in listed.json()["data"]} == {
        first["tokenInfo"]["tokenId"],
        answer.json()["tokenInfo"]["tokenId"],
    }


async def test_an_expired_token_makes_nothing(api: Api) -> None:
    first = await api.create()
    api.clock.advance(3600)
    answer = await api.ask(
        "POST", "/apiAccessTokens", token=first["tokenValue"], json={"lifetimeSeconds": 60}
    )
    assert answer.status_code == 401
    bearer, basic = challenges(answer)
    assert 'error="invalid_token", error_description="The access token expired"' in bearer
    assert basic == 'Basic realm="api", charset="UTF-8"'


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"scopes": ["read"]}, 201),
        ({"scopes": ["read", "write"]}, 403),
        ({"scopes": ["write"]}, 403),
        ({"networks": ["192.0.2.0/25"]}, 201),
        ({"networks": ["0.0.0.0/0"]}, 403),
        ({"networks": []}, 403),
    ],
)
async def test_what_a_token_makes_is_no_wider(
    api: Api, fields: dict[str, Any], status: int
) -> None:
    limits = {"scopes": ["read"], "networks": ["192.0.2.0/24"]}
    first = await api.create(**limits)
    body = {"lifetimeSeconds": 60, **limits, **fields}
    answer = await api.ask("POST", "/apiAccessTokens", token=first["tokenValue"], json=body)
    assert answer.status_code == status


async def test_an_answer_says_what_the_longest_lifetime_is(api: Api) -> None:
    await api.settle(maxLifetimeDays=30)
    body = {"lifetimeSeconds": 30 * 86_400 + 1}
    answer = await api.ask("POST", "/apiAccessTokens", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"
    assert "30 days" in answer.json()["error_description"]


async def test_minus_one_is_for_ever_where_that_is_allowed(api: Api) -> None:
    body = {"lifetimeSeconds": -1}
    assert (await api.ask("POST", "/apiAccessTokens", json=body)).status_code == 400
    await api.settle(allowNonExpiring=True)
    answer = await api.ask("POST", "/apiAccessTokens", json=body)
    assert answer.json()["tokenInfo"]["expiredAt"] is None


@pytest.mark.parametrize(
    "seconds",
    [
        "0",
        "-2",
        "1.0",
        "1e3",
        "true",
        '"60"',
        "null",
        "[60]",
        "NaN",
        "Infinity",
        "1" + "0" * 20,
        "1" + "0" * 5000,
        "251678275200",
        "-0",
        "0x10",
        "01",
    ],
)
async def test_a_lifetime_that_is_none_is_refused(api: Api, seconds: str) -> None:
    answer = await api.ask(
        "POST",
        "/apiAccessTokens",
        content=f'{{"lifetimeSeconds": {seconds}}}',
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"
    assert (await api.ask("GET", "/apiAccessTokens")).json() == {"data": []}


@pytest.mark.parametrize(
    "fields",
    [
        {"description": "x" * 257},
        {"description": "a\nb"},
        {"description": "\0"},
        {"description": None},
        {"description": 1},
        {"description": "\ud800"},
        {"scopes": "read"},
        {"scopes": ["a b"]},
        {"scopes": [1]},
        {"scopes": None},
        {"scopes": {"read": True}},
        {"networks": ["10.0.0.0/33"]},
        {"networks": ["10.0.0.1/8"]},
        {"networks": ["here"]},
        {"networks": "10.0.0.0/8"},
        {"owner": "bob"},
        {"lifetimeseconds": 1},
    ],
)
async def test_a_field_that_can_not_be_is_refused(api: Api, fields: dict[str, Any]) -> None:
    answer = await api.ask(
        "POST",
        "/apiAccessTokens",
        content=json.dumps({"lifetimeSeconds": 60, **fields}),
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 400
    assert (await api.ask("GET", "/apiAccessTokens")).json() == {"data": []}


async def test_invariant_15_no_field_names_another_owner(api: Api) -> None:
    """Not for an administrator either, in the body, in the query, or in a header."""
    for name in ("owner", "user", "userId", "name"):
        body = {"lifetimeSeconds": 60, name: "bob"}
        answer = await api.ask("POST", "/apiAccessTokens", who="root", json=body)
        assert answer.status_code == 400
    for query in ("?owner=bob", "?user=bob"):
        answer = await api.ask(
            "POST", "/apiAccessTokens" + query, who="root", json={"lifetimeSeconds": 60}
        )
        assert answer.status_code == 201
    assert (await api.ask("GET", "/apiAccessTokens", who="bob")).json() == {"data": []}
    assert len((await api.ask("GET", "/apiAccessTokens", who="root")).json()["data"]) == 2


async def test_who_may_not_generate_is_told_so(api: Api) -> None:
    body = {"lifetimeSeconds": 60}
    answer = await api.ask("POST", "/apiAccessTokens", who="carol", json=body)
    assert answer.status_code == 403
    assert "may not generate" in answer.json()["error_description"]
    assert "www-authenticate" not in answer.headers
    await api.settle(usersMayGenerate=True)
    answer = await api.ask("POST", "/apiAccessTokens", who="carol", json=body)
    assert answer.status_code == 201


async def test_a_list_is_of_ones_own_newest_first(api: Api) -> None:
    old = await api.create()
    api.clock.advance(1)
    new = await api.create()
    await api.create("bob")
    answer = await api.ask("GET", "/apiAccessTokens")
    assert answer.json() == {"data": [new["tokenInfo"], old["tokenInfo"]]}
    assert answer.headers["cache-control"] == "no-store"


async def test_a_list_shows_the_expired_the_last_use_and_no_value(api: Api) -> None:
    made = await api.create()
    token_id = UUID(made["tokenInfo"]["tokenId"])
    await api.store.touch({token_id: Use(api.clock.now_ms() + 1234)})
    api.clock.advance(9999)
    answer = await api.ask("GET", "/apiAccessTokens")
    (row,) = answer.json()["data"]
    assert list(row) == FIELDS
    assert row["lastUsed"] == "2026-11-24T14:00:01.234Z"
    assert made["tokenValue"] not in answer.text
    assert made["tokenValue"][30:60] not in answer.text


async def test_a_list_comes_in_pages(api: Api) -> None:
    made = []
    for _ in range(5):
        made.append((await api.create())["tokenInfo"])
        api.clock.advance(1)
    seen, query = [], "?limit=2"
    for _ in range(3):
        page = (await api.ask("GET", "/apiAccessTokens" + query)).json()
        assert list(page) == ["data", "next"]
        seen += page["data"]
        query = f"?limit=2&after={page['next']}"
    assert page["next"] is None
    assert seen == made[::-1]


async def test_a_long_list_is_whole(api: Api) -> None:
    for _ in range(1050):
        await api.create()
    answer = await api.ask("GET", "/apiAccessTokens")
    assert len({row["tokenId"] for row in answer.json()["data"]}) == 1050
    assert list(answer.json()) == ["data"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=1001",
        "limit=x",
        "limit=",
        "limit=1.5",
        "limit=%D9%A1",
        "limit=1&limit=2",
        "after=nonsense",
        "after=",
        "owner=me&owner=me",
        "limit=9999999999",
    ],
)
async def test_a_query_that_means_nothing_is_refused(api: Api, query: str) -> None:
    answer = await api.ask("GET", "/apiAccessTokens?" + query)
    assert answer.status_code == 400


async def test_administrators_list_anybodys(api: Api) -> None:
    hers, his = await api.create("alice"), await api.create("bob")
    theirs = await api.ask("GET", "/apiAccessTokens?owner=bob", who="root")
    assert theirs.json() == {"data": [his["tokenInfo"]]}
    everybodys = await api.ask("GET", "/apiAccessTokens?owner=*", who="root")
    assert {row["tokenId"] for row in everybodys.json()["data"]} == {
        hers["tokenInfo"]["tokenId"],
        his["tokenInfo"]["tokenId"],
    }
    mine = await api.ask("GET", "/apiAccessTokens?owner=me", who="root")
    assert mine.json() == {"data": []}


@pytest.mark.parametrize("owner", ["bob", "*", "", "nobody"])
async def test_others_lists_are_administrators(api: Api, owner: str) -> None:
    answer = await api.ask("GET", f"/apiAccessTokens?owner={owner}")
    assert answer.status_code == 403
    assert (await api.ask("GET", "/apiAccessTokens?owner=alice")).status_code == 200


async def test_one_token_is_shown_to_its_owner_and_to_administrators(api: Api) -> None:
    info = (await api.create())["tokenInfo"]
    path = f"/apiAccessTokens/{info['tokenId']}"
    for who in ("alice", "root"):
        answer = await api.ask("GET", path, who=who)
        assert (answer.status_code, answer.json()) == (200, info)
    assert (await api.ask("GET", path, who="bob")).status_code == 404


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    "token_id",
    [str(uuid4()), "x", uuid4().hex, "{" + str(uuid4()) + "}", "0", "%00", "..%2fx", "x" * 999],
    ids=["ID", "letter", "hex", "braces", "number", "NUL", "dots", "long"],
)
async def test_a_token_that_is_not_there_is_not_found(api: Api, method: str, token_id: str) -> None:
    answer = await api.ask(method, f"/apiAccessTokens/{token_id}")
    assert answer.status_code == 404
    assert answer.json()["error"] == "not_found"


async def test_an_id_may_be_written_in_capitals(api: Api) -> None:
    info = (await api.create())["tokenInfo"]
    answer = await api.ask("GET", f"/apiAccessTokens/{info['tokenId'].upper()}")
    assert answer.json() == info


async def test_a_deleted_token_is_gone(api: Api) -> None:
    made = await api.create()
    path = f"/apiAccessTokens/{made['tokenInfo']['tokenId']}"
    assert (await api.ask("DELETE", path, who="bob")).status_code == 404
    answer = await api.ask("DELETE", path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await api.ask("DELETE", path)).status_code == 404
    assert (await api.ask("GET", path)).status_code == 404
    assert (await api.ask("GET", "/apiAccessTokens")).json() == {"data": []}
    answer = await api.ask("GET", "/apiAccessTokens", token=made["tokenValue"])
    assert answer.status_code == 401
    assert "deleted" in challenges(answer)[0]


async def test_administrators_delete_anybodys(api: Api) -> None:
    made = await api.create()
    path = f"/apiAccessTokens/{made['tokenInfo']['tokenId']}"
    assert (await api.ask("DELETE", path, who="root")).status_code == 204


async def test_all_tokens_of_an_owner_are_deleted_at_once(api: Api) -> None:
    for who in ("alice", "alice", "bob"):
        await api.create(who)
    answer = await api.ask("DELETE", "/apiAccessTokens?owner=me")
    assert (answer.status_code, answer.json()) == (200, {"deleted": 2})
    assert (await api.ask("DELETE", "/apiAccessTokens?owner=bob")).status_code == 403
    answer = await api.ask("DELETE", "/apiAccessTokens?owner=bob", who="root")
    assert answer.json() == {"deleted": 1}


@pytest.mark.parametrize("query", ["", "?owner=", "?owner=me&owner=me", "?owner=*"])
async def test_deleting_all_needs_one_owner(api: Api, query: str) -> None:
    await api.create("root")
    answer = await api.ask("DELETE", "/apiAccessTokens" + query, who="root")
    assert answer.status_code == 400
    assert len((await api.ask("GET", "/apiAccessTokens", who="root")).json()["data"]) == 1


async def test_a_renewed_token_is_a_new_one_like_the_old(api: Api) -> None:
    old = await api.create(description="sync", scopes=["read"])
    api.clock.advance(60)
    path = f"/apiAccessTokens/{old['tokenInfo']['tokenId']}/renew"
    answer = await api.ask("POST", path, json={"graceSeconds": 30})
    assert answer.status_code == 201
    new = answer.json()
    assert new["tokenInfo"]["expiredAt"] == "2026-11-24T15:01:00.000Z"
    assert new["tokenInfo"]["description"] == "sync"
    assert new["tokenInfo"]["scopes"] == ["read"]
    assert answer.headers["location"] == f"/v4/apiAccessTokens/{new['tokenInfo']['tokenId']}"
    still = await api.ask("GET", "/apiAccessTokens", token=old["tokenValue"])
    assert len(still.json()["data"]) == 2
    api.clock.advance(30)
    gone = await api.ask("GET", "/apiAccessTokens", token=old["tokenValue"])
    assert gone.status_code == 401


async def test_a_token_renews_itself_and_needs_no_body(api: Api) -> None:
    old = await api.create(scopes=["read"], networks=["192.0.2.0/24"])
    path = f"/apiAccessTokens/{old['tokenInfo']['tokenId']}/renew"
    answer = await api.ask("POST", path, token=old["tokenValue"])
    assert answer.status_code == 201
    assert (await api.ask("POST", path, token=old["tokenValue"])).status_code == 401
    listed = await api.ask("GET", "/apiAccessTokens")
    assert listed.json() == {"data": [answer.json()["tokenInfo"]]}


async def test_renewing_is_the_owners_alone(api: Api) -> None:
    made = await api.create()
    path = f"/apiAccessTokens/{made['tokenInfo']['tokenId']}/renew"
    for who in ("bob", "root"):
        assert (await api.ask("POST", path, who=who, json={})).status_code == 404


@pytest.mark.parametrize("grace", [-1, 1.0, "1", True, None, 10**30, 10**13])
async def test_a_grace_that_can_not_be_is_refused(api: Api, grace: object) -> None:
    made = await api.create()
    path = f"/apiAccessTokens/{made['tokenInfo']['tokenId']}/renew"
    answer = await api.ask("POST", path, json={"graceSeconds": grace})
    assert answer.status_code == 400
    assert (await api.ask("GET", "/apiAccessTokens")).json() == {"data": [made["tokenInfo"]]}
