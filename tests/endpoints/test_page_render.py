"""Templates to answers, and the headers that keep them to themselves."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from bearer_guard.endpoints._page_render import Renderer
from tests.endpoints.support_page import Pages

if TYPE_CHECKING:
    from tests.endpoints.support_page import Browser

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'"
)
TEMPLATES = files("bearer_guard.endpoints") / "templates"
STATIC = files("bearer_guard.endpoints") / "static"
NASTY = "<script>alert(1)</script>\" onfocus='x' {{ 7*7 }} \u202egnp.exe\u2066 &amp; 🔑"


@pytest.fixture
async def pages() -> Pages:
    return await Pages().people()


@pytest.fixture
async def alice(pages: Pages) -> Browser:
    return await pages.logged_in()


@pytest.mark.parametrize(
    "path",
    [
        "/login",
        "/logout",
        "/access-tokens",
        "/access-tokens?show=none",
        "/access-tokens/new",
        "/access-tokens/created",
        "/access-tokens/settings",
        "/access-tokens/password",
        "/access-tokens/0bc1d49f-5475-4c62-a0ba-6ad269389ada/delete",
        "/access-tokens/static/page.css",
        "/access-tokens/static/none",
    ],
)
async def test_every_answer_is_kept_to_itself(alice: Browser, path: str) -> None:
    for answer in (await alice.get(path), await alice.ask("DELETE", path)):
        assert answer.status_code != 500
        if answer.status_code == 405 and "static" in path:
            continue  # the router's own answer: it has no content of ours
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        kept = "static" in path and answer.status_code == 200
        assert ("no-store" in answer.headers["cache-control"]) is not kept


async def test_a_file_may_be_kept_for_its_address_tells_what_is_in_it(alice: Browser) -> None:
    text = (await alice.get("/access-tokens")).text
    for name, kind in (
        ("page.css", "text/css; charset=utf-8"),
        ("page.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ):
        found = re.search(rf'"(/access-tokens/static/{re.escape(name)}\?[0-9a-f]{{12}})"', text)
        assert found is not None
        answer = await alice.get(found[1])
        assert answer.headers["content-type"] == kind
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.text == (STATIC / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["none", "page.css/x", "..%2fpage.py", "%2e%2e%2fpage.py"])
async def test_no_other_file_is_given_away(alice: Browser, name: str) -> None:
    assert (await alice.get(f"/access-tokens/static/{name}")).status_code == 404


async def test_what_people_type_is_text(pages: Pages, alice: Browser) -> None:
    await alice.generate(description=NASTY)
    answer = await alice.get("/access-tokens")
    assert "<script>alert" not in answer.text
    (described,) = Described(answer.text).found
    assert described == NASTY
    (token,) = await pages.tokens_of("alice")
    for path in (f"/access-tokens/{token}/delete", f"/access-tokens/{token}/renew"):
        assert Described((await alice.get(path)).text).found == [NASTY]
    again = await alice.get("/access-tokens", params={"q": NASTY})
    assert Described(again.text).searched == NASTY
    assert Described(again.text).found == [NASTY]


class Described(HTMLParser):
    """What a browser takes for descriptions, each alone in an element that isolates it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.searched: str | None = None
        self._here: list[str] = []
        self.feed(text)
        self.found = [text for text in self.found if text not in {"alice", "None"}]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._here.append(tag)
        if ("name", "q") in attrs:
            self.searched = dict(attrs)["value"]
        if tag in {"input", "meta", "link", "path", "circle", "rect"}:
            self._here.pop()
        elif tag == "bdi":
            self.found.append("")

    def handle_endtag(self, tag: str) -> None:
        if self._here and self._here[-1] == tag:
            self._here.pop()

    def handle_data(self, data: str) -> None:
        if self._here and self._here[-1] == "bdi":
            self.found[-1] += data


@pytest.mark.parametrize("path", sorted(path.name for path in TEMPLATES.iterdir()))
def test_no_template_has_a_script_or_a_style_within(path: str) -> None:
    text = (TEMPLATES / path).read_text(encoding="utf-8")
    assert not re.search(r"<style|style=|\son[a-z]+=|javascript:|https?:", text)
    assert "safe" not in re.findall(r"\|\s*(\w+)", text)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text))


def test_the_styles_are_small_and_fetch_nothing() -> None:
    text = (STATIC / "page.css").read_text(encoding="utf-8")
    assert len(text.encode()) < 12_000
    assert "url(" not in text
    assert "@import" not in text


def test_a_template_that_lacks_something_is_a_bug_and_not_an_empty_place() -> None:
    with pytest.raises(Exception, match="undefined"):
        Renderer().page("message.html", 200, {"heading": "x"})
