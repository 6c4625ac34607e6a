"""A browser for all tests, and a page for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser.support import Served, Visitor, browser_path, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

# Nothing is fetched and nothing is asked for that a test has not asked for.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

_PATIENCE_MS = 20_000  # a busy machine is no bug
expect.set_options(timeout=_PATIENCE_MS)


# Not for longer than a module: Playwright's own event loop keeps asynchronous tests from running.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = browser_path()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=ARGUMENTS,
        )
        yield browser
        browser.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as site:
        yield site


@pytest.fixture
def visit(chromium: Browser, site: Served) -> Iterator[Callable[..., Visitor]]:
    """Opens browser windows; what their console complains of fails the test, where it matters."""
    contexts: list[BrowserContext] = []
    complained: list[str] = []

    def note(message: ConsoleMessage) -> None:
        expected = "the server responded with a status of 4" in message.text
        if message.type in {"error", "warning"} and not expected:
            complained.append(message.text)

    def listen(page: Page) -> None:
        page.on("console", note)
        page.on("pageerror", lambda error: complained.append(str(error)))

    def open_window(*, complaints: bool = True, **options: Any) -> Visitor:
        context = chromium.new_context(base_url=site.url, **options)
        context.set_default_timeout(_PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        if complaints:
            listen(page)
        return Visitor(site, page)

    yield open_window
    for context in contexts:
        context.close()
    assert complained == []
