"""Logging in at an identity provider, by the page: real ones, on loopback or in this process."""

from __future__ import annotations

import html
import re
import time
from typing import TYPE_CHECKING, Final

import pytest
from starlette.responses import Response

from bearer_guard.issuing.logins.oidc import OidcConfig, OidcLogin
from bearer_guard.issuing.logins.saml import SamlConfig, SamlLogin
from bearer_guard.testing import ManualClock
from tests.endpoints.support_page import ROOT, Browser, NotedStore, Pages
from tests.issuing.logins.certificates import Authority
from tests.issuing.logins.idp import IdentityProvider, form
from tests.issuing.logins.provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    REDIRECT_URI,
    OpenIdProvider,
    openid_provider,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx2

BASE: Final = "https://app.example.com"


@pytest.fixture(scope="module")
def running_provider() -> Iterator[OpenIdProvider]:
    with openid_provider() as provider:
        yield provider


@pytest.fixture
def provider(running_provider: OpenIdProvider) -> OpenIdProvider:
    running_provider.reset()
    return running_provider


def now() -> ManualClock:
    """Stands still at the machine's time, which the providers sign."""
    return ManualClock(int(time.time() * 1000))


@pytest.fixture
async def pages(provider: OpenIdProvider, tmp_path: Path) -> Pages:
    secret = tmp_path / "secret"
    secret.write_text(CLIENT_SECRET)
    config = OidcConfig(
        issuer=provider.url,
        client_id=CLIENT_ID,
        client_secret_file=str(secret),
        redirect_uri=REDIRECT_URI,
        groups_claim="groups",
        admin_group="admins",
        generate_group="makers",
    )
    store, clock = NotedStore(), now()
    login = OidcLogin(config, store, accounts=store, clock=clock, listeners=())
    return await Pages(base=BASE, store=store, clock=clock, oidc=login).people()


async def go(browser: Browser, provider: OpenIdProvider, wanted: str = "") -> httpx2.Response:
    """Go to the provider, log in, and come back; what the page then answers."""
    begun = await browser.get("/login/oidc", params={"next": wanted} if wanted else {})
    assert begun.status_code == 303
    return await browser.get("/oidc/callback", params=provider.log_in(begun.headers["location"]))


async def test_the_log_in_offers_what_there_is(pages: Pages) -> None:
    text = (await pages.browser().get("/login?next=/access-tokens/new")).text
    assert 'href="/login/oidc?next=/access-tokens/new"' in text
    assert "Continue with OpenID Connect" in text
    assert "SAML" not in text
    assert "Continue" not in (await (await Pages().people()).browser().get("/login")).text


async def test_who_logged_in_there_is_logged_in_here(
    pages: Pages, provider: OpenIdProvider
) -> None:
    provider.person = {"sub": "zoe", "groups": ["makers"]}
    browser = pages.browser()
    answer = await go(browser, provider, "/access-tokens/new")
    assert (answer.status_code, answer.headers["location"]) == (303, "/access-tokens/new")
    assert "<bdi>zoe</bdi>" in (await browser.get("/access-tokens")).text
    assert (await browser.generate()).startswith("bg_")
    assert len(await pages.tokens_of("zoe")) == 1
    assert "__Host-bearer-guard-journey" not in browser.cookies


async def test_what_groups_grant_lasts_as_long_as_the_session(
    pages: Pages, provider: OpenIdProvider
) -> None:
    provider.person = {"sub": "zoe", "groups": ["admins"]}
    browser = pages.browser()
    await go(browser, provider)
    for _ in range(3):
        pages.clock.advance(1200)
        assert (await browser.get("/access-tokens/all")).status_code == 200


async def test_an_administrator_enables_and_disables_such_people(
    pages: Pages, provider: OpenIdProvider
) -> None:
    provider.person = {"sub": "zoe"}
    browser = pages.browser()
    await go(browser, provider)
    assert "You may not generate" in (await browser.get("/access-tokens/new")).text
    await pages.accounts.add(ROOT, "zoe", may_generate=True)
    assert "You may not generate" not in (await browser.get("/access-tokens/new")).text
    await pages.accounts.change(ROOT, "zoe", disabled=True)
    assert (await browser.get("/access-tokens")).status_code == 303


async def test_such_people_have_no_password_to_change(
    pages: Pages, provider: OpenIdProvider
) -> None:
    provider.person = {"sub": "zoe"}
    browser = pages.browser()
    await go(browser, provider)
    assert "/access-tokens/password" not in (await browser.get("/access-tokens")).text
    answer = await browser.post("/access-tokens/password", current="x", new="a long password")
    assert answer.status_code == 403


@pytest.mark.parametrize("wanted", ["https://evil.example", "//evil.example", "/v4/users"])
async def test_no_log_in_there_leads_elsewhere(
    pages: Pages, provider: OpenIdProvider, wanted: str
) -> None:
    provider.person = {"sub": "zoe"}
    answer = await go(pages.browser(), provider, wanted)
    assert answer.headers["location"] == "/access-tokens"


async def test_an_answer_counts_in_the_browser_that_asked_for_it(
    pages: Pages, provider: OpenIdProvider
) -> None:
    begun = await pages.browser().get("/login/oidc")
    brought = provider.log_in(begun.headers["location"])
    other = pages.browser()
    await other.get("/login/oidc")
    for browser in (pages.browser(), other):
        answer = await browser.get("/oidc/callback", params=brought)
        assert answer.status_code == 403
        assert browser.session == ""


async def test_a_provider_without_an_answer_is_said_so(
    pages: Pages, provider: OpenIdProvider
) -> None:
    provider.answers["/.well-known/openid-configuration"] = lambda: Response(status_code=500)
    answer = await pages.browser().get("/login/oidc")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "Logging in is not possible now" in answer.text


async def test_an_address_can_begin_a_hundred_log_ins_a_minute(pages: Pages) -> None:
    browser = pages.browser()
    for _ in range(100):
        assert (await browser.get("/login/oidc")).status_code == 303
    before = len(pages.store._notes)
    answer = await browser.get("/login/oidc")
    assert (answer.status_code, answer.headers.get("location")) == (429, None)
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert "Too many log-ins" in answer.text
    assert len(pages.store._notes) == before
    assert (await browser.log_in("alice")).status_code == 303  # it is a limit of its own


async def test_a_proxy_identity_beside_an_answer_is_refused(
    pages: Pages, provider: OpenIdProvider
) -> None:
    browser = pages.browser()
    begun = await browser.get("/login/oidc")
    browser.headers = {"x-remote-user": "zoe"}
    answer = await browser.get("/oidc/callback", params=provider.log_in(begun.headers["location"]))
    assert (answer.status_code, browser.session) == (403, "")


class Saml:
    """The page with a SAML provider."""

    def __init__(self, folder: Path) -> None:
        self.idp = IdentityProvider(folder, Authority(folder))
        config = SamlConfig(
            entity_id=f"{BASE}/saml/metadata",
            acs_url=f"{BASE}/saml/acs",
            idp_metadata=str(self.idp.metadata_file),
        )
        store, clock = NotedStore(), now()
        login = SamlLogin(config, store, accounts=store, clock=clock, listeners=())
        self.pages = Pages(base=BASE, store=store, clock=clock, saml=login)

    async def answer(self, browser: Browser) -> dict[str, str]:
        begun = await browser.get("/login/saml")
        return form(self.idp.answer(self.idp.read(begun.headers["location"]), "zoe"))


@pytest.fixture
async def saml(tmp_path: Path) -> Saml:
    saml = Saml(tmp_path)
    metadata = await saml.pages.browser().get("/saml/metadata")
    assert metadata.headers["content-type"].startswith("application/samlmetadata+xml")
    saml.idp.learn(metadata.content)
    return saml


async def test_a_saml_answer_is_posted_from_the_providers_site(saml: Saml) -> None:
    browser = saml.pages.browser()
    fields = await saml.answer(browser)
    browser.headers = {"sec-fetch-site": "cross-site", "origin": "https://idp.example.com"}
    answer = await browser.ask("POST", "/saml/acs", data=fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/access-tokens")
    browser.headers = {}
    assert "<bdi>zoe</bdi>" in (await browser.get("/access-tokens")).text


async def test_the_cookie_that_a_saml_answer_needs_comes_along(saml: Saml) -> None:
    begun = await saml.pages.browser().get("/login/saml")
    (cookie,) = begun.headers.get_list("set-cookie")
    assert "samesite=none" in cookie.lower()


async def test_a_saml_answer_counts_once(saml: Saml) -> None:
    browser = saml.pages.browser()
    fields = await saml.answer(browser)
    assert (await browser.ask("POST", "/saml/acs", data=fields)).status_code == 303
    assert (await browser.ask("POST", "/saml/acs", data=fields)).status_code == 403


async def test_a_refused_answer_says_nothing_of_why(saml: Saml) -> None:
    browser = saml.pages.browser()
    fields = await saml.answer(browser) | {"SAMLResponse": "bm8gWE1M"}
    answer = await browser.ask("POST", "/saml/acs", data=fields)
    text = re.sub(r"\s+", " ", html.unescape(answer.text))
    assert "The log-in proved nothing: begin again." in text
