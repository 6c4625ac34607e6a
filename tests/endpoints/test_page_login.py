"""Logging in and out."""

from __future__ import annotations

import statistics
import time
from random import SystemRandom
from typing import TYPE_CHECKING

import pytest

from bearer_guard.endpoints._page_forms import Forms
from bearer_guard.issuing.passwords import Passwords
from bearer_guard.issuing.rate import FailureLimits
from tests.endpoints.support_page import PASSWORD, Browser, Pages, csrf_of, unanswered

if TYPE_CHECKING:
    import httpx2

WRONG = "The username or the password is not right."


@pytest.fixture
async def pages() -> Pages:
    return await Pages().people()


async def test_a_password_opens_the_page(pages: Pages) -> None:
    browser = pages.browser()
    answer = await browser.log_in("alice")
    assert (answer.status_code, answer.headers["location"]) == (303, "/access-tokens")
    assert (await browser.get("/access-tokens")).status_code == 200
    assert pages.told.names()[-1] == "login.succeeded"


@pytest.mark.parametrize(("scheme", "name"), [("http", ""), ("https", "__Host-")])
async def test_the_cookie_is_for_this_host_alone(scheme: str, name: str) -> None:
    pages = await Pages(base=f"{scheme}://testserver").people()
    answer = await pages.browser().log_in("alice")
    cookie = next(c for c in answer.headers.get_list("set-cookie") if "guard-session=" in c)
    assert cookie.startswith(f"{name}bearer-guard-session=")
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    secure = {"secure"} if name else set()
    assert parts == {"httponly", "samesite=lax", "path=/"} | secure  # and no domain, no age


async def refusals(pages: Pages) -> dict[str, httpx2.Response]:
    return {
        "wrong": await pages.browser().log_in("alice", "another password"),
        "unknown": await pages.browser().log_in("nobody", PASSWORD),
        "disabled": await pages.browser().log_in("dave", PASSWORD),
        "empty": await pages.browser().log_in("alice", ""),
        "nameless": await pages.browser().log_in("", ""),
    }


async def test_whatever_is_wrong_it_is_said_alike(pages: Pages) -> None:
    answers = await refusals(pages)
    names = {"wrong": "alice", "unknown": "nobody", "disabled": "dave", "empty": "alice"}
    bodies = set()
    for what, answer in answers.items():
        assert answer.status_code == 403
        assert WRONG in answer.text
        text = answer.text.replace(csrf_of(answer), "")
        if name := names.get(what):
            text = text.replace(f'value="{name}"', 'value=""')
        bodies.add(text.replace(" autofocus", ""))
    assert len(bodies) == 1


async def test_a_wrong_password_begins_no_session(pages: Pages) -> None:
    for answer in (await refusals(pages)).values():
        assert "guard-session" not in str(answer.headers)
    assert pages.store._notes == {}


async def test_the_name_stays_and_the_password_goes(pages: Pages) -> None:
    answer = await pages.browser().log_in('<b>"alice"', "secret password")
    assert 'value="&lt;b&gt;&#34;alice&#34;"' in answer.text
    assert "secret password" not in answer.text


@pytest.mark.parametrize("csrf", ["", "made-up", "another visit's", "a session's"])
async def test_a_form_that_is_not_ours_logs_nobody_in(pages: Pages, csrf: str) -> None:
    if csrf == "another visit's":
        csrf = csrf_of(await pages.browser().get("/login"))
    elif csrf == "a session's":
        csrf = csrf_of(await (await pages.logged_in("bob")).get("/access-tokens"))
    browser = pages.browser()
    await browser.get("/login")
    fields = {"username": "alice", "password": PASSWORD}
    answer = await browser.post("/login", csrf=csrf, **fields)
    assert answer.status_code == 403
    assert browser.session == ""


async def test_another_sites_page_logs_nobody_in(pages: Pages) -> None:
    browser = pages.browser()
    csrf = csrf_of(await browser.get("/login"))
    browser.headers = {"sec-fetch-site": "cross-site"}
    answer = await browser.post("/login", csrf=csrf, username="alice", password=PASSWORD)
    assert (answer.status_code, browser.session) == (403, "")


async def test_a_session_that_was_planted_is_not_taken_over(pages: Pages) -> None:
    attacker = await pages.logged_in("bob")
    victim = pages.browser()
    victim.client.cookies.set("bearer-guard-session", attacker.session, domain="testserver.local")
    csrf = csrf_of(await victim.get("/logout"))
    answer = await victim.post("/login", csrf=csrf, username="alice", password=PASSWORD)
    assert answer.status_code == 303
    cookie = next(c for c in answer.headers.get_list("set-cookie") if "guard-session=" in c)
    assert attacker.session not in cookie
    assert (await attacker.get("/access-tokens")).status_code == 303  # the old one is over


async def test_who_is_logged_in_needs_no_form(pages: Pages) -> None:
    alice = await pages.logged_in()
    answer = await alice.get("/login?next=/access-tokens/new")
    assert (answer.status_code, answer.headers["location"]) == (303, "/access-tokens/new")


@pytest.mark.parametrize(
    "path", ["/access-tokens/new", "/access-tokens/all", "/access-tokens/users"]
)
async def test_the_page_that_was_wanted_comes_after_the_log_in(pages: Pages, path: str) -> None:
    browser = pages.browser()
    form = await browser.get((await browser.get(path)).headers["location"])
    assert f'name="next" value="{path}"' in form.text
    answer = await browser.log_in("root", next=path)
    assert answer.headers["location"] == path


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "/%2fevil.example",
        "/access-tokens@evil.example",
        "/access-tokens/../..//evil.example",
        "/access-tokens\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        "/v4/apiAccessTokens",
        " /access-tokens",
        "",
    ],
)
async def test_no_log_in_leads_elsewhere(pages: Pages, path: str) -> None:
    answer = await pages.browser().log_in("alice", next=path)
    assert answer.headers["location"] == "/access-tokens"
    form = await pages.browser().get("/login", params={"next": path})
    assert 'name="next" value="/access-tokens"' in form.text
    alice = await pages.logged_in()
    answer = await alice.get("/login", params={"next": path})
    assert answer.headers["location"] == "/access-tokens"


async def test_too_many_failures_make_everybody_wait() -> None:
    pages = await Pages(limits=FailureLimits(per_account=3)).people()
    for _ in range(3):
        assert (await pages.browser().log_in("alice", "wrong password")).status_code == 403
    answer = await pages.browser().log_in("alice")
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert "Too many log-ins have failed" in answer.text


async def test_a_directory_without_an_answer_is_not_a_wrong_password(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages.store, "account", unanswered)
    answer = await pages.browser().log_in("alice")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert WRONG not in answer.text


@pytest.mark.parametrize("who", ["alice", "nobody"])
async def test_a_proxy_identity_beside_a_password_is_refused(pages: Pages, who: str) -> None:
    browser = pages.browser()
    csrf = csrf_of(await browser.get("/login"))
    browser.headers = {"x-remote-user": who}
    answer = await browser.post("/login", csrf=csrf, username=who, password=PASSWORD)
    assert (answer.status_code, browser.session) == (403, "")
    assert pages.told.names() == ["request.refused"]


async def test_logging_out_ends_the_session_for_whoever_has_the_cookie(pages: Pages) -> None:
    alice = await pages.logged_in()
    stolen = alice.session
    answer = await alice.post("/logout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?done=out")
    assert alice.session == ""
    thief = pages.browser()
    headers = {"cookie": f"bearer-guard-session={stolen}"}
    assert (await thief.get("/access-tokens", headers=headers)).status_code == 303


async def test_an_old_session_that_logs_out_is_not_dated_anew(pages: Pages) -> None:
    alice = await pages.logged_in()
    pages.clock.advance(600)
    csrf = csrf_of(await alice.get("/logout"))
    pages.clock.advance(600)
    await alice.post("/logout", csrf=csrf)
    assert alice.session == ""


async def test_a_link_logs_nobody_out(pages: Pages) -> None:
    alice = await pages.logged_in()
    assert (await alice.get("/logout")).status_code == 200
    assert (await alice.get("/access-tokens")).status_code == 200


async def test_without_passwords_there_is_no_form_for_them() -> None:
    pages = await Pages(by_password=False).people()
    browser = pages.browser()
    form = await browser.get("/login")
    assert "password" not in form.text.lower()
    csrf = Forms(pages.keyring, pages.clock).token(browser.cookies["bearer-guard-visit"])
    answer = await browser.post("/login", csrf=csrf, username="alice", password=PASSWORD)
    assert answer.status_code == 403
    assert WRONG in answer.text


async def test_no_secret_is_in_the_audit(pages: Pages) -> None:
    await pages.browser().log_in("alice", "a wrong password")
    await pages.logged_in()
    assert "password" not in {field for event in pages.told.events for field in event.fields()}
    assert "a wrong password" not in str([event.fields() for event in pages.told.events])


async def test_wrong_unknown_and_disabled_take_the_same_time() -> None:
    """Of 200 tries each, the medians differ by less than 5 per cent.

    Of processor time, all threads together, and each try beside the others of its turn: whatever
    else the machine does slows all of them.
    """
    pages = await Pages(passwords=Passwords(passes=1, memory_kib=4096)).people()
    tries = [("alice", "a wrong password here"), ("zelda", PASSWORD), ("dave", PASSWORD)]
    medians = await medians_of(pages.browser(), tries)
    assert max(medians.values()) / min(medians.values()) < 1.05, medians


async def medians_of(browser: Browser, tries: list[tuple[str, str]]) -> dict[str, float]:
    """How long each takes: 1 is as long as all of them on average."""
    csrf = csrf_of(await browser.get("/login"))
    shares: dict[str, list[float]] = {name: [] for name, _ in tries}
    for _ in range(200):
        taken: dict[str, float] = {}
        for name, password in SystemRandom().sample(tries, len(tries)):
            began = time.process_time()
            answer = await browser.post("/login", csrf=csrf, username=name, password=password)
            taken[name] = time.process_time() - began
            assert answer.status_code == 403
        for name, seconds in taken.items():
            shares[name].append(seconds / statistics.mean(taken.values()))
    return {name: statistics.median(some) for name, some in shares.items()}
