"""The whole life of a token in a real browser: by mouse, by keys, without scripts, by touch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator

    from tests.browser.support import Visitor

    Visit: TypeAlias = Callable[..., Visitor]

PHONE: dict[str, Any] = {
    "viewport": {"width": 360, "height": 740},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}


def test_by_mouse(visit: Visit) -> None:
    who = visit(permissions=["clipboard-read", "clipboard-write"])
    who.log_in()
    page = who.page
    expect(page.get_by_text("No tokens yet")).to_be_visible()

    who.link("Generate New Token").click()
    expect(page.get_by_role("dialog", name="New access token")).to_be_visible()
    who.button("7 days").click()
    expect(page.get_by_label("Lifetime (days)")).to_have_value("7")
    expect(page.get_by_text("It expires on")).to_be_visible()
    page.get_by_label("Description").fill("nightly sync")
    who.button("Generate").click()

    expect(page.get_by_text("it is shown this once")).to_be_visible()
    value = who.value()
    assert who.works(value)
    who.button("Copy").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == value
    who.link("Done").click()

    row = who.row("nightly sync")
    expect(row).to_contain_text("Active")
    expect(row).to_contain_text("in 7 days")
    assert value not in page.content()
    row.get_by_role("button", name="Actions", exact=True).click()
    row.get_by_role("link", name="Delete Token…", exact=True).click()
    warning = page.get_by_role("dialog", name="Delete this token?")
    expect(warning).to_contain_text("This can't be undone.")
    expect(warning).to_contain_text("nightly sync")
    assert who.works(value)
    who.button("Delete").click()

    expect(page.get_by_text("The token is deleted.")).to_be_visible()
    expect(page.get_by_text("No tokens yet")).to_be_visible()
    assert not who.works(value)
    who.button("Log out").click()
    expect(who.button("Log in")).to_be_visible()


def test_changing_ones_mind_does_nothing(visit: Visit) -> None:
    who = visit()
    who.site.run(who.site.some_tokens())
    who.enter()
    before = who.tokens()
    who.link("Generate New Token").click()
    who.link("Cancel").click()
    row = who.row("Laptop")
    row.get_by_role("button", name="Actions").click()
    row.get_by_role("link", name="Delete Token…").click()
    who.page.keyboard.press("Escape")
    expect(who.page.get_by_role("dialog")).to_have_count(0)
    expect(row.get_by_role("button", name="Actions")).to_be_focused()
    assert who.tokens() == before


def test_renewing_by_mouse(visit: Visit) -> None:
    who = visit()
    who.site.run(who.site.some_tokens())
    who.enter()
    who.row("Nightly sync").get_by_role("link", name="Renew", exact=True).click()
    dialog = who.page.get_by_role("dialog", name="Renew this token")
    expect(dialog).to_contain_text("Nightly sync")
    who.page.get_by_label("The old one works for").select_option("1h")
    who.button("Renew").click()
    assert who.works(who.value())
    who.link("Done").click()
    rows = who.row("Nightly sync")
    expect(rows).to_have_count(2)
    expect(rows.last).to_contain_text("in 1 hour")
    expect(rows.last).to_contain_text("Renewed")


def go_to(who: Visitor, goal: Locator) -> None:
    """Press Tab until the focus is there, as anybody without a mouse would."""
    for _ in range(60):
        if goal.count() and goal.evaluate("e => e === document.activeElement"):
            return
        who.page.keyboard.press("Tab")
    pytest.fail(f"the Tab key does not lead to {goal}")


def test_by_keyboard_alone(visit: Visit) -> None:
    who = visit()
    page, keys = who.page, who.page.keyboard
    page.goto("/access-tokens")
    expect(page.get_by_label("Username")).to_be_focused()
    keys.type("alice")
    keys.press("Tab")
    keys.type("correct horse battery")
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Access Tokens")).to_be_visible()

    go_to(who, who.link("Generate New Token"))
    keys.press("Enter")
    go_to(who, page.get_by_label("Lifetime (days)"))
    keys.press("Control+A")
    keys.type("14")
    go_to(who, page.get_by_label("Description"))
    keys.type("by keys")
    keys.press("Enter")
    expect(page.get_by_label("Token value")).to_be_visible()
    value = who.value()
    assert who.works(value)
    go_to(who, who.button("Copy"))
    keys.press("Enter")
    go_to(who, who.link("Done"))
    keys.press("Enter")

    row = who.row("by keys")
    go_to(who, row.get_by_role("button", name="Actions"))
    keys.press("Enter")
    expect(row.get_by_role("link", name="Renew…")).to_be_focused()
    keys.press("ArrowDown")
    expect(row.get_by_role("link", name="Delete Token…")).to_be_focused()
    keys.press("ArrowDown")
    keys.press("ArrowUp")
    keys.press("Enter")
    go_to(who, who.button("Delete"))
    keys.press("Enter")
    expect(page.get_by_text("The token is deleted.")).to_be_visible()
    assert not who.works(value)
    go_to(who, who.button("Log out"))
    keys.press("Enter")
    expect(who.button("Log in")).to_be_visible()


def test_without_scripts(visit: Visit) -> None:
    who = visit(java_script_enabled=False)
    who.log_in()
    page = who.page
    who.link("Generate New Token").click()
    page.get_by_label("Lifetime (days)").fill("7")
    page.get_by_label("Description").fill("nightly sync")
    who.button("Generate").click()
    value = who.value()
    assert who.works(value)
    expect(who.button("Copy")).to_have_count(0)
    expect(page.get_by_text("Select all of it, and copy it.")).to_be_visible()
    who.link("Done").click()

    row = who.row("nightly sync")
    expect(row).to_contain_text("UTC")
    row.get_by_role("button", name="Actions").click()
    row.get_by_role("link", name="Renew…").click()
    who.button("Renew").click()
    newer = who.value()
    assert who.works(newer)
    who.link("Done").click()

    for left in (1, 0):
        row = who.row("nightly sync").first
        row.get_by_role("button", name="Actions").click()
        row.get_by_role("link", name="Delete Token…").click()
        expect(page.get_by_text("This can't be undone.")).to_be_visible()
        who.button("Delete").click()
        expect(page.get_by_text("The token is deleted.")).to_be_visible()
        assert who.tokens() == left
    assert not who.works(value)
    assert not who.works(newer)
    who.button("Log out").click()
    expect(who.button("Log in")).to_be_visible()


def test_on_a_phone(visit: Visit) -> None:
    who = visit(**PHONE)
    who.log_in()
    page = who.page
    expect(who.link("Generate New Token")).to_be_visible()
    assert who.fits()
    who.link("Generate New Token").tap()
    page.get_by_label("Description").fill("a long description " * 10)
    who.button("90 days").tap()
    assert who.fits()
    who.button("Generate").tap()
    value = who.value()
    assert who.works(value)
    assert who.fits()
    box = page.get_by_label("Token value")
    assert box.evaluate("e => e.scrollHeight <= e.clientHeight + 1"), "the value is cut off"
    who.link("Done").tap()

    row = who.row("a long description")
    expect(row).to_be_visible()
    assert who.fits()
    row.get_by_role("button", name="Actions").tap()
    menu = row.get_by_role("link", name="Delete Token…")
    inside = menu.bounding_box()
    assert inside is not None
    assert inside["x"] >= 0
    assert inside["x"] + inside["width"] <= 360
    menu.tap()
    who.button("Delete").tap()
    expect(page.get_by_text("The token is deleted.")).to_be_visible()
    assert not who.works(value)
