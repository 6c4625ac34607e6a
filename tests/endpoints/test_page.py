"""The Access Tokens page as a whole: served alone, and what it costs."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from starlette.testclient import TestClient

from bearer_guard.endpoints.page import page_app
from bearer_guard.errors import KeyringError
from bearer_guard.issuing import Principal
from bearer_guard.keyring import Keyring
from bearer_guard.stores.sqlite import SqliteStore
from tests.endpoints.support_page import Pages

if TYPE_CHECKING:
    from pathlib import Path

    from tests.endpoints.support_page import Browser

MANY = 10_000


def test_served_alone_it_opens_and_closes_the_store(tmp_path: Path) -> None:
    store = SqliteStore.from_url(f"sqlite:///{tmp_path / 'page.db'}")
    with TestClient(page_app(store, Keyring.generate())) as client:
        assert client.get("/login").status_code == 200
        assert client.get("/").status_code == 404
        assert client.get("/login/", follow_redirects=False).status_code == 404


def test_it_does_not_start_with_the_keys_of_another_store(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'page.db'}"
    with TestClient(page_app(SqliteStore.from_url(url), Keyring.generate())):
        pass
    other = page_app(SqliteStore.from_url(url), Keyring.generate())
    with pytest.raises(KeyringError), TestClient(other):
        pass


def test_without_its_package_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['jinja2'] = None\n"
        "from bearer_guard import Keyring, open_store\n"
        "from bearer_guard.endpoints.page import page_routes\n"
        "page_routes(open_store('memory://'), Keyring.generate())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ConfigurationError: the page needs a package more" in ran.stderr
    assert "bearer-guard[page]" in ran.stderr


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def few_and_many() -> tuple[Browser, Browser]:
    """Who has ten tokens, and who has ten thousand."""
    pages = await Pages().people()
    create = pages.issuer.create
    for owner, count in (("alice", 10), ("bob", MANY)):
        who = Principal(owner, may_generate=True)
        for at in range(count):
            await create(who, lifetime=timedelta(days=30), description=f"job number {at}")
            pages.clock.advance(0.001)
    return await pages.logged_in("alice"), await pages.logged_in("bob")


@pytest.mark.asyncio(loop_scope="module")
async def test_the_first_page_of_ten_thousand_takes_no_three_times_as_long(
    few_and_many: tuple[Browser, Browser],
) -> None:
    ratios = []
    for _ in range(40):
        took = []
        for browser in few_and_many:
            began = time.perf_counter()
            assert (await browser.get("/access-tokens")).status_code == 200
            took.append(time.perf_counter() - began)
        ratios.append(took[1] / took[0])
    assert statistics.median(ratios) < 3


@pytest.mark.asyncio(loop_scope="module")
async def test_a_page_of_ten_thousand_is_small(few_and_many: tuple[Browser, Browser]) -> None:
    _, many = few_and_many
    for query in ("", "?q=job", "?show=active", f"?q=number+{MANY - 1}"):
        answer = await many.get(f"/access-tokens{query}")
        assert answer.status_code == 200
        assert len(answer.content) < 60_000


@pytest.mark.asyncio(loop_scope="module")
async def test_a_search_finds_the_oldest_of_ten_thousand(
    few_and_many: tuple[Browser, Browser],
) -> None:
    _, many = few_and_many
    text = (await many.get("/access-tokens", params={"q": "number 0"})).text
    assert "job number 0</bdi>" in text
