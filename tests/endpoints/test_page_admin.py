"""The pages of administrators, and everybody's own password."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bearer_guard.issuing.rate import FailureLimits
from bearer_guard.policy import Policy
from tests.endpoints.support_page import PASSWORD, ROOT, Pages

if TYPE_CHECKING:
    from tests.endpoints.support_page import Browser

SETTINGS = "/access-tokens/settings"
USERS = "/access-tokens/users"
OWN = "/access-tokens/password"
NEW = "another long password"
DAY = timedelta(days=1)


@pytest.fixture
async def pages() -> Pages:
    return await Pages().people()


@pytest.fixture
async def root(pages: Pages) -> Browser:
    return await pages.logged_in("root")


async def test_the_settings_are_changed_together(pages: Pages, root: Browser) -> None:
    answer = await root.post(
        SETTINGS, enabled="on", users_may_generate="on", allow_non_expiring="on", days="90"
    )
    assert answer.headers["location"] == f"{SETTINGS}?done=saved"
    assert await pages.store.policy() == Policy(
        enabled=True, users_may_generate=True, max_lifetime=90 * DAY, allow_non_expiring=True
    )
    text = (await root.get(SETTINGS)).text
    assert text.count(" checked") == 3
    assert 'value="90"' in text
    assert pages.told.names()[-1] == "settings.changed"


async def test_what_is_not_checked_is_off(pages: Pages, root: Browser) -> None:
    await root.post(SETTINGS, days="-1")
    assert await pages.store.policy() == Policy(enabled=False)
    answer = await root.get(SETTINGS)
    assert answer.status_code == 200
    assert " checked" not in answer.text


@pytest.mark.parametrize("days", ["-1", "\N{MINUS SIGN}1", "", " -1 "])
async def test_minus_one_is_no_limit(pages: Pages, root: Browser, days: str) -> None:
    await pages.settle(max_lifetime=DAY)
    await root.post(SETTINGS, enabled="on", days=days)
    assert (await pages.store.policy()).max_lifetime is None


@pytest.mark.parametrize("days", ["0", "-2", "x", "1.5", "1e9", "9999999999", "999999999999"])
async def test_a_limit_that_can_not_be_is_said_so(pages: Pages, root: Browser, days: str) -> None:
    answer = await root.post(SETTINGS, days=days)
    assert answer.status_code == 400
    assert f'value="{days}"' in answer.text
    assert await pages.store.policy() == Policy()


async def test_a_limit_of_hours_stays_as_it_is(pages: Pages, root: Browser) -> None:
    limit = timedelta(hours=36)
    await pages.settle(max_lifetime=limit)
    assert 'value="1.5"' in (await root.get(SETTINGS)).text
    await root.post(SETTINGS, enabled="on", users_may_generate="on", days="1.5")
    policy = await pages.store.policy()
    assert (policy.max_lifetime, policy.users_may_generate) == (limit, True)


async def test_every_user_is_listed(root: Browser) -> None:
    text = (await root.get(USERS)).text
    for name in ("root", "alice", "bob", "carol", "dave"):
        assert f"<bdi>{name}</bdi>" in text
    assert text.count('class="over"') == 1


async def test_a_search_finds_users(root: Browser) -> None:
    text = (await root.get(f"{USERS}?q=CAR")).text
    assert "<bdi>carol</bdi>" in text
    assert "<bdi>alice</bdi>" not in text
    assert "Nobody found" in (await root.get(f"{USERS}?q=zzz")).text


async def test_many_users_are_gone_through_page_by_page(pages: Pages, root: Browser) -> None:
    for at in range(60):
        await pages.accounts.add(ROOT, f"user {at:02} &")
    first = (await root.get(USERS)).text
    assert "user 44" in first
    assert "user 45" not in first
    assert 'href="/access-tokens/users?q=&amp;after=user%2044%20%26"' in first
    second = (await root.get(USERS, params={"after": "user 44 &"})).text
    assert "user 44" not in second
    assert "user 45" in second


@pytest.mark.parametrize(
    ("do", "name", "flag", "value"),
    [
        ("allow", "carol", "may_generate", True),
        ("forbid", "alice", "may_generate", False),
        ("disable", "alice", "disabled", True),
        ("enable", "dave", "disabled", False),
    ],
)
async def test_users_are_changed_one_by_one(
    pages: Pages, root: Browser, do: str, name: str, flag: str, *, value: bool
) -> None:
    before = await pages.store.account(name)
    answer = await root.post(USERS, do=do, name=name)
    assert answer.headers["location"] == f"{USERS}?done=changed"
    account = await pages.store.account(name)
    assert getattr(account, flag) is value
    assert getattr(before, flag) is not value


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"do": "disable", "name": "root"}, 400),
        ({"do": "disable", "name": "nobody"}, 404),
        ({"do": "promote", "name": "alice"}, 400),
        ({"name": "alice"}, 400),
    ],
)
async def test_what_can_not_be_done_is_said_so(
    pages: Pages, root: Browser, fields: dict[str, str], status: int
) -> None:
    before = dict(pages.store._accounts)
    assert (await root.post(USERS, **fields)).status_code == status
    assert pages.store._accounts == before


async def test_a_user_is_added_and_logs_in(pages: Pages, root: Browser) -> None:
    answer = await root.post(USERS, do="add", name="erin", password=PASSWORD, may_generate="on")
    assert answer.headers["location"] == f"{USERS}?done=added"
    erin = await pages.logged_in("erin")
    assert await erin.generate()
    assert (await erin.get(USERS)).status_code == 403


async def test_a_user_without_a_password_can_not_log_in_by_one(pages: Pages, root: Browser) -> None:
    await root.post(USERS, do="add", name="erin", password="", admin="on")
    account = await pages.store.account("erin")
    assert account is not None
    assert (account.password_hash, account.admin) == (None, True)
    assert (await pages.browser().log_in("erin", "")).status_code == 403


@pytest.mark.parametrize(
    ("name", "password", "words"),
    [
        ("alice", PASSWORD, "There is an account of this name."),
        ("a:b", PASSWORD, "A name has no colon"),
        ("", PASSWORD, "A name has 1 to 256 characters"),
        ("erin", "too short", "A password has at least 12 characters"),
    ],
)
async def test_a_user_who_can_not_be_is_said_so(
    pages: Pages, root: Browser, name: str, password: str, words: str
) -> None:
    before = dict(pages.store._accounts)
    answer = await root.post(USERS, do="add", name=name, password=password, admin="on")
    assert answer.status_code in {400, 409}
    assert words in answer.text
    assert f'name="name" value="{name}"' in answer.text
    assert password not in answer.text.replace(f'value="{name}"', "")
    assert pages.store._accounts == before


async def test_a_new_password_ends_all_sessions_but_this_browsers(pages: Pages) -> None:
    here, there = await pages.logged_in(), await pages.logged_in()
    value = await here.generate()
    old = here.session
    pages.clock.advance(1)
    answer = await here.post(OWN, current=PASSWORD, new=NEW)
    assert answer.headers["location"] == "/access-tokens?done=password"
    assert here.session != old
    assert (await here.get("/access-tokens")).status_code == 200
    assert (await there.get("/access-tokens")).status_code == 303
    assert (await pages.browser().log_in("alice", PASSWORD)).status_code == 403
    assert (await pages.browser().log_in("alice", NEW)).status_code == 303
    assert len(await pages.tokens_of("alice")) == 1
    assert value not in answer.text


@pytest.mark.parametrize(
    ("current", "new", "status", "words"),
    [
        ("wrong password!", NEW, 403, "The current password is not right."),
        ("", NEW, 403, "The current password is not right."),
        (PASSWORD, "short", 400, "A password has at least 12 characters."),
    ],
)
async def test_a_password_that_can_not_be_is_said_so(
    pages: Pages, current: str, new: str, status: int, words: str
) -> None:
    alice = await pages.logged_in()
    answer = await alice.post(OWN, current=current, new=new)
    assert answer.status_code == status
    assert words in answer.text
    assert new not in answer.text
    assert (await pages.browser().log_in("alice")).status_code == 303


async def test_the_current_password_is_under_the_limits_of_every_log_in() -> None:
    pages = await Pages(limits=FailureLimits(per_account=2)).people()
    alice = await pages.logged_in()
    for _ in range(2):
        await alice.post(OWN, current="wrong password", new=NEW)
    answer = await alice.post(OWN, current=PASSWORD, new=NEW)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
