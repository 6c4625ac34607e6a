"""`_credentials`: who makes a request of the HTTP API."""

from __future__ import annotations

import base64
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bearer_guard.endpoints._credentials import Basic, basic_credentials
from bearer_guard.keyring import Keyring
from bearer_guard.proxy_sso import ProxySso
from bearer_guard.token import TokenForm
from bearer_guard.verdict import Reason
from tests.endpoints.support import Api, basic, challenges
from tests.issuing.support import PASSWORD

BASIC = 'Basic realm="api", charset="UTF-8"'
PATH = "/apiAccessTokens"


def encoded(text: str | bytes) -> bytes:
    return base64.b64encode(text.encode() if isinstance(text, str) else text)


@pytest.fixture
async def api() -> Api:
    return await Api().people()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Basic " + encoded("alice:pw"), Basic("alice", "pw")),
        (b"bASIC  " + encoded("alice:pw"), Basic("alice", "pw")),
        (b"\t Basic " + encoded("alice:pw") + b" ", Basic("alice", "pw")),
        (b"Basic " + encoded("alice:p:w:"), Basic("alice", "p:w:")),
        (b"Basic " + encoded(":"), Basic("", "")),
        (b"Basic " + encoded("Zoë:пароль"), Basic("Zoë", "пароль")),
        (b"Basic " + encoded("alice"), Reason.MALFORMED),
        (b"Basic " + encoded("alice:p\nw"), Reason.MALFORMED),
        (b"Basic " + encoded("al\0ice:pw"), Reason.MALFORMED),
        (b"Basic " + encoded("alice:\x7f"), Reason.MALFORMED),
        (b"Basic " + encoded("Zoë:pw".encode("latin-1")), Reason.MALFORMED),
        (b"Basic " + encoded("alice:pw") + b"!", Reason.MALFORMED),
        (b"Basic " + encoded("alice:pwd").rstrip(b"=") + b"x", Reason.MALFORMED),
        (b"Basic a", Reason.MALFORMED),
        (b"Basic \xff", Reason.MALFORMED),
        (b"Basic ", Reason.MISSING),
        (b"Basic", Reason.MISSING),
        (b"Basic\t" + encoded("alice:pw"), Reason.MISSING),
        (b"Basically " + encoded("alice:pw"), Reason.MISSING),
        (b"Bearer x", Reason.MISSING),
        (b"", Reason.MISSING),
    ],
)
def test_a_name_and_a_password_are_read_as_rfc_7617_says(
    value: bytes, expected: Basic | Reason
) -> None:
    assert basic_credentials(value) == expected


@given(st.binary(max_size=60))
def test_any_bytes_at_all_are_read_or_refused(value: bytes) -> None:
    assert isinstance(basic_credentials(b"Basic " + value), Basic | Reason)


def test_a_password_is_in_no_repr() -> None:
    assert "s3cret" not in repr(Basic("alice", "s3cret"))


async def test_without_credentials_both_ways_are_shown(api: Api) -> None:
    for headers in ({}, {"authorization": "Digest x"}, {"authorization": ""}):
        answer = await api.ask("GET", PATH, who=None, headers=headers)
        assert answer.status_code == 401
        assert challenges(answer) == ['Bearer realm="api"', BASIC]


@pytest.mark.parametrize(
    "credentials",
    [
        basic("alice", "wrong password"),
        basic("nobody"),
        basic("dave"),
        basic("dave", "wrong password"),
        basic("alice", ""),
        basic("ALICE"),
        "Basic !",
        "Basic YWxpY2U=",
    ],
)
async def test_what_proves_nobody_is_told_the_same(api: Api, credentials: str) -> None:
    answer = await api.ask("GET", PATH, who=None, headers={"authorization": credentials})
    assert answer.status_code == 401
    assert challenges(answer) == ['Bearer realm="api"', BASIC]
    assert answer.json() == {
        "error": "unauthorized",
        "error_description": "The name or the password is not right",
    }


@pytest.mark.parametrize("value", ["", "x", "bg_" + "0" * 71, "a b", "a, Bearer b"])
async def test_what_is_no_token_is_told_what_the_guard_tells(api: Api, value: str) -> None:
    answer = await api.ask("GET", PATH, token=value)
    assert answer.status_code == 401
    bearer, other = challenges(answer)
    assert bearer == (
        'Bearer realm="api", error="invalid_token", '
        'error_description="The access token is not valid"'
    )
    assert other == BASIC


async def test_a_forged_token_is_looked_up_nowhere(api: Api) -> None:
    made = await api.create()
    token_id = made["tokenInfo"]["tokenId"]
    forged = TokenForm().mint(UUID(token_id), Keyring.generate().tag)
    api.store.calls.clear()
    answer = await api.ask("GET", PATH, token=forged)
    assert answer.status_code == 401
    assert api.store.calls == []


@pytest.mark.parametrize(
    "two",
    [
        [basic("alice"), basic("alice")],
        [basic("alice"), ""],
        [basic("alice"), "Bearer x"],
    ],
)
async def test_two_authorization_headers_are_one_too_many(api: Api, two: list[str]) -> None:
    headers = [(b"authorization", value.encode()) for value in two]
    raw = await api.raw("GET", "/v4" + PATH, headers=headers)
    assert raw.status == 400
    sent = dict(raw.sent[0]["headers"])
    assert b'error="invalid_request"' in sent[b"www-authenticate"]


@pytest.mark.parametrize(
    "name", ["X-Remote-User", "x_remote_user", "Remote-User", "X-Forwarded-User"]
)
async def test_invariant_7_a_proxys_identity_beside_any_credentials_is_refused(
    api: Api, name: str
) -> None:
    value = (await api.create())["tokenValue"]
    for credentials in (basic("alice"), basic("alice", "wrong"), f"Bearer {value}", "Basic !"):
        answer = await api.ask(
            "GET", PATH, who=None, headers={"authorization": credentials, name: "mallory"}
        )
        assert answer.status_code == 403
        assert answer.json()["error"] == "invalid_request"
        assert "mallory" not in answer.text
    refused = [event.fields() for event in api.told.events if event.name == "request.refused"]
    assert refused[0]["header"] == name.lower().replace("_", "-")


async def test_a_proxys_identity_in_the_servers_variables_is_refused(api: Api) -> None:
    headers = [(b"authorization", basic("alice").encode())]
    environ = {"REMOTE_USER": "mallory"}
    raw = await api.raw("GET", "/v4" + PATH, headers=headers, wsgi_environ=environ)
    assert raw.status == 403
    raw = await api.raw("GET", "/v4" + PATH, headers=headers, wsgi_environ={"REMOTE_USER": ""})
    assert raw.status == 200


async def test_a_proxys_identity_alone_is_nobody(api: Api) -> None:
    answer = await api.ask("GET", PATH, who=None, headers={"x-remote-user": "root"})
    assert answer.status_code == 401
    answer = await api.ask("GET", PATH, headers={"x-remote-user": " "})
    assert answer.status_code == 200


async def test_the_catalogue_can_be_another() -> None:
    api = await Api(proxy_sso=ProxySso(extra=["X-Corp-User"])).people()
    answer = await api.ask("GET", PATH, headers={"x-corp-user": "mallory"})
    assert answer.status_code == 403


async def test_too_many_failures_stop_the_right_password_and_no_token(api: Api) -> None:
    value = (await api.create())["tokenValue"]
    wrong = {"authorization": basic("alice", "wrong password")}
    for _ in range(10):
        assert (await api.ask("GET", PATH, who=None, headers=wrong)).status_code == 401
    for answer in (await api.ask("GET", PATH, who=None, headers=wrong), await api.ask("GET", PATH)):
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert answer.json()["error"] == "too_many_requests"
    assert (await api.ask("GET", PATH, token=value)).status_code == 200
    assert (await api.ask("GET", PATH, who="bob")).status_code == 200


async def test_a_token_is_bound_to_its_networks_here_too(api: Api) -> None:
    inside = await api.create(networks=["192.0.2.0/24"])
    outside = await api.create(networks=["198.51.100.0/24"])
    assert (await api.ask("GET", PATH, token=inside["tokenValue"])).status_code == 200
    answer = await api.ask("GET", PATH, token=outside["tokenValue"])
    assert answer.status_code == 403
    (bearer,) = challenges(answer)
    assert bearer == (
        'Bearer realm="api", error="insufficient_scope", '
        'error_description="The access token can\'t be used from this network"'
    )
    assert "198.51" not in answer.text


async def test_a_disabled_owners_tokens_are_refused(api: Api) -> None:
    value = (await api.create())["tokenValue"]
    await api.ask("PATCH", "/users/alice", who="root", json={"disabled": True})
    answer = await api.ask("GET", PATH, token=value)
    assert answer.status_code == 401
    assert "disabled" in challenges(answer)[0]
    await api.ask("PATCH", "/users/alice", who="root", json={"disabled": False})
    assert (await api.ask("GET", PATH, token=value)).status_code == 200


async def test_a_token_is_taken_from_the_header_only(api: Api) -> None:
    value = (await api.create())["tokenValue"]
    for request in (
        {"params": {"access_token": value}},
        {"headers": {"cookie": f"access_token={value}"}},
        {"headers": {"x-authorization": f"Bearer {value}"}},
        {"headers": {"proxy-authorization": f"Bearer {value}"}},
    ):
        options: dict[str, Any] = request
        assert (await api.ask("GET", PATH, who=None, **options)).status_code == 401


async def test_the_audit_is_told_of_log_ins_and_of_what_was_refused(api: Api) -> None:
    await api.ask("GET", PATH)
    await api.ask("GET", PATH, who=None, headers={"authorization": basic("alice", "s3cret")})
    forged = TokenForm().mint(uuid4(), Keyring.generate().tag)
    await api.ask("GET", PATH, token=forged)
    fields = [event.fields() for event in api.told.events]
    assert [field["event"] for field in fields] == [
        "login.succeeded",
        "login.failed",
        "request.refused",
    ]
    assert {field["client"] for field in fields} == {"192.0.2.1"}
    for secret in (PASSWORD, "s3cret", forged):
        assert secret not in repr(fields)
