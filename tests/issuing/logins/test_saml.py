"""`logins.saml`: a provider's signature proves a name, and every known way around it is closed."""

from __future__ import annotations

import asyncio
import base64
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from bearer_guard.errors import ConfigurationError, StoreUnavailable
from bearer_guard.events import LogInFailed, LogInSucceeded
from bearer_guard.issuing import Principal
from bearer_guard.issuing.accounts import Accounts
from bearer_guard.issuing.logins import Denied
from bearer_guard.issuing.logins._saml_filter import Why
from bearer_guard.issuing.logins._saml_library import PySaml2
from bearer_guard.issuing.logins.saml import LoggedIn, SamlConfig, SamlLogin
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.testing import ManualClock
from tests.issuing.logins.attacks import ATTACKS, Providers
from tests.issuing.logins.idp import IdentityProvider, form
from tests.issuing.logins.watching import longest_gap
from tests.issuing.support import PASSWORD, Told, cheap_passwords

if TYPE_CHECKING:
    from bearer_guard.issuing.logins.saml import Begun
    from tests.issuing.logins.certificates import Authority

ENTITY_ID: Final = "https://app.example.com/saml"
ACS: Final = "https://app.example.com/saml/acs"
DOCS: Final = Path(__file__).resolve().parents[3] / "docs" / "logins.md"
ROOT: Final = Principal("root", admin=True)


class Library(PySaml2):
    """pysaml2, and how often it was asked about a signature."""

    looked_at = 0

    async def verify(self, document: bytes, request_id: str | None) -> str:
        self.looked_at += 1
        return await super().verify(document, request_id)


@pytest.fixture(scope="module")
def providers(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Providers:
    folder = tmp_path_factory.mktemp("idp")
    stranger = "https://stranger.example.com/metadata"
    return Providers(
        IdentityProvider(folder, authority),
        IdentityProvider(folder, authority, name="forger"),
        IdentityProvider(folder, authority, name="stranger", entity_id=stranger),
    )


class Bench:
    def __init__(self, providers: Providers, **settings: Any) -> None:
        table = {
            "entity_id": ENTITY_ID,
            "acs_url": ACS,
            "idp_metadata": str(providers.good.metadata_file),
        }
        config = SamlConfig.from_table(table | settings)
        self.providers = providers
        self.store = MemoryStore()
        self.clock = ManualClock(int(time.time() * 1000))  # pysaml2 has none but the machine's
        self.told = Told()
        self.library = Library(
            entity_id=config.entity_id,
            acs_url=config.acs_url,
            idp_metadata=config.idp_metadata,
            key_file=config.key_file,
            cert_file=config.cert_file,
            unsolicited=config.idp_initiated,
        )
        self.login = SamlLogin(
            config,
            self.store,
            accounts=self.store,
            clock=self.clock,
            listeners=[self.told],
            library=self.library,
        )
        for provider in providers:
            provider.learn(self.login.metadata())

    async def log_in(self, return_to: str = "/tokens", **how: Any) -> LoggedIn | Denied:
        begun = await self.login.begin(return_to)
        document = self.providers.good.answer(self.providers.good.read(begun.url), **how)
        return await self.finish(document, begun)

    async def finish(self, document: bytes, begun: Begun) -> LoggedIn | Denied:
        return await self.login.finish(
            form(document), request_id=begun.request_id, client="192.0.2.1"
        )


@pytest.fixture
def bench(providers: Providers) -> Bench:
    return Bench(providers)


async def test_a_signed_answer_to_our_question_proves_a_name(bench: Bench) -> None:
    outcome = await bench.log_in("/access-tokens?page=2")
    assert outcome == LoggedIn(Principal("alice", proven_by="saml"), "/access-tokens?page=2")


@pytest.mark.parametrize("sign_response", [True, False])
async def test_the_response_may_be_signed_as_well(bench: Bench, *, sign_response: bool) -> None:
    assert isinstance(await bench.log_in(sign_response=sign_response), LoggedIn)


async def test_the_audit_is_told_who_logged_in(bench: Bench) -> None:
    await bench.log_in()
    assert bench.told.events == [
        LogInSucceeded(
            at_ms=bench.clock.now_ms(), account="alice", method="saml", client="192.0.2.1"
        )
    ]


async def test_the_question_says_who_asks_and_where_to_answer(bench: Bench) -> None:
    begun = await bench.login.begin()
    asked = bench.providers.good.read(begun.url)
    assert (asked.id, asked.acs_url, asked.issuer) == (begun.request_id, ACS, ENTITY_ID)
    assert not asked.signed


async def test_questions_can_be_signed(providers: Providers, authority: Authority) -> None:
    files = authority.issue("service")
    bench = Bench(providers, key_file=str(files.key), cert_file=str(files.cert))
    begun = await bench.login.begin()
    assert bench.providers.good.read(begun.url).signed
    assert "rsa-sha256" in begun.url
    assert isinstance(await bench.log_in(), LoggedIn)


async def test_the_metadata_name_us_and_no_bad_algorithm(bench: Bench) -> None:
    metadata = bench.login.metadata().decode()
    assert f'entityID="{ENTITY_ID}"' in metadata
    assert f'Location="{ACS}"' in metadata
    assert 'WantAssertionsSigned="true"' in metadata
    assert "sha1" not in metadata


# Who it is, and what they may do


async def test_an_attribute_can_name_the_owner_and_the_groups(providers: Providers) -> None:
    bench = Bench(
        providers,
        name_attribute="uid",
        groups_attribute="urn:oid:1.3.6.1.4.1.5923.1.1.1.1",
        admin_group="admins",
        generate_group="makers",
    )
    alice = {"uid": ["alice"], "eduPersonAffiliation": ["admins", "others"]}
    outcome = await bench.log_in(name="x-1", attributes=alice)
    assert isinstance(outcome, LoggedIn)
    assert outcome.principal == Principal("alice", admin=True, proven_by="saml")
    bob = {"uid": ["bob"], "eduPersonAffiliation": ["makers", "Admins", "admins "]}
    outcome = await bench.log_in(name="x-2", attributes=bob)
    assert isinstance(outcome, LoggedIn)
    assert outcome.principal == Principal("bob", may_generate=True, proven_by="saml")


@pytest.mark.parametrize("values", [[], ["alice", "root"], ["alice", "alice"], [""], [" alice"]])
async def test_an_owner_has_exactly_one_name(providers: Providers, values: list[str]) -> None:
    bench = Bench(providers, name_attribute="uid")
    assert await bench.log_in(attributes={"uid": values} if values else {}) == Denied()


async def test_a_native_account_s_name_is_not_the_provider_s_to_give(bench: Bench) -> None:
    accounts = Accounts(bench.store, passwords=cheap_passwords(), listeners=())
    await accounts.add(ROOT, "alice", password=PASSWORD)
    assert await bench.log_in() == Denied()


async def test_an_account_without_a_password_enables_or_disables_a_person(bench: Bench) -> None:
    accounts = Accounts(bench.store, passwords=cheap_passwords(), listeners=())
    await accounts.add(ROOT, "alice", may_generate=True)
    outcome = await bench.log_in()
    assert isinstance(outcome, LoggedIn)
    assert outcome.principal.may_generate
    await accounts.change(ROOT, "alice", disabled=True)
    assert await bench.log_in() == Denied()


# Attacks


@pytest.mark.parametrize("name", ATTACKS)
async def test_an_attack_fails(bench: Bench, name: str, caplog: pytest.LogCaptureFixture) -> None:
    attack = ATTACKS[name]
    begun = await bench.login.begin()
    document = attack.make(bench.providers, bench.providers.good.read(begun.url))
    assert await bench.finish(document, begun) == Denied()
    assert f"refused: {attack.why}" in caplog.text
    assert (bench.library.looked_at == 1) is attack.looked_at
    assert bench.told.events == [
        LogInFailed(at_ms=bench.clock.now_ms(), account="", method="saml", client="192.0.2.1")
    ]


def test_the_attacks_and_their_verdicts_are_in_the_docs() -> None:
    rows = [f"| {name} | {attack.why} |" for name, attack in ATTACKS.items()]
    assert "\n".join(rows) in DOCS.read_text()


async def refusal(bench: Bench, document: bytes, begun: Begun, caplog: Any) -> str:
    caplog.clear()
    assert await bench.finish(document, begun) == Denied()
    return str(caplog.messages[-1])


async def test_an_answer_counts_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    begun = await bench.login.begin()
    document = bench.providers.good.answer(bench.providers.good.read(begun.url))
    assert isinstance(await bench.finish(document, begun), LoggedIn)
    assert Why.NOT_ASKED in await refusal(bench, document, begun, caplog)


async def test_of_two_answers_at_once_one_counts(bench: Bench) -> None:
    begun = await bench.login.begin()
    document = bench.providers.good.answer(bench.providers.good.read(begun.url))
    outcomes = await asyncio.gather(*[bench.finish(document, begun) for _ in range(5)])
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Denied"] * 4 + ["LoggedIn"]


async def test_an_answer_counts_in_the_browser_that_asked(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Or somebody could make somebody else's browser log in as themselves."""
    mine, theirs = await bench.login.begin(), await bench.login.begin()
    document = bench.providers.good.answer(bench.providers.good.read(mine.url))
    assert Why.NOT_ASKED in await refusal(bench, document, theirs, caplog)
    assert await bench.login.finish(form(document), request_id=None) == Denied()
    assert isinstance(await bench.finish(document, mine), LoggedIn)


async def test_an_answer_must_come_in_time(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    begun = await bench.login.begin()
    document = bench.providers.good.answer(bench.providers.good.read(begun.url), minutes=60)
    bench.clock.advance(10 * 60)
    assert Why.NOT_ASKED in await refusal(bench, document, begun, caplog)


async def test_clocks_may_differ_by_a_minute_and_no_more(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    start_ms = bench.clock.now_ms()
    for seconds, expected in (
        (-70, Why.TOO_EARLY),
        (-50, None),
        (5 * 60 + 50, None),
        (5 * 60 + 70, Why.TOO_LATE),
    ):
        begun = await bench.login.begin()
        document = bench.providers.good.answer(bench.providers.good.read(begun.url))
        bench.clock.step_wall(seconds * 1000)
        if expected is None:
            assert isinstance(await bench.finish(document, begun), LoggedIn)
        else:
            assert expected in await refusal(bench, document, begun, caplog)
        bench.clock.step_wall(start_ms - bench.clock.now_ms())


async def test_what_nobody_asked_for_can_be_let_in_once(
    providers: Providers, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(providers, idp_initiated=True)
    begun = await bench.login.begin("/tokens")
    asked = bench.providers.good.read(begun.url)
    document = bench.providers.good.answer(asked, in_response_to=None)
    outcome = await bench.login.finish(form(document), request_id=None)
    assert outcome == LoggedIn(Principal("alice", proven_by="saml"), "/")
    assert await bench.login.finish(form(document), request_id=None) == Denied()
    assert Why.REPLAY in caplog.messages[-1]


async def test_where_unasked_answers_are_let_in_asked_ones_still_belong_to_a_browser(
    providers: Providers,
) -> None:
    bench = Bench(providers, idp_initiated=True)
    begun = await bench.login.begin()
    document = bench.providers.good.answer(bench.providers.good.read(begun.url))
    assert await bench.login.finish(form(document), request_id=None) == Denied()
    assert isinstance(await bench.finish(document, begun), LoggedIn)


@pytest.mark.parametrize(
    "field", ["", "%%%", "\u00e9", "PG", base64.b64encode(b"x" * 300_000).decode(), "A" * 600_000]
)
async def test_a_field_that_is_no_document_is_refused(bench: Bench, field: str) -> None:
    assert await bench.login.finish({"SAMLResponse": field}, request_id="x") == Denied()
    assert await bench.login.finish({}, request_id="x") == Denied()


async def test_base64_may_come_in_lines(bench: Bench) -> None:
    begun = await bench.login.begin()
    document = bench.providers.good.answer(bench.providers.good.read(begun.url))
    lines = re.sub("(.{76})", r"\1\r\n", form(document)["SAMLResponse"])
    outcome = await bench.login.finish({"SAMLResponse": lines}, request_id=begun.request_id)
    assert isinstance(outcome, LoggedIn)


async def test_what_the_browser_brings_leads_nowhere_else(bench: Bench) -> None:
    begun = await bench.login.begin("https://evil.example/")
    document = bench.providers.good.answer(bench.providers.good.read(begun.url))
    fields = form(document) | {"RelayState": "https://evil.example/"}
    outcome = await bench.login.finish(fields, request_id=begun.request_id)
    assert isinstance(outcome, LoggedIn)
    assert outcome.return_to == "/"


async def test_a_store_without_an_answer_is_an_outage(bench: Bench) -> None:
    begun = await bench.login.begin()
    document = bench.providers.good.answer(bench.providers.good.read(begun.url))

    async def broken(*_: object) -> None:
        raise StoreUnavailable("no answer")

    bench.store.note = broken  # type: ignore[assignment, method-assign]
    with pytest.raises(StoreUnavailable):
        await bench.finish(document, begun)
    assert bench.told.events == []


async def test_the_event_loop_is_not_held_by_signatures(bench: Bench) -> None:
    begun = [await bench.login.begin() for _ in range(8)]
    documents = [bench.providers.good.answer(bench.providers.good.read(one.url)) for one in begun]
    tries = [bench.finish(*pair) for pair in zip(documents, begun, strict=True)]
    async with longest_gap() as gap:
        outcomes = await asyncio.gather(*tries)
    assert all(isinstance(outcome, LoggedIn) for outcome in outcomes)
    assert gap.cpu < 0.025


async def test_what_is_logged_has_no_document_in_it(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    begun = await bench.login.begin()
    document = bench.providers.forger.answer(bench.providers.good.read(begun.url))
    await bench.finish(document, begun)
    ours = [record.getMessage() for record in caplog.records if record.name == "bearer_guard"]
    assert ours
    assert not [line for line in ours if "Assertion" in line or "alice" in line]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"acs_url": "http://app.example.com/acs"}, "https://"),
        ({"acs_url": "/acs"}, "https://"),
        ({"entity_id": ""}, "entity_id"),
        ({"key_file": "x"}, "go together"),
        ({"admin_group": "admins"}, "groups_attribute"),
        ({"idp": "x"}, "no idp"),
    ],
)
def test_settings_that_can_not_work_are_told(change: dict[str, Any], message: str) -> None:
    table = {"entity_id": ENTITY_ID, "acs_url": ACS, "idp_metadata": "idp.xml"}
    with pytest.raises(ConfigurationError, match=message):
        SamlConfig.from_table(table | change)


def test_loopback_needs_no_tls() -> None:
    url = "http://localhost:8000/saml/acs"
    assert SamlConfig(entity_id="x", acs_url=url, idp_metadata="x").acs_url == url
