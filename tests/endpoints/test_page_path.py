"""Who may ask for a page, and that a form is one of ours."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from bearer_guard.events import RequestRefused
from tests.endpoints.support_page import ROOT, Browser, Pages, csrf_of

TOKEN = "0bc1d49f-5475-4c62-a0ba-6ad269389ada"
PERSONS = [
    "/access-tokens",
    "/access-tokens/new",
    "/access-tokens/created",
    "/access-tokens/password",
    f"/access-tokens/{TOKEN}/delete",
    f"/access-tokens/{TOKEN}/renew",
    "/logout",
]
ADMINS = ["/access-tokens/all", "/access-tokens/users", "/access-tokens/settings"]
FORMS = [
    ("/access-tokens/new", {"days": "30"}),
    (f"/access-tokens/{TOKEN}/delete", {}),
    (f"/access-tokens/{TOKEN}/renew", {}),
    ("/access-tokens/password", {"current": "x", "new": "another long password"}),
    ("/access-tokens/settings", {"days": "1"}),
    ("/access-tokens/users", {"do": "disable", "name": "alice"}),
    ("/logout", {}),
]


@pytest.fixture
async def pages() -> Pages:
    return await Pages().people()


@pytest.fixture
async def root(pages: Pages) -> Browser:
    return await pages.logged_in("root")


@pytest.mark.parametrize("path", PERSONS + ADMINS)
async def test_nobody_sees_a_page_without_a_log_in(pages: Pages, path: str) -> None:
    answer = await pages.browser().get(path)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/login?next={path.replace('/', '%2F')}"


@pytest.mark.parametrize("path", PERSONS + ADMINS)
async def test_a_token_opens_no_page(pages: Pages, root: Browser, path: str) -> None:
    value = await root.generate()
    for headers in (
        {"authorization": f"Bearer {value}"},
        {"authorization": f"Bearer {value}", "cookie": f"bearer-guard-session={value}"},
        {"cookie": f"bearer-guard-session={value}"},
    ):
        answer = await pages.browser().get(path, headers=headers)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/login")


@pytest.mark.parametrize("what", ["altered", "of another key", "fixed beforehand", "logged out"])
async def test_a_session_cookie_that_is_none_leads_to_the_log_in(pages: Pages, what: str) -> None:
    """And is forgotten there."""
    root = await pages.logged_in("root")
    others = await (await Pages().people()).logged_in("root")
    cookie = {
        "altered": root.session[:-1] + ("A" if root.session[-1] != "A" else "B"),
        "of another key": others.session,
        "fixed beforehand": "chosen-by-somebody-else",
        "logged out": root.session,
    }[what]
    if what == "logged out":
        await root.post("/logout")
    headers = {"cookie": f"bearer-guard-session={cookie}"}
    answer = await pages.browser().get("/access-tokens/all", headers=headers)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Faccess-tokens%2Fall"
    assert answer.headers["set-cookie"].startswith('bearer-guard-session="";')
    assert "Max-Age=0" in answer.headers["set-cookie"]


async def test_a_name_and_a_password_in_a_header_open_no_page(pages: Pages) -> None:
    auth = ("root", "correct horse battery")
    answer = await pages.browser().get("/access-tokens", auth=auth)
    assert answer.status_code == 303


@pytest.mark.parametrize("path", ADMINS)
async def test_administrators_pages_are_not_for_others(pages: Pages, path: str) -> None:
    alice = await pages.logged_in("alice")
    assert (await alice.get(path)).status_code == 403
    answer = await alice.post(path, form="/access-tokens/new", do="disable", name="root", days="1")
    assert answer.status_code in {403, 405}
    assert (await pages.store.policy()).max_lifetime is None


@pytest.mark.parametrize(("path", "fields"), FORMS)
@pytest.mark.parametrize("csrf", ["", "made-up", "another session's", "a visitor's"])
async def test_a_form_that_is_not_ours_does_nothing(
    pages: Pages, root: Browser, path: str, fields: dict[str, str], csrf: str
) -> None:
    if csrf == "another session's":
        csrf = csrf_of(await (await pages.logged_in("alice")).get("/access-tokens/new"))
    elif csrf == "a visitor's":
        csrf = csrf_of(await pages.browser().get("/login"))
    before = await state_of(pages)
    answer = await root.post(path, csrf=csrf, **fields)
    assert answer.status_code == 403
    assert await state_of(pages) == before
    assert (await root.get("/access-tokens")).status_code == 200


@pytest.mark.parametrize(("path", "fields"), FORMS)
@pytest.mark.parametrize(
    "headers",
    [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "null"}],
    ids=str,
)
async def test_a_form_of_ours_on_another_sites_page_does_nothing(
    pages: Pages, root: Browser, path: str, fields: dict[str, str], headers: dict[str, str]
) -> None:
    csrf = csrf_of(await root.get("/access-tokens/settings"))
    before = await state_of(pages)
    root.headers = headers
    assert (await root.post(path, csrf=csrf, **fields)).status_code == 403
    root.headers = {}
    assert await state_of(pages) == before
    assert (await root.get("/access-tokens")).status_code == 200


async def state_of(pages: Pages) -> tuple[object, ...]:
    store = pages.store
    return (dict(store._records), await store.policy(), dict(store._accounts), dict(store._notes))


async def test_a_form_of_a_session_that_is_over_leads_to_the_log_in(
    pages: Pages, root: Browser
) -> None:
    csrf = csrf_of(await root.get("/access-tokens/new"))
    pages.clock.advance(1800)
    answer = await root.post("/access-tokens/new", csrf=csrf, days="30")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")
    assert root.session == ""
    assert await pages.tokens_of("root") == []


@pytest.mark.parametrize("header", ["X-Remote-User", "x_remote_user", "X-MS-CLIENT-PRINCIPAL"])
async def test_a_proxy_identity_beside_a_session_is_refused(
    pages: Pages, root: Browser, header: str
) -> None:
    csrf = csrf_of(await root.get("/access-tokens/new"))
    root.headers = {header: "somebody"}
    for answer in (
        await root.get("/access-tokens"),
        await root.post("/access-tokens/new", csrf=csrf, days="30"),
    ):
        assert answer.status_code == 403
        assert "reverse-proxy single sign-on" in answer.text
        assert "somebody" not in answer.text
    assert await pages.tokens_of("root") == []
    told = [event for event in pages.told.events if isinstance(event, RequestRefused)]
    assert (told[0].reason, told[0].header, told[0].client) == (
        "proxy-identity",
        header.lower().replace("_", "-"),
        "192.0.2.1",
    )


async def test_a_proxy_identity_alone_is_nobody(pages: Pages) -> None:
    browser = pages.browser()
    browser.headers = {"x-remote-user": "root"}
    assert (await browser.get("/access-tokens")).status_code == 303
    assert (await browser.get("/login")).status_code == 200


async def test_switched_off_there_are_no_pages_but_the_settings(
    pages: Pages, root: Browser
) -> None:
    alice = await pages.logged_in("alice")
    await pages.settle(enabled=False)
    for path in set(PERSONS + ADMINS) - {"/access-tokens/settings", "/logout"}:
        for browser in (root, alice, pages.browser()):
            assert (await browser.get(path)).status_code == 404
            answer = await browser.ask("POST", path, data={"days": "1"})
            assert answer.status_code == 404
    assert (await root.get("/access-tokens/settings")).status_code == 200
    assert (await alice.get("/access-tokens/settings")).status_code == 403
    assert (await alice.post("/logout")).status_code == 303


async def test_an_administrator_logs_in_to_switch_them_on_again(pages: Pages) -> None:
    await pages.settle(enabled=False)
    browser = pages.browser()
    answer = await browser.log_in("root")
    assert answer.headers["location"] == "/access-tokens/settings"
    answer = await browser.post("/access-tokens/settings", enabled="on", days="-1")
    assert answer.status_code == 303
    assert (await browser.get("/access-tokens")).status_code == 200


@pytest.mark.parametrize("path", PERSONS + ADMINS + ["/login"])
async def test_another_method_is_told_which_there_are(root: Browser, path: str) -> None:
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
        answer = await root.ask(method, path)
        assert answer.status_code == 405
        assert {"GET", "HEAD"} <= set(answer.headers["allow"].split(", "))


async def test_head_is_get_without_the_body(root: Browser) -> None:
    got, head = await root.get("/access-tokens/new"), await root.ask("HEAD", "/access-tokens/new")
    assert (head.status_code, head.text) == (200, "")
    assert head.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize("call", ["policy", "add_note", "fetch"])
async def test_a_store_without_an_answer_is_said_so(
    pages: Pages, root: Browser, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    csrf = csrf_of(await root.get("/access-tokens/new"))
    pages.store.before.add(call)
    path = f"/access-tokens/{TOKEN}/delete" if call == "fetch" else "/access-tokens/new"
    answer = await root.post(path, csrf=csrf, days="30")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert "Not available now" in answer.text
    assert "503" in caplog.text
    pages.store.before.clear()
    assert await pages.tokens_of("root") == []


async def test_files_come_while_the_store_does_not_answer(pages: Pages) -> None:
    pages.store.before.add("policy")
    assert (await pages.browser().get("/access-tokens/static/page.css")).status_code == 200


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"content-type": "application/json"}, b"{}", 400),
        ({"content-type": "application/x-www-form-urlencoded"}, b"a=1&a=2", 400),
        ({"content-type": "application/x-www-form-urlencoded"}, b"a=" + b"x" * 70_000, 413),
    ],
)
async def test_a_body_that_is_no_form_is_refused(
    root: Browser, headers: dict[str, str], body: bytes, status: int
) -> None:
    answer = await root.ask("POST", "/access-tokens/new", headers=headers, content=body)
    assert answer.status_code == status


async def test_the_session_is_dated_anew_while_it_is_used(pages: Pages, root: Browser) -> None:
    first = root.session
    for _ in range(4):
        pages.clock.advance(20 * 60)
        assert (await root.get("/access-tokens")).status_code == 200
    assert root.session != first
    pages.clock.advance(30 * 60)
    assert (await root.get("/access-tokens")).status_code == 303


async def test_a_session_whose_account_is_disabled_is_over(pages: Pages) -> None:
    alice, root = await pages.logged_in("alice"), await pages.logged_in("root")
    await root.post("/access-tokens/users", do="disable", name="alice")
    assert (await alice.get("/access-tokens")).status_code == 303


async def test_who_may_do_less_now_may_do_less_now(pages: Pages, root: Browser) -> None:
    await pages.accounts.change(ROOT, "root", admin=False)
    assert (await root.get("/access-tokens/settings")).status_code == 403
    assert (await root.get("/access-tokens")).status_code == 200


async def test_it_can_be_mounted_below_a_path(pages: Pages) -> None:
    pages.app = Starlette(routes=[Mount("/tools", pages.app)])
    browser = pages.browser()
    answer = await browser.get("/tools/access-tokens/new")
    assert answer.headers["location"] == "/tools/login?next=%2Faccess-tokens%2Fnew"
    form = await browser.get(answer.headers["location"])
    assert 'action="/tools/login"' in form.text
    answer = await browser.post(
        "/tools/login",
        csrf=csrf_of(form),
        username="alice",
        password="correct horse battery",
        next="/access-tokens/new",
    )
    assert answer.headers["location"] == "/tools/access-tokens/new"
    answer = await browser.post("/tools/access-tokens/new", days="1")
    assert answer.headers["location"] == "/tools/access-tokens/created"
    assert (await browser.get("/tools/access-tokens/created")).status_code == 200
    table = (await browser.get("/tools/access-tokens")).text
    assert 'href="/access' not in table
    assert 'action="/access' not in table
