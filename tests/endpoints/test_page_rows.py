"""What the table of tokens shows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from bearer_guard.endpoints import _page_rows
from bearer_guard.endpoints._page_rows import Rows, Show, Wanted, find_rows, row_of
from bearer_guard.errors import InvalidRequest, NotAllowed
from bearer_guard.issuing import Issuer, Principal
from bearer_guard.keyring import Keyring
from bearer_guard.record import Use
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.testing import ManualClock

if TYPE_CHECKING:
    from bearer_guard.record import TokenRecord

ALICE = Principal("alice", admin=True)
BOB = Principal("bob", may_generate=True)
DAY = timedelta(days=1)


class Place:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.issuer = Issuer(self.store, Keyring.generate(), clock=self.clock, listeners=())

    async def make(self, count: int = 1, who: Principal = ALICE, **fields: Any) -> TokenRecord:
        """Tokens, a second apart; the last one's record."""
        options = {"lifetime": 30 * DAY, **fields}
        for _ in range(count):
            self.clock.advance(1)
            issued = await self.issuer.create(who, **options)
        return issued.record

    async def find(self, who: Principal = ALICE, owner: str = "alice", **wanted: Any) -> Rows:
        return await find_rows(self.issuer, who, Wanted(owner=owner, **wanted), self.clock.now_ms())

    async def row(self, record: TokenRecord) -> _page_rows.Row:
        found = await self.issuer.get(ALICE, record.id)
        return row_of(found, self.clock.now_ms())

    async def walk(self, **wanted: Any) -> list[list[str]]:
        """The ids on each page, by the links from one to the next."""
        pages, after = [], None
        while True:
            rows = await self.find(after=after, **wanted)
            pages.append([row.id for row in rows.rows])
            after = rows.next
            if after is None:
                return pages


@pytest.fixture
def place() -> Place:
    return Place()


async def test_a_row_tells_all_that_is_to_be_seen(place: Place) -> None:
    record = await place.make(description="sync", scopes=["read"], networks=["192.0.2.0/24"])
    place.clock.advance(3600)
    await place.store.touch({record.id: Use(place.clock.now_ms() - 60_000, "192.0.2.7")})
    row = await place.row(record)
    assert (row.id, row.owner, row.description) == (str(record.id), "alice", "sync")
    assert (row.status, row.soon, row.renewed) == ("Active", False, False)
    assert (row.scopes, row.networks) == (("read",), ("192.0.2.0/24",))
    assert row.created is not None
    assert row.created.distance == "1 hour ago"
    assert row.expires is not None
    assert row.expires.distance == "in 29 days"
    assert row.last_used is not None
    assert (row.last_used.distance, row.last_used_from) == ("1 minute ago", "192.0.2.7")


async def test_a_token_is_marked_from_seven_days_before_it_expires(place: Place) -> None:
    record = await place.make(lifetime=8 * DAY)
    place.clock.advance(86_400 - 0.001)
    assert not (await place.row(record)).soon
    place.clock.advance(0.001)
    assert (await place.row(record)).soon
    place.clock.advance(7 * 86_400 - 0.001)
    assert (await place.row(record)).status == "Active"
    place.clock.advance(0.001)
    row = await place.row(record)
    assert (row.status, row.soon) == ("Expired", False)


async def test_one_that_never_expires_is_never_soon(place: Place) -> None:
    await place.issuer.change_settings(ALICE, allow_non_expiring=True)
    row = await place.row(await place.make(lifetime=None))
    assert (row.expires, row.status, row.soon) == (None, "Active", False)


async def test_a_renewed_one_shows_when_its_grace_ends(place: Place) -> None:
    record = await place.make()
    await place.issuer.renew(ALICE, record.id, grace=timedelta(hours=1))
    row = await place.row(record)
    assert row.renewed
    assert row.soon
    assert row.expires is not None
    assert row.expires.distance == "in 1 hour"


@pytest.mark.parametrize(
    ("show", "found"),
    [
        (Show.ALL, ["never", "long", "short", "gone"]),
        (Show.ACTIVE, ["never", "long", "short"]),
        (Show.SOON, ["short"]),
        (Show.EXPIRED, ["gone"]),
    ],
)
async def test_tokens_are_shown_by_how_long_they_live(
    place: Place, show: Show, found: list[str]
) -> None:
    await place.issuer.change_settings(ALICE, allow_non_expiring=True)
    for name, days in (("gone", 1), ("short", 8), ("long", 30)):
        await place.make(description=name, lifetime=days * DAY)
    await place.make(description="never", lifetime=None)
    place.clock.advance(2 * 86_400)
    assert [row.description for row in (await place.find(show=show)).rows] == found


@pytest.mark.parametrize("text", ["NIGHTLY", "tly s", "STRASSE"])
async def test_a_search_finds_words_in_any_case(place: Place, text: str) -> None:
    await place.make(description="nightly sync")
    await place.make(description="nightly sync, Straße")
    await place.make(description="another")
    rows = (await place.find(text=text)).rows
    assert len(rows) == (1 if text == "STRASSE" else 2)


async def test_a_search_finds_an_id_and_an_owner(place: Place) -> None:
    record, theirs = await place.make(), await place.make(who=BOB)
    assert [r.id for r in (await place.find(text=str(record.id)[4:20])).rows] == [str(record.id)]
    assert [r.id for r in (await place.find(owner="*", text="bob")).rows] == [str(theirs.id)]


@pytest.mark.parametrize("wanted", [{}, {"text": "x"}, {"show": Show.ACTIVE}], ids=str)
async def test_the_pages_have_every_token_once_newest_first(
    place: Place, wanted: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_page_rows, "_CHUNK", 40)
    await place.make(110, description="x")
    expected = [str(record.id) for record in await place.issuer.list(ALICE)]
    pages = await place.walk(**wanted)
    assert [token for page in pages for token in page] == expected
    assert max(map(len, pages)) == 25


async def test_a_search_goes_on_just_behind_the_last_that_was_shown(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_page_rows, "_CHUNK", 7)
    for at in range(120):
        await place.make(description="odd" if at % 2 else "even")
    wanted = [str(r.id) for r in await place.issuer.list(ALICE) if r.description == "odd"]
    pages = await place.walk(text="odd")
    assert [token for page in pages for token in page] == wanted
    assert [len(page) for page in pages[:2]] == [25, 25]


async def test_a_search_without_an_end_asks_whether_to_go_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_page_rows, "_CHUNK", 5)
    monkeypatch.setattr(_page_rows, "_MOST_CHUNKS", 2)
    await place.make(description="needle")
    await place.make(12, description="hay")
    first = await place.find(text="needle")
    assert (first.rows, first.unfinished) == ([], True)
    second = await place.find(text="needle", after=first.next)
    assert [row.description for row in second.rows] == ["needle"]
    assert (second.next, second.unfinished) == (None, False)


async def test_others_are_shown_to_administrators_only(place: Place) -> None:
    await place.make(who=BOB)
    assert len((await place.find(owner="bob")).rows) == 1
    for owner in ("*", "alice"):
        for text in ("", "x"):
            with pytest.raises(NotAllowed):
                await place.find(who=BOB, owner=owner, text=text)


async def test_a_deleted_token_is_in_no_table(place: Place) -> None:
    record = await place.make()
    await place.issuer.delete(ALICE, record.id)
    assert (await place.find()).rows == []
    assert (await place.find(text=str(record.id))).rows == []


def test_what_is_wanted_stands_in_the_address() -> None:
    query = {"q": " sync ", "show": "soon", "after": "abc"}
    assert Wanted.from_query(query, "alice") == Wanted(
        owner="alice", text="sync", show=Show.SOON, after="abc"
    )
    assert Wanted.from_query({"after": ""}, "alice") == Wanted(owner="alice")
    with pytest.raises(InvalidRequest):
        Wanted.from_query({"show": "whatever"}, "alice")


async def test_a_place_in_the_list_that_is_none_is_refused(place: Place) -> None:
    for text in ("", "x"):
        with pytest.raises(InvalidRequest):
            await place.find(after=str(uuid4()), text=text)
