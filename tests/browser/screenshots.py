"""Takes the pictures of docs/page.md: ``python -m tests.browser.screenshots docs/images``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from playwright.sync_api import expect, sync_playwright

from tests.browser.conftest import ARGUMENTS
from tests.browser.support import Visitor, browser_path, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.support import Served

DESK: Final[dict[str, Any]] = {"viewport": {"width": 1180, "height": 630}}
DARK: Final = {**DESK, "color_scheme": "dark"}
PHONE: Final[dict[str, Any]] = {
    "viewport": {"width": 390, "height": 780},
    "is_mobile": True,
    "has_touch": True,
}


def window(browser: Browser, site: Served, who: str, **options: Any) -> Visitor:
    context = browser.new_context(
        base_url=site.url, locale="en-GB", timezone_id="Europe/Vienna", **options
    )
    visitor = Visitor(site, context.new_page())
    visitor.page.clock.set_fixed_time(site.clock.now_ms() / 1000)
    visitor.enter(who)
    return visitor


def take(browser: Browser, site: Served, folder: Path) -> None:
    light, dark = (window(browser, site, "alice", **o) for o in (DESK, DARK))
    light.row("Nightly sync").get_by_role("button", name="Actions").click()
    light.page.screenshot(path=folder / "page-light.png")
    dark.page.screenshot(path=folder / "page-dark.png")

    phone = window(browser, site, "alice", **PHONE)
    phone.page.screenshot(path=folder / "page-phone.png")

    dark.link("Generate New Token").click()
    dark.page.get_by_label("Description").fill("Weekly report")
    dark.page.screenshot(path=folder / "page-generate.png")
    light.page.goto("/access-tokens/new")
    light.page.get_by_label("Description").fill("Weekly report")
    light.button("Generate").click()
    expect(light.page.get_by_label("Token value")).to_be_visible()
    light.page.set_viewport_size({"width": 1180, "height": 730})
    light.page.screenshot(path=folder / "page-once.png")

    root = window(browser, site, "root", **DESK)
    root.page.goto("/access-tokens/users")
    root.page.screenshot(path=folder / "page-users.png")


def main(folder: Path) -> None:
    with (
        tempfile.TemporaryDirectory() as place,
        served(Path(place)) as site,
        sync_playwright() as playwright,
    ):
        site.run(site.some_tokens())
        browser = playwright.chromium.launch(executable_path=browser_path(), args=ARGUMENTS)
        take(browser, site, folder)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
