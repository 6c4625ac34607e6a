"""The pages of tokens: made once, shown once, deleted, renewed."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from bearer_guard.events import TokenCreated
from bearer_guard.issuing import Principal
from bearer_guard.issuing.logins.token import TokenLogin
from tests.endpoints.support_page import Browser, Pages, csrf_of, value_of

if TYPE_CHECKING:
    import httpx2

NEW = "/access-tokens/new"
CREATED = "/access-tokens/created"
ALICE = Principal("alice", may_generate=True)
BOB = Principal("bob", may_generate=True)
DAY = timedelta(days=1)


@pytest.fixture
async def pages() -> Pages:
    return await Pages().people()


@pytest.fixture
async def alice(pages: Pages) -> Browser:
    return await pages.logged_in()


async def works(pages: Pages, value: str) -> bool:
    login = TokenLogin(pages.store, pages.keyring, clock=pages.clock)
    return isinstance(await login.log_in(value.encode()), Principal)


# Making


async def test_a_token_is_made_and_shown(pages: Pages, alice: Browser) -> None:
    value = await alice.generate(days="7", description="nightly sync")
    assert await works(pages, value)
    (record,) = await pages.issuer.list(ALICE)
    assert (record.owner, record.description) == ("alice", "nightly sync")
    assert record.expires_ms == record.created_ms + 7 * 86_400_000
    (event,) = [e for e in pages.told.events if isinstance(e, TokenCreated)]
    assert event.proven_by == "password"


async def test_no_field_names_another_owner(pages: Pages, alice: Browser) -> None:
    for field in ("owner", "name", "user", "username", "account"):
        await alice.generate(**{field: "bob"})
    assert await pages.tokens_of("bob") == []
    assert len(await pages.tokens_of("alice")) == 5


async def test_an_administrator_makes_tokens_for_themselves_only(pages: Pages) -> None:
    root = await pages.logged_in("root")
    await root.generate(owner="alice")
    assert (await pages.tokens_of("alice"), len(await pages.tokens_of("root"))) == ([], 1)


async def test_the_value_is_shown_once(pages: Pages, alice: Browser) -> None:
    value = await alice.generate()
    again = await alice.get(CREATED)
    assert (again.status_code, again.headers["location"]) == (303, "/access-tokens")
    (token,) = await pages.tokens_of("alice")
    for path in (
        "/access-tokens",
        NEW,
        CREATED,
        f"/access-tokens/{token}/delete",
        f"/access-tokens/{token}/renew",
    ):
        assert value not in (await alice.get(path)).text
    assert value not in repr(pages.store._records) + repr(pages.store._notes)
    assert value not in repr(pages.told.events)


async def test_the_answer_to_the_form_has_no_value(alice: Browser) -> None:
    answer = await alice.post(NEW, days="1")
    value = value_of(await alice.get(CREATED))
    assert value not in answer.text + str(answer.headers)


async def test_a_look_ahead_does_not_use_the_value_up(alice: Browser) -> None:
    await alice.post(NEW, days="1")
    assert (await alice.ask("HEAD", CREATED)).status_code == 303
    assert value_of(await alice.get(CREATED))


async def test_a_value_that_nobody_came_for_is_gone(pages: Pages, alice: Browser) -> None:
    await alice.post(NEW, days="1")
    pages.clock.advance(301)
    answer = await alice.get(CREATED)
    assert answer.headers["location"].startswith("/access-tokens")


async def test_nobody_else_comes_for_the_value(pages: Pages, alice: Browser) -> None:
    await alice.post(NEW, days="1")
    bob = await pages.logged_in("bob")
    bob.client.cookies.set("bearer-guard-made", alice.cookies["bearer-guard-made"])
    answer = await bob.get(CREATED)
    assert answer.status_code != 200 or "textarea" not in answer.text
    assert value_of(await alice.get(CREATED))


async def test_the_cookie_that_leads_to_the_value_goes_after_the_table(alice: Browser) -> None:
    await alice.generate()
    assert alice.cookies["bearer-guard-made"] == "shown"
    await alice.get("/access-tokens")
    assert "bearer-guard-made" not in alice.cookies


async def test_the_table_does_not_keep_a_value_from_being_shown(alice: Browser) -> None:
    await alice.post(NEW, days="1")
    await alice.get("/access-tokens")
    assert value_of(await alice.get(CREATED))


async def test_a_form_that_is_sent_twice_makes_one_token(pages: Pages, alice: Browser) -> None:
    csrf = csrf_of(await alice.get(NEW))
    answers = await asyncio.gather(*[alice.post(NEW, csrf=csrf, days="1") for _ in range(5)])
    assert {answer.headers["location"] for answer in answers} == {CREATED}
    assert len(await pages.tokens_of("alice")) == 1
    assert value_of(await alice.get(CREATED))


async def test_a_form_that_is_sent_again_later_makes_nothing(pages: Pages, alice: Browser) -> None:
    csrf = csrf_of(await alice.get(NEW))
    await alice.post(NEW, csrf=csrf, days="1")
    assert value_of(await alice.get(CREATED))
    pages.clock.advance(60)
    await alice.post(NEW, csrf=csrf, days="1")
    answer = await alice.get(CREATED)
    assert answer.headers["location"] == "/access-tokens?done=shown"
    assert "its value was shown" in (await alice.get(answer.headers["location"])).text
    assert len(await pages.tokens_of("alice")) == 1


async def test_a_form_that_came_twice_waits_for_the_token(pages: Pages, alice: Browser) -> None:
    """The first answer is lost, and the token is still being made."""
    csrf = csrf_of(await alice.get(NEW))
    making, done = asyncio.Event(), asyncio.Event()
    create = pages.issuer.create

    async def slow(*args: object, **options: object) -> object:
        making.set()
        await done.wait()
        return await create(*args, **options)  # type: ignore[arg-type]

    pages.issuer.create = slow  # type: ignore[method-assign, assignment]
    first = asyncio.create_task(alice.post(NEW, csrf=csrf, days="1"))
    await making.wait()
    assert (await alice.post(NEW, csrf=csrf, days="1")).headers["location"] == CREATED
    waiting = await alice.get(CREATED)
    assert (waiting.status_code, waiting.headers["refresh"]) == (200, "1")
    assert "is being made" in waiting.text
    done.set()
    await first
    assert value_of(await alice.get(CREATED))
    assert len(await pages.tokens_of("alice")) == 1


async def test_two_forms_make_two_tokens(pages: Pages, alice: Browser) -> None:
    one, other = csrf_of(await alice.get(NEW)), csrf_of(await alice.get(NEW))
    for csrf in (one, other):
        await alice.post(NEW, csrf=csrf, days="1")
    assert len(await pages.tokens_of("alice")) == 2


async def test_a_form_can_be_sent_again_after_an_outage(pages: Pages, alice: Browser) -> None:
    csrf = csrf_of(await alice.get(NEW))
    pages.store.before.add("add")
    assert (await alice.post(NEW, csrf=csrf, days="1")).status_code == 503
    pages.store.before.clear()
    assert (await alice.post(NEW, csrf=csrf, days="1")).status_code == 303
    assert value_of(await alice.get(CREATED))
    assert len(await pages.tokens_of("alice")) == 1


async def test_an_outage_just_after_the_making_shows_the_value_at_once(
    pages: Pages, alice: Browser
) -> None:
    csrf = csrf_of(await alice.get(NEW))
    pages.store.before.add("add_note shown")
    answer = await alice.post(NEW, csrf=csrf, days="1")
    assert answer.status_code == 200
    assert await works(pages, value_of(answer))


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ("", "whole number of days"),
        ("x", "whole number of days"),
        ("1.5", "whole number of days"),
        ("1e3", "whole number of days"),
        ("٣", "whole number of days"),
        ("0", "must be positive"),
        ("-2", "must be positive"),
        ("-1", "never expire are not allowed here: the limit is 90 days"),
        ("91", "too long: the limit is 90 days"),
        ("999999999", "too long"),
    ],
)
async def test_a_lifetime_that_can_not_be_is_said_so(
    pages: Pages, alice: Browser, days: str, words: str
) -> None:
    await pages.settle(max_lifetime=90 * DAY)
    answer = await alice.post(NEW, days=days, description='keep "this"')
    assert answer.status_code == 400
    text = answer.text.replace(", ", ": ")
    assert words in text
    assert f'value="{days}"' in answer.text
    assert 'value="keep &#34;this&#34;"' in answer.text
    assert await pages.tokens_of("alice") == []


async def test_a_form_that_was_refused_can_be_corrected(pages: Pages, alice: Browser) -> None:
    answer = await alice.post(NEW, days="0")
    assert (await alice.post(NEW, csrf=csrf_of(answer), days="1")).status_code == 303
    assert len(await pages.tokens_of("alice")) == 1


async def test_an_endless_life_is_minus_one_where_it_is_allowed(
    pages: Pages, alice: Browser
) -> None:
    assert 'min="1"' in (await alice.get(NEW)).text
    await pages.settle(allow_non_expiring=True)
    assert 'min="-1"' in (await alice.get(NEW)).text
    for days in ("-1", "\N{MINUS SIGN}1", " -1 "):
        await alice.generate(days=days)
    assert {r.expires_ms for r in await pages.issuer.list(ALICE)} == {None}


@pytest.mark.parametrize(
    ("limit", "days", "presets"),
    [(None, 30, 4), (90 * DAY, 30, 3), (7 * DAY, 7, 1), (timedelta(hours=3), 1, 0)],
)
async def test_the_form_keeps_to_the_limit(
    pages: Pages, alice: Browser, limit: timedelta | None, days: int, presets: int
) -> None:
    await pages.settle(max_lifetime=limit)
    text = (await alice.get(NEW)).text
    assert f'value="{days}"' in text
    assert text.count('class="chip"') == presets
    assert ("The limit here is" in text) is (limit is not None)


@pytest.mark.parametrize("description", ["x" * 257, "a\x00b", "tab\there"])
async def test_a_description_that_can_not_be_is_said_so(
    pages: Pages, alice: Browser, description: str
) -> None:
    answer = await alice.post(NEW, days="1", description=description)
    assert answer.status_code == 400
    assert "The description" in answer.text
    assert await pages.tokens_of("alice") == []


async def test_who_may_not_generate_is_told_so(pages: Pages) -> None:
    carol = await pages.logged_in("carol")
    for path in ("/access-tokens", NEW):
        text = (await carol.get(path)).text
        assert "You may not generate access tokens" in text
        assert "Generate" not in text
    answer = await carol.post(NEW, form="/access-tokens", days="1")
    assert answer.status_code == 403
    assert await pages.tokens_of("carol") == []


async def test_who_is_enabled_may_at_once(pages: Pages) -> None:
    carol, root = await pages.logged_in("carol"), await pages.logged_in("root")
    await root.post("/access-tokens/users", do="allow", name="carol")
    assert await carol.generate()
    await root.post("/access-tokens/users", do="forbid", name="carol")
    assert (await carol.post(NEW, form="/access-tokens", days="1")).status_code == 403
    (token,) = await pages.tokens_of("carol")
    assert (await carol.post(f"/access-tokens/{token}/delete")).status_code == 303


async def test_all_may_where_the_workspace_says_so(pages: Pages) -> None:
    carol = await pages.logged_in("carol")
    await pages.settle(users_may_generate=True)
    assert "Generate New Token" in (await carol.get("/access-tokens")).text
    assert await carol.generate()


# The table


async def test_the_table_has_the_columns(alice: Browser) -> None:
    await alice.generate()
    text = (await alice.get("/access-tokens")).text
    heads = re.findall(r'<th scope="col">([^<]+)</th>', text)
    assert heads == ["Token ID", "Description", "Status", "Created", "Expires", "Last Used"]
    assert 'aria-label="Actions"' in text
    assert ">Delete Token…</a>" in text


async def test_an_empty_table_says_what_tokens_are_for(pages: Pages, alice: Browser) -> None:
    text = (await alice.get("/access-tokens")).text
    assert "No tokens yet" in text
    assert "stands in for your password" in text
    assert "<table" not in text
    root = await pages.logged_in("root")
    assert "Nobody has made one" in (await root.get("/access-tokens/all")).text
    assert "Nothing found" in (await alice.get("/access-tokens?q=none")).text


async def test_others_tokens_are_not_in_it(pages: Pages, alice: Browser) -> None:
    await pages.issuer.create(BOB, lifetime=DAY)
    assert await alice.table() == []
    assert await alice.table("/access-tokens?owner=bob") == []
    assert await alice.table("/access-tokens?owner=*&q=bob") == []


async def test_what_expires_soon_is_marked_with_a_way_to_renew_it(
    pages: Pages, alice: Browser
) -> None:
    await alice.generate(days="8")
    assert 'class="renew"' not in (await alice.get("/access-tokens")).text
    pages.clock.advance(86_400)
    alice = await pages.logged_in()
    text = (await alice.get("/access-tokens")).text
    assert 'class="soon"' in text
    assert ">Renew</a>" in text


async def test_a_thousand_tokens_are_gone_through_page_by_page(
    pages: Pages, alice: Browser
) -> None:
    for _ in range(60):
        await pages.issuer.create(ALICE, lifetime=DAY)
        pages.clock.advance(0.001)
    seen: list[str] = []
    path = "/access-tokens"
    while path:
        text = (await alice.get(path)).text
        seen += re.findall(r"<code>([0-9a-f-]{36})</code>", text)
        link = re.search(r'href="([^"]+)" rel="next"', text)
        path = link[1].replace("&amp;", "&") if link else ""
    assert seen == await pages.tokens_of("alice")


async def test_a_search_stays_in_the_addresses(pages: Pages, alice: Browser) -> None:
    for _ in range(30):
        await pages.issuer.create(ALICE, lifetime=DAY, description="a & b")
    text = (await alice.get("/access-tokens", params={"q": "a & b", "show": "active"})).text
    link = re.search(r'href="(/access-tokens\?[^"]+)" rel="next"', text)
    assert link is not None
    assert "q=a+%26+b&amp;show=active&amp;after=" in link[1]
    assert 'href="/access-tokens?q=a+%26+b&amp;show=soon"' in text
    assert 'href="/access-tokens?q=a+%26+b"' in text


@pytest.mark.parametrize("query", ["?after=x", "?show=x", "?after=%00"])
async def test_an_address_that_means_nothing_is_said_so(alice: Browser, query: str) -> None:
    assert (await alice.get(f"/access-tokens{query}")).status_code == 400


async def test_an_administrator_sees_everybodys_by_owner(pages: Pages, alice: Browser) -> None:
    await alice.generate()
    await pages.issuer.create(BOB, lifetime=DAY)
    root = await pages.logged_in("root")
    text = (await root.get("/access-tokens/all")).text
    assert '<th scope="col">Owner</th>' in text
    assert len(await root.table("/access-tokens/all")) == 2
    assert await root.table("/access-tokens/all?owner=bob") == await pages.tokens_of("bob")
    assert await root.table("/access-tokens/all?q=BOB") == await pages.tokens_of("bob")
    assert "Renew" not in text


# Deleting and renewing


async def test_a_token_is_deleted_after_a_warning(pages: Pages, alice: Browser) -> None:
    value = await alice.generate(description="sync")
    (token,) = await pages.tokens_of("alice")
    warning = (await alice.get(f"/access-tokens/{token}/delete")).text
    assert "This can&#39;t be undone." in warning or "This can't be undone." in warning
    assert "<bdi>sync</bdi>" in warning
    assert token in warning
    assert await works(pages, value)
    answer = await alice.post(f"/access-tokens/{token}/delete")
    assert answer.headers["location"] == "/access-tokens?done=deleted"
    assert not await works(pages, value)
    assert await alice.table() == []
    assert (await alice.get(f"/access-tokens/{token}/delete")).status_code == 404


async def test_deleting_twice_says_that_it_is_gone(pages: Pages, alice: Browser) -> None:
    await alice.generate()
    (token,) = await pages.tokens_of("alice")
    csrf = csrf_of(await alice.get(f"/access-tokens/{token}/delete"))
    answers = [await alice.post(f"/access-tokens/{token}/delete", csrf=csrf) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 404]


@pytest.mark.parametrize("do", ["delete", "renew"])
async def test_anothers_token_is_not_there(pages: Pages, alice: Browser, do: str) -> None:
    issued = await pages.issuer.create(BOB, lifetime=DAY)
    for token in (str(issued.record.id), str(uuid4()), "x", "..", "%2e%2e"):
        assert (await alice.get(f"/access-tokens/{token}/{do}")).status_code == 404
        answer = await alice.post(f"/access-tokens/{token}/{do}", form=NEW)
        assert answer.status_code == 404
    assert await works(pages, issued.value)


async def test_an_administrator_deletes_anybodys_and_renews_nobodys(pages: Pages) -> None:
    issued = await pages.issuer.create(BOB, lifetime=DAY)
    root, path = await pages.logged_in("root"), f"/access-tokens/{issued.record.id}"
    assert (await root.get(f"{path}/renew")).status_code == 404
    assert (await root.post(f"{path}/renew", form=NEW)).status_code == 404
    answer = await root.post(f"{path}/delete", back="/access-tokens/all")
    assert answer.headers["location"] == "/access-tokens/all?done=deleted"
    assert not await works(pages, issued.value)


@pytest.mark.parametrize("back", ["https://evil.example", "//evil.example", "/access-tokens/all"])
async def test_no_form_leads_elsewhere(pages: Pages, alice: Browser, back: str) -> None:
    await alice.generate()
    (token,) = await pages.tokens_of("alice")
    asked = await alice.get(f"/access-tokens/{token}/delete", params={"back": back})
    assert "evil" not in asked.text
    answer = await alice.post(f"/access-tokens/{token}/delete", back=back)
    assert answer.headers["location"] == "/access-tokens?done=deleted"


@pytest.mark.parametrize(
    ("grace", "length"),
    [("0", 0), ("1h", 3600), ("1d", 86_400), ("7d", 604_800)],
)
async def test_a_renewed_token_is_shown_and_the_old_one_ends_after_the_grace(
    pages: Pages, alice: Browser, grace: str, length: int
) -> None:
    old = await alice.generate(days="10", description="sync")
    (token,) = await pages.tokens_of("alice")
    answer = await alice.post(f"/access-tokens/{token}/renew", grace=grace)
    assert answer.headers["location"] == CREATED
    new = value_of(await alice.get(CREATED))
    assert new != old
    (record,) = [r for r in await pages.issuer.list(ALICE) if r.parent == UUID(token)]
    assert record.description == "sync"
    assert await works(pages, new)
    assert await works(pages, old) is (length > 0)
    pages.clock.advance(length)
    assert not await works(pages, old)


async def test_an_expired_token_is_renewed_by_who_has_logged_in(
    pages: Pages, alice: Browser
) -> None:
    await alice.generate(days="1")
    (token,) = await pages.tokens_of("alice")
    pages.clock.advance(86_400)
    alice = await pages.logged_in()
    await alice.post(f"/access-tokens/{token}/renew", grace="0")
    assert await works(pages, value_of(await alice.get(CREATED)))


async def test_renewing_twice_with_one_form_makes_one(pages: Pages, alice: Browser) -> None:
    await alice.generate()
    (token,) = await pages.tokens_of("alice")
    csrf = csrf_of(await alice.get(f"/access-tokens/{token}/renew"))
    path = f"/access-tokens/{token}/renew"
    answers: list[httpx2.Response] = await asyncio.gather(
        *[alice.post(path, csrf=csrf, grace="1d") for _ in range(3)]
    )
    assert {answer.headers["location"] for answer in answers} == {CREATED}
    assert len(await pages.tokens_of("alice")) == 2


async def test_a_grace_that_is_none_is_refused(pages: Pages, alice: Browser) -> None:
    value = await alice.generate()
    (token,) = await pages.tokens_of("alice")
    answer = await alice.post(f"/access-tokens/{token}/renew", grace="99y")
    assert answer.status_code == 400
    assert await works(pages, value)


async def test_a_renewal_beyond_todays_limit_is_refused(pages: Pages, alice: Browser) -> None:
    value = await alice.generate(days="30")
    await pages.settle(max_lifetime=7 * DAY)
    (token,) = await pages.tokens_of("alice")
    answer = await alice.post(f"/access-tokens/{token}/renew", grace="0")
    assert answer.status_code == 400
    assert "the limit is 7 days" in answer.text
    assert await works(pages, value)
