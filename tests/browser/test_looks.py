"""What the page looks like to people, and to those who do not look: axe, times, odd texts."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from bearer_guard.endpoints._page_render import Renderer
from tests.browser.support import ALICE, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.support import Visitor

    Visit: TypeAlias = Callable[..., Visitor]

PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}}
# Every page that an address leads to; TOKEN is one of theirs.
PERSONS = [
    "",
    "?q=nothing+like+that",
    "/new",
    "/password",
    "/TOKEN/delete",
    "/TOKEN/renew",
    "/all",  # not theirs to see
]
ADMINS = ["/all", "/all?owner=alice", "/users", "/settings"]
TABLES = {"", "/all", "/users"}  # they look another way on a phone
# What depends on the colours; the rest is the same in light and dark.
COLOURS = """axe.run({runOnly: ["color-contrast", "link-in-text-block"]})"""


def complaints(who: Visitor) -> list[str]:
    """What axe finds wrong, and where: in light and in dark."""
    page = who.page
    options = {"resultTypes": ["violations"]}  # what is well needs no list
    found = Axe().run(page, options=options).response["violations"]
    page.emulate_media(color_scheme="dark")
    found += page.evaluate(COLOURS)["violations"]
    page.emulate_media(color_scheme="light")
    return [
        f"{page.url} {item['id']}: {node['html'][:200]}" for item in found for node in item["nodes"]
    ]


async def a_token(who: Visitor) -> str:
    """The id of one of alice's."""
    return str(next(iter(await who.site.issuer.list(ALICE))).id)


def test_axe_has_nothing_to_complain_of_before_the_log_in(visit: Visit) -> None:
    who = visit()
    page = who.page
    page.goto("/login?done=out")
    found = complaints(who)
    page.get_by_label("Username").fill("alice")
    page.get_by_label("Password").fill("wrong password")
    who.button("Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    found += complaints(who)
    page.context.clear_cookies()
    page.get_by_label("Password").fill("wrong password")
    who.button("Log in").click()
    expect(page.get_by_role("heading", name="Not allowed")).to_be_visible()
    found += complaints(who)
    assert found == []


def test_axe_has_nothing_to_complain_of_in_what_opens_on_the_table(visit: Visit) -> None:
    who = visit()
    who.site.run(who.site.some_tokens())
    who.enter()
    page = who.page
    row = who.row("Nightly sync")
    row.get_by_role("button", name="Actions").click()
    found = complaints(who)
    row.get_by_role("link", name="Delete Token…").click()
    found += complaints(who)
    page.keyboard.press("Escape")
    row.get_by_role("link", name="Renew", exact=True).click()
    found += complaints(who)
    page.keyboard.press("Escape")
    who.link("Generate New Token").click()
    found += complaints(who)
    who.button("Generate").click()
    expect(page.get_by_label("Token value")).to_be_visible()
    found += complaints(who)
    assert found == []


@pytest.mark.parametrize(("name", "paths"), [("alice", PERSONS), ("root", ADMINS)])
def test_axe_has_nothing_to_complain_of_on_any_page(
    visit: Visit, name: str, paths: list[str]
) -> None:
    who = visit()
    who.site.run(who.site.some_tokens())
    who.enter(name)
    token = who.site.run(a_token(who))
    found = []
    for path in paths:
        who.page.goto(f"/access-tokens{path.replace('TOKEN', token)}")
        if path == "/users":
            who.page.get_by_text("Add a user").click()
        found += complaints(who)
    who.page.goto("/logout")
    found += complaints(who)
    assert found == []


RARE: dict[str, dict[str, Any]] = {
    "wait.html": {},
    "message.html": {
        "heading": "Log-in is not possible now",
        "text": "the directory does not answer; try again in a minute",
    },
    "login.html": {
        "error": "Too many failed log-ins. Try again in 42 seconds.",
        "name": "alice",
        "next": "/access-tokens",
        "by_password": True,
        "providers": [("/login/oidc", "Example ID"), ("/login/saml", "Example SSO")],
    },
}


@pytest.mark.parametrize("template", RARE)
def test_axe_has_nothing_to_complain_of_on_pages_of_rare_moments(
    visit: Visit, template: str
) -> None:
    things = {"base": "", "here": "/login", "who": None, "csrf": str, "done": None}
    body = bytes(Renderer().page(template, 200, things | RARE[template]).body).decode()
    who = visit()
    who.page.route("**/seen", lambda route: route.fulfill(body=body, content_type="text/html"))
    who.page.goto("/seen")
    assert who.page.get_by_role("heading").count() == 1
    assert complaints(who) == []


def test_axe_has_nothing_to_complain_of_in_what_is_refused(visit: Visit) -> None:
    """Errors in forms, a page that waits, and what is left while tokens are switched off."""
    who = visit()
    who.enter("root", at="/access-tokens/settings")
    page = who.page
    page.get_by_label("Longest lifetime (days)").fill("x")
    who.button("Save").click()
    found = complaints(who)
    page.goto("/access-tokens/password")
    for label in ("Current password", "New password"):
        page.get_by_label(label).fill("a wrong password")
    who.button("Change").click()
    found += complaints(who)
    page.goto("/access-tokens/users")
    page.get_by_text("Add a user").click()
    page.get_by_label("Username").fill("alice")
    who.button("Add").click()
    found += complaints(who)
    who.site.run(who.site.issuer.change_settings(ROOT, enabled=False))
    page.goto("/access-tokens")
    expect(page.get_by_role("heading", name="Access tokens are switched off")).to_be_visible()
    found += complaints(who)
    assert found == []


def test_axe_has_nothing_to_complain_of_on_a_phone(visit: Visit) -> None:
    who = visit(**PHONE)
    who.site.run(who.site.some_tokens())
    token = who.site.run(a_token(who))
    found = []
    for name, paths in (("alice", PERSONS[:-1]), ("root", ADMINS)):
        who.enter(name)
        for path in paths:
            who.page.goto(f"/access-tokens{path.replace('TOKEN', token)}")
            assert who.fits(), path
            if path in TABLES:
                found += complaints(who)
    assert found == []


@pytest.mark.parametrize(
    ("zone", "locale", "exact"),
    [
        ("Asia/Tokyo", "en-GB", "24 Nov 2026, 23:00"),
        ("America/New_York", "en-US", "Nov 24, 2026, 9:00 AM"),
    ],
)
def test_times_are_the_readers_own(visit: Visit, zone: str, locale: str, exact: str) -> None:
    who = visit(timezone_id=zone, locale=locale)
    who.site.run(who.site.issuer.create(ALICE, lifetime=timedelta(days=1), description="x"))
    who.enter()
    # Some versions of the data have a narrow space before AM.
    text = re.sub(r"\s", " ", who.row("x").locator("time").first.inner_text())
    assert text == exact


NASTY = {
    "markup": '<img src=x onerror="alert(1)"><script>alert(2)</script>',
    "bidi": "\u202etxt.exe \u2066\u2067\u202d never closed",
    "one long word": "x" * 256,
    "emoji": "🔑👩‍👩‍👧‍👦🏴‍☠️" * 8,
    "marks": "Z\u0351\u036b\u0343" * 60,
    "blank": "\u2800 \u200b\u00a0",
}


@pytest.mark.parametrize("width", [1280, 360])
def test_odd_descriptions_leave_the_layout_alone(visit: Visit, width: int) -> None:
    who = visit(viewport={"width": width, "height": 800})
    alerts: list[str] = []
    who.page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    for text in NASTY.values():
        made = who.site.issuer.create(ALICE, lifetime=timedelta(days=30), description=text)
        who.site.run(made)
        who.site.clock.advance(1)
    who.enter()
    assert alerts == []
    assert who.fits()
    shown = who.page.locator("tbody [data-l=Description] bdi").all_inner_texts()
    assert sorted(map(str.strip, shown)) == sorted(map(str.strip, NASTY.values()))
    for cell in who.page.locator("tbody [data-l=Status]").all():
        assert cell.inner_text().strip() == "Active"
    tops = [box["y"] for box in boxes(who, "tbody tr")]
    assert tops == sorted(tops)
    for row, actions in zip(boxes(who, "tbody tr"), boxes(who, ".dots"), strict=True):
        assert row["y"] <= actions["y"]
        assert actions["y"] + actions["height"] <= row["y"] + row["height"] + 1
        assert actions["x"] + actions["width"] <= row["x"] + row["width"]


def boxes(who: Visitor, selector: str) -> list[Any]:
    return [element.bounding_box() for element in who.page.locator(selector).all()]


def test_a_right_to_left_override_turns_nothing_else_around(visit: Visit) -> None:
    """The letters of what follows stand where they would without it."""
    who = visit(java_script_enabled=True)
    make = who.site.issuer.create
    scopes = ["reports:read"]
    for text in ("\u202eabc", "abc"):
        who.site.run(make(ALICE, lifetime=timedelta(days=30), description=text, scopes=scopes))
        who.site.clock.advance(1)
    who.enter()
    lefts = who.page.evaluate(
        """() => [...document.querySelectorAll("tbody .tag")].map((tag) => {
            const range = document.createRange();
            range.setStart(tag.firstChild, 0);
            range.setEnd(tag.firstChild, 1);
            return range.getBoundingClientRect().left - tag.getBoundingClientRect().left;
        })"""
    )
    assert lefts[0] == lefts[1]


def test_typing_into_the_search_narrows_the_page_and_enter_searches_all(visit: Visit) -> None:
    who = visit()
    who.site.run(who.site.some_tokens())
    who.enter()
    search = who.page.get_by_role("searchbox", name="Search")
    search.press_sequentially("REPORTS")
    expect(who.page.locator("tbody tr:visible")).to_have_count(1)
    search.press("Enter")
    expect(who.page).to_have_url(re.compile(r"q=REPORTS"))
    expect(who.row("Reports dashboard")).to_be_visible()
    who.link("Expiring").click()
    expect(who.page.get_by_text("Nothing found")).to_be_visible()
    who.link("Show all of them").click()
    expect(who.page.locator("tbody tr")).to_have_count(5)


def test_what_was_done_is_not_said_again_when_the_page_is_loaded_anew(visit: Visit) -> None:
    who = visit()
    who.enter("root", at="/access-tokens/settings")
    who.button("Save").click()
    expect(who.page.get_by_role("status")).to_have_text("The settings are saved.")
    who.page.reload()
    expect(who.page.get_by_role("status")).to_have_count(0)
