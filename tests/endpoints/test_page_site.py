"""What all pages share."""

from __future__ import annotations

import pytest

from tests.endpoints.support_page import Pages


@pytest.fixture
async def pages() -> Pages:
    return await Pages().people()


@pytest.mark.parametrize(
    ("done", "words"),
    [("deleted", "The token is deleted."), ("saved", "The settings are saved."), ("no", None)],
)
async def test_what_was_done_is_told_by_a_word_of_ours(
    pages: Pages, done: str, words: str | None
) -> None:
    alice = await pages.logged_in()
    text = (await alice.get(f"/access-tokens?done={done}")).text
    assert ('role="status"' in text) is (words is not None)
    assert words is None or words in text


async def test_no_other_text_gets_into_a_page_by_its_address(pages: Pages) -> None:
    alice = await pages.logged_in()
    text = (await alice.get("/access-tokens?done=Your+account+is+locked&next=x&owner=y")).text
    assert "Your account" not in text


@pytest.mark.parametrize(("who", "pages_seen"), [("alice", 0), ("root", 3)])
async def test_administrators_see_their_pages(pages: Pages, who: str, pages_seen: int) -> None:
    text = (await (await pages.logged_in(who)).get("/access-tokens")).text
    found = [path for path in ("all", "users", "settings") if f'"/access-tokens/{path}"' in text]
    assert len(found) == pages_seen


async def test_every_page_has_a_button_to_log_out(pages: Pages) -> None:
    root = await pages.logged_in("root")
    for path in ("", "/new", "/all", "/users", "/settings", "/password", "/created/none"):
        answer = await root.get(f"/access-tokens{path}")
        assert answer.status_code == 404 or ">Log out</button>" in answer.text
    for path in ("/access-tokens/none/delete", "/access-tokens?show=none"):
        answer = await root.get(path)
        assert answer.status_code in {400, 404}
        assert ">Log out</button>" in answer.text


async def test_who_has_logged_in_is_named(pages: Pages) -> None:
    alice = await pages.logged_in()
    assert "<bdi>alice</bdi>" in (await alice.get("/access-tokens")).text
