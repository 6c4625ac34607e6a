"""`logins.oidc`: what a provider gives for a code proves a name, and nothing else does."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from starlette.responses import JSONResponse, RedirectResponse, Response

from bearer_guard.errors import ConfigurationError, StoreUnavailable
from bearer_guard.events import LogInFailed, LogInSucceeded
from bearer_guard.issuing import Principal
from bearer_guard.issuing.accounts import Accounts
from bearer_guard.issuing.logins import Denied
from bearer_guard.issuing.logins.oidc import (
    DirectoryUnavailable,
    LoggedIn,
    OidcConfig,
    OidcLogin,
)
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.testing import ManualClock
from tests.faults import Fault, faulty_proxy
from tests.issuing.logins.provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    REDIRECT_URI,
    OpenIdProvider,
    a_key,
    openid_provider,
)
from tests.issuing.logins.watching import longest_gap
from tests.issuing.support import PASSWORD, Told, cheap_passwords

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bearer_guard.issuing.logins.oidc import Begun
    from tests.issuing.logins.certificates import Authority

ROOT: Final = Principal("root", admin=True)
DISCOVERY: Final = "/.well-known/openid-configuration"


@pytest.fixture(scope="module")
def running_provider() -> Iterator[OpenIdProvider]:
    with openid_provider() as provider:
        yield provider


@pytest.fixture
def provider(running_provider: OpenIdProvider) -> OpenIdProvider:
    running_provider.reset()
    return running_provider


@pytest.fixture
def secret(tmp_path: Path) -> str:
    file = tmp_path / "secret"
    file.write_text(CLIENT_SECRET + "\n")
    return str(file)


class Bench:
    def __init__(self, provider: OpenIdProvider, secret: str, **settings: Any) -> None:
        self.provider = provider
        self.table = {
            "issuer": provider.url,
            "client_id": CLIENT_ID,
            "client_secret_file": secret,
            "redirect_uri": REDIRECT_URI,
        } | settings
        self.store = MemoryStore()
        self.clock = ManualClock(int(time.time() * 1000))
        self.told = Told()
        self.login = OidcLogin(
            OidcConfig.from_table(self.table),
            self.store,
            accounts=self.store,
            clock=self.clock,
            listeners=[self.told],
        )

    async def brought_back(self, return_to: str = "/tokens") -> tuple[dict[str, str], Begun]:
        """What the browser comes back with, and how it was sent away."""
        begun = await self.login.begin(return_to)
        return await asyncio.to_thread(self.provider.log_in, begun.url), begun

    async def log_in(self) -> LoggedIn | Denied:
        query, begun = await self.brought_back()
        return await self.login.finish(query, request_id=begun.request_id, client="192.0.2.1")


@pytest.fixture
def bench(provider: OpenIdProvider, secret: str) -> Bench:
    return Bench(provider, secret)


async def test_a_log_in_at_the_provider_proves_a_name(bench: Bench) -> None:
    assert await bench.log_in() == LoggedIn(Principal("alice", proven_by="oidc"), "/tokens")


async def test_the_audit_is_told_who_logged_in(bench: Bench) -> None:
    await bench.log_in()
    assert bench.told.events == [
        LogInSucceeded(
            at_ms=bench.clock.now_ms(), account="alice", method="oidc", client="192.0.2.1"
        )
    ]


async def test_each_log_in_has_its_own_state_nonce_and_challenge(bench: Bench) -> None:
    urls = {(await bench.login.begin()).url for _ in range(10)}
    for name in ("state=", "nonce=", "code_challenge="):
        assert len({url.partition(name)[2].partition("&")[0] for url in urls}) == 10


async def test_what_is_published_is_asked_for_once(bench: Bench) -> None:
    for _ in range(3):
        await bench.log_in()
    assert bench.provider.asked.count(DISCOVERY) == bench.provider.asked.count("/keys") == 1
    bench.clock.advance(3601)
    await bench.login.begin()
    assert bench.provider.asked.count(DISCOVERY) == 2


async def test_new_keys_of_the_provider_are_found(bench: Bench) -> None:
    await bench.log_in()
    bench.provider.keys.insert(0, a_key())
    assert isinstance(await bench.log_in(), LoggedIn)


async def test_tls_is_checked(authority: Authority, secret: str) -> None:
    with openid_provider(authority.issue("provider")) as provider:
        bench = Bench(provider, secret, ca_file=str(authority.ca_file))
        assert isinstance(await bench.log_in(), LoggedIn)
        with pytest.raises(DirectoryUnavailable):
            await Bench(provider, secret).login.begin()
    old = authority.issue("old-provider", lifetime=timedelta(days=-1))
    with openid_provider(old) as provider, pytest.raises(DirectoryUnavailable):
        await Bench(provider, secret, ca_file=str(authority.ca_file)).login.begin()


# Who it is, and what they may do


async def test_claims_can_name_the_owner_and_the_groups(
    provider: OpenIdProvider, secret: str
) -> None:
    bench = Bench(
        provider,
        secret,
        name_claim="preferred_username",
        groups_claim="groups",
        admin_group="admins",
        generate_group="makers",
    )
    provider.person = {"sub": "1", "preferred_username": "alice", "groups": ["admins", 7, "x"]}
    outcome = await bench.log_in()
    assert isinstance(outcome, LoggedIn)
    assert outcome.principal == Principal("alice", admin=True, proven_by="oidc")
    provider.person = {"sub": "2", "preferred_username": "bob", "groups": ["makers"]}
    outcome = await bench.log_in()
    assert isinstance(outcome, LoggedIn)
    assert outcome.principal == Principal("bob", may_generate=True, proven_by="oidc")


@pytest.mark.parametrize("groups", ["admins", {"admins": 1}, None, 1, [["admins"]]])
async def test_groups_are_a_list_of_texts(
    provider: OpenIdProvider, secret: str, groups: object
) -> None:
    bench = Bench(provider, secret, groups_claim="groups", admin_group="admins")
    provider.person |= {"groups": groups}
    outcome = await bench.log_in()
    assert isinstance(outcome, LoggedIn)
    assert not outcome.principal.admin


@pytest.mark.parametrize("verified", [None, False, "true", 1])
async def test_an_e_mail_address_counts_where_the_provider_has_made_sure(
    provider: OpenIdProvider, secret: str, verified: object
) -> None:
    """Elsewhere anybody can write anybody's address into their own profile."""
    bench = Bench(provider, secret, name_claim="email")
    provider.person |= {"email": "alice@example.com", "email_verified": verified}
    assert await bench.log_in() == Denied()
    provider.person |= {"email_verified": True}
    assert isinstance(await bench.log_in(), LoggedIn)


@pytest.mark.parametrize("name", [None, "", 7, ["alice"], "*", " alice", "a\nb", "x" * 257])
async def test_a_name_that_no_owner_could_have_is_refused(
    provider: OpenIdProvider, secret: str, name: object
) -> None:
    bench = Bench(provider, secret, name_claim="preferred_username")
    provider.person |= {"preferred_username": name}
    assert await bench.log_in() == Denied()


async def test_a_native_account_s_name_is_not_the_provider_s_to_give(bench: Bench) -> None:
    accounts = Accounts(bench.store, passwords=cheap_passwords(), listeners=())
    await accounts.add(ROOT, "alice", password=PASSWORD)
    assert await bench.log_in() == Denied()


# Attacks


def unsigned(claims: dict[str, Any]) -> str:
    parts = ({"alg": "none"}, claims)
    made = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts]
    return b".".join([*made, b""]).decode()


def with_the_public_key(provider: OpenIdProvider) -> Callable[[dict[str, Any]], str]:
    """HMAC, and what everybody knows for its key. By hand: no library would."""
    key = provider.keys[0]

    def sign(claims: dict[str, Any]) -> str:
        head, body, _ = provider.signed(claims).split(".")
        del head
        header = json.dumps({"alg": "HS256", "kid": key.kid}).encode()
        signed = b".".join([base64.urlsafe_b64encode(header).rstrip(b"="), body.encode()])
        mac = hmac.digest(key.as_pem(private=False), signed, "sha256")
        return (signed + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()

    return sign


def with_the_client_secret(_: OpenIdProvider) -> Callable[[dict[str, Any]], str]:
    key = OctKey.import_key(CLIENT_SECRET)
    return lambda claims: str(jwt.encode({"alg": "HS256"}, claims, key))


def with_another_key(provider: OpenIdProvider) -> Callable[[dict[str, Any]], str]:
    key = a_key()
    header = {"alg": "RS256", "kid": provider.keys[0].kid}
    return lambda claims: str(jwt.encode(header, claims, key))


def with_a_key_of_its_own(_: OpenIdProvider) -> Callable[[dict[str, Any]], str]:
    """The token itself says which key to look at it with."""
    key = a_key()
    header = {"alg": "RS256", "jwk": key.as_dict(private=False), "kid": key.kid}
    return lambda claims: str(jwt.encode(header, claims, key))


SIGNATURES: Final[dict[str, Callable[[OpenIdProvider], Callable[[dict[str, Any]], str]]]] = {
    "alg none": lambda _: unsigned,
    "HMAC with the public key": with_the_public_key,
    "HMAC with the client's secret": with_the_client_secret,
    "another key": with_another_key,
    "a key of its own": with_a_key_of_its_own,
    "cut short": lambda provider: lambda claims: provider.signed(claims)[:-4],
    "no token": lambda _: lambda _: "id_token",
    "very long": lambda provider: lambda claims: provider.signed(claims | {"x": "y" * 100_000}),
}


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")  # bad keys, on purpose
@pytest.mark.parametrize("name", SIGNATURES)
async def test_a_token_that_the_provider_did_not_sign_proves_nothing(
    bench: Bench, name: str
) -> None:
    bench.provider.sign = SIGNATURES[name](bench.provider)
    assert await bench.log_in() == Denied()
    assert bench.told.events == [
        LogInFailed(at_ms=bench.clock.now_ms(), account="", method="oidc", client="192.0.2.1")
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": [CLIENT_ID, "another"]},
        {"aud": [CLIENT_ID, "another"], "azp": "another"},
        {"aud": "another", "azp": CLIENT_ID},
        {"aud": {}},
        {"azp": "another"},
        {"iss": "https://another.example"},
        {"iss": None},
        {"exp": int(time.time()) - 120},
        {"exp": None},
        {"exp": "soon"},
        {"iat": int(time.time()) + 3600},
        {"nbf": int(time.time()) + 3600},
        {"sub": None},
        {"at_hash": "another"},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_a_token_that_says_something_else_proves_nothing(
    bench: Bench, change: dict[str, Any]
) -> None:
    def twist(claims: dict[str, Any]) -> None:
        claims |= change
        for name in [name for name, value in claims.items() if value is None]:
            del claims[name]

    bench.provider.claims = twist
    assert await bench.log_in() == Denied()


@pytest.mark.parametrize("aud", [CLIENT_ID, [CLIENT_ID]])
async def test_a_token_that_is_for_us_proves_a_name(bench: Bench, aud: object) -> None:
    """What the ones above are told by."""
    bench.provider.claims = lambda claims: claims.update(aud=aud, azp=CLIENT_ID)
    assert isinstance(await bench.log_in(), LoggedIn)


async def test_clocks_may_differ_by_a_minute_and_no_more(bench: Bench) -> None:
    bench.provider.claims = lambda claims: claims.update(exp=int(bench.clock.now_ms() / 1000) - 50)
    assert isinstance(await bench.log_in(), LoggedIn)
    bench.provider.claims = lambda claims: claims.update(exp=int(bench.clock.now_ms() / 1000) - 70)
    assert await bench.log_in() == Denied()


@pytest.mark.parametrize("state", ["another", "", None, "\ud800"])
async def test_another_state_is_refused(bench: Bench, state: str | None) -> None:
    query, begun = await bench.brought_back()
    changed = {name: value for name, value in query.items() if name != "state"}
    if state is not None:
        changed["state"] = state
    assert await bench.login.finish(changed, request_id=begun.request_id) == Denied()
    assert "/token" not in bench.provider.asked
    assert isinstance(await bench.login.finish(query, request_id=begun.request_id), LoggedIn)


async def test_an_answer_counts_in_the_browser_that_asked(bench: Bench) -> None:
    mine, _ = await bench.brought_back()
    _, theirs = await bench.brought_back()
    assert await bench.login.finish(mine, request_id=theirs.request_id) == Denied()
    assert await bench.login.finish(mine, request_id=None) == Denied()


async def test_a_code_of_another_log_in_is_refused(bench: Bench) -> None:
    """Somebody's own code, put into another's log-in: PKCE and the nonce tell."""
    mine, _ = await bench.brought_back()
    theirs, begun = await bench.brought_back()
    mixed = theirs | {"code": mine["code"]}
    assert await bench.login.finish(mixed, request_id=begun.request_id) == Denied()


async def test_an_answer_counts_once(bench: Bench) -> None:
    query, begun = await bench.brought_back()
    outcomes = await asyncio.gather(
        *[bench.login.finish(query, request_id=begun.request_id) for _ in range(5)]
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Denied"] * 4 + ["LoggedIn"]


async def test_an_answer_must_come_in_time(bench: Bench) -> None:
    query, begun = await bench.brought_back()
    bench.clock.advance(601)
    assert await bench.login.finish(query, request_id=begun.request_id) == Denied()


@pytest.mark.parametrize("change", [{"error": "access_denied"}, {"code": ""}])
async def test_a_provider_that_says_no_is_believed(bench: Bench, change: dict[str, str]) -> None:
    query, begun = await bench.brought_back()
    assert await bench.login.finish(query | change, request_id=begun.request_id) == Denied()
    assert "/token" not in bench.provider.asked


async def test_an_answer_in_another_provider_s_name_is_refused(bench: Bench) -> None:
    """RFC 9207: somebody who runs a provider, too, can't mix the two up."""
    query, begun = await bench.brought_back()
    query |= {"iss": "https://another.example"}
    assert await bench.login.finish(query, request_id=begun.request_id) == Denied()


async def test_a_provider_that_names_itself_must_do_so(bench: Bench) -> None:
    bench.provider.published = lambda published: published.update(
        authorization_response_iss_parameter_supported=True
    )
    assert await bench.log_in() == Denied()
    query, begun = await bench.brought_back()
    query |= {"iss": bench.provider.url}
    assert isinstance(await bench.login.finish(query, request_id=begun.request_id), LoggedIn)


async def test_no_redirect_leads_away(bench: Bench) -> None:
    query, begun = await bench.brought_back("//evil.example")
    outcome = await bench.login.finish(query, request_id=begun.request_id)
    assert isinstance(outcome, LoggedIn)
    assert outcome.return_to == "/"


# Outages, and a provider that makes no sense


ANSWERS: Final[dict[str, Callable[[], Response]]] = {
    "an error": lambda: Response("no", 500),
    "a redirect": lambda: RedirectResponse("http://127.0.0.1:9/"),
    "no JSON": lambda: Response("<html>"),
    "no keys": lambda: JSONResponse({"keys": []}),
    "no object": lambda: JSONResponse(["x"]),
    "an empty object": lambda: JSONResponse({}),
    "packed": lambda: Response(b"x", headers={"content-encoding": "gzip"}),
    "deep": lambda: Response(b'{"a":' * 100_000),
    "odd values": lambda: JSONResponse(
        {"issuer": 1, "keys": [{"kty": 1}], "access_token": 1, "expires_in": []}
    ),
    "our secret is wrong": lambda: JSONResponse({"error": "invalid_client"}, 401),
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("path", [DISCOVERY, "/keys", "/token"])
async def test_an_answer_that_makes_no_sense_is_an_outage(
    bench: Bench, path: str, name: str
) -> None:
    bench.provider.answers[path] = ANSWERS[name]
    asking = bench.login.begin() if path == DISCOVERY else bench.log_in()
    with pytest.raises(DirectoryUnavailable):
        await asking
    assert bench.told.events == []


async def test_an_answer_is_read_so_far_and_no_further(bench: Bench) -> None:
    bench.provider.published = lambda published: published.update(padding="x" * 2_000_000)
    with pytest.raises(DirectoryUnavailable, match="ReadError"):
        await bench.login.begin()
    bench.provider.published = lambda published: published.update(padding="x" * 1_000_000)
    await bench.login.begin()


async def test_a_key_that_is_not_published_is_looked_for_once_more(bench: Bench) -> None:
    signing = a_key()
    bench.provider.sign = lambda claims: str(
        jwt.encode({"alg": "RS256", "kid": signing.kid}, claims, signing)
    )
    assert await bench.log_in() == Denied()
    assert bench.provider.asked.count("/keys") == 2


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://another.example"},
        {"token_endpoint": "http://provider.example/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "https://["},
        {"authorization_endpoint": None},
    ],
    ids=str,
)
async def test_a_provider_that_says_odd_things_of_itself_is_not_used(
    bench: Bench, change: dict[str, Any]
) -> None:
    bench.provider.published = lambda published: published.update(change)
    with pytest.raises(DirectoryUnavailable):
        await bench.login.begin()


async def test_a_provider_that_gives_no_id_token_is_not_used(bench: Bench) -> None:
    bench.provider.given = lambda given: given.pop("id_token")
    with pytest.raises(DirectoryUnavailable, match="no ID token"):
        await bench.log_in()


@pytest.mark.parametrize("fault", [Fault.BLACK_HOLE, Fault.REFUSE, Fault.RESET, Fault.CUT])
async def test_a_provider_in_trouble_is_an_outage(
    provider: OpenIdProvider, secret: str, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bearer_guard.issuing.logins._oidc_provider._SECONDS", 0.5)
    async with faulty_proxy(int(provider.url.rpartition(":")[2])) as proxy:
        bench = Bench(provider, secret, issuer=f"http://127.0.0.1:{proxy.port}")
        await proxy.become(fault)
        async with longest_gap() as gap:
            with pytest.raises(StoreUnavailable):
                await bench.login.begin()
        assert gap.cpu < 0.1
        assert gap.seconds < 0.4


async def test_what_is_logged_and_raised_has_no_secret_in_it(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "bearer_guard")
    bench.provider.answers["/token"] = ANSWERS["our secret is wrong"]
    query, begun = await bench.brought_back()
    with pytest.raises(DirectoryUnavailable) as raised:
        await bench.login.finish(query, request_id=begun.request_id)
    bench.provider.answers.clear()
    bench.provider.sign = unsigned
    await bench.log_in()
    ours = [record.getMessage() for record in caplog.records if record.name == "bearer_guard"]
    assert ours
    shown = " ".join([*ours, repr(raised.value), repr(OidcConfig.from_table(bench.table))])
    assert CLIENT_SECRET not in shown
    assert query["code"] not in shown


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"issuer": "http://provider.example"}, "issuer is an https"),
        ({"issuer": "provider.example"}, "issuer is an https"),
        ({"redirect_uri": "http://app.example/cb"}, "redirect_uri is an https"),
        ({"client_id": ""}, "client_id"),
        ({"name_claim": ""}, "name_claim"),
        ({"admin_group": "admins"}, "groups_claim"),
        ({"client_secret_file": "/nowhere"}, "can't be read"),
        ({"client_secret_file": "/dev/null"}, "empty"),
        ({"secret": "x"}, "no secret"),
    ],
)
def test_settings_that_can_not_work_are_told(change: dict[str, Any], message: str) -> None:
    table = {
        "issuer": "https://provider.example",
        "client_id": "x",
        "redirect_uri": "https://app.example/cb",
    }
    with pytest.raises(ConfigurationError, match=message):
        OidcConfig.from_table(table | change)


def test_certificates_that_can_not_be_read_are_told(provider: OpenIdProvider, secret: str) -> None:
    with pytest.raises(ConfigurationError, match="ca_file"):
        Bench(provider, secret, ca_file="/nowhere")


def test_openid_is_always_asked_for() -> None:
    config = OidcConfig(
        issuer="https://provider.example",
        client_id="x",
        redirect_uri="http://localhost:8000/cb",
        scopes=("email",),
    )
    assert config.scope == "openid email"
