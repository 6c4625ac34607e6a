"""The contract's part about people: native accounts, and short-lived notes."""
# ruff: noqa: S101, PLR2004 - tests: an assert is how they tell; hashes are made up

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bearer_guard.store import Account, AccountChange, Note

from ._contract_base import WORDS, Contract, FullStore, Heard, add_all, head, kept, told
from .records import a_record

if TYPE_CHECKING:
    from bearer_guard.store import NoteStore

__all__ = ["AccountsContract", "NotesContract"]

_HASH = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$" + "R" * 43
_CHANGES = {
    "password": AccountChange(password_hash=_HASH + "2", password_ms=2**53),
    "admin": AccountChange(admin=True),
    "may generate": AccountChange(may_generate=True),
    "disabled": AccountChange(disabled=True),
    "all": AccountChange(
        password_hash=_HASH, password_ms=9, admin=True, may_generate=True, disabled=True
    ),
    "nothing": AccountChange(),
}


def _account(name: str = "alice", *, disabled: bool = False) -> Account:
    return Account(name=name, password_hash=_HASH, disabled=disabled, created_ms=5, password_ms=6)


class AccountsContract(Contract):
    """``AccountStore``, and what it means to the owner's tokens."""

    @pytest.mark.parametrize(
        "account",
        [
            _account(),
            Account(name="bob", password_hash=None, created_ms=0, password_ms=2**53),
            replace(_account("carol"), admin=True),
            replace(_account("dora"), may_generate=True),
            _account("emil", disabled=True),
            _account("\u00fc" * 256),
        ],
        ids=lambda account: account.name[:5],
    )
    async def test_an_account_is_kept(
        self, store: FullStore, second: FullStore, account: Account
    ) -> None:
        assert await store.add_account(account) is True
        assert await second.account(account.name) == account

    async def test_an_unknown_name_has_no_account(self, store: FullStore) -> None:
        assert await store.account("nobody") is None
        assert await store.change_account("nobody", AccountChange(admin=True)) is None
        assert await store.account("nobody") is None

    async def test_a_taken_name_is_refused_and_nothing_is_written(self, store: FullStore) -> None:
        await store.add_account(_account())
        assert await store.add_account(replace(_account(), admin=True)) is False
        assert await store.account("alice") == _account()

    async def test_of_many_who_want_one_name_one_gets_it(
        self, store: FullStore, second: FullStore
    ) -> None:
        rivals = [replace(_account(), created_ms=number) for number in range(10)]
        stores = [store, second] * 5
        outcomes = await asyncio.gather(
            *(one.add_account(rival) for one, rival in zip(stores, rivals, strict=True))
        )
        winners = [rival for rival, won in zip(rivals, outcomes, strict=True) if won]
        assert winners == [await store.account("alice")]

    @pytest.mark.parametrize("word", WORDS.values(), ids=WORDS)
    async def test_a_name_is_compared_exactly(self, store: FullStore, word: str) -> None:
        for name in WORDS.values():
            if name != word:
                await store.add_account(_account(name))
        assert await store.account(word) is None
        assert await store.add_account(_account(word)) is True
        assert await store.account(word) == _account(word)

    async def test_names_are_in_the_order_of_their_code_points(self, store: FullStore) -> None:
        names = sorted(WORDS.values())
        for name in reversed(names):
            await store.add_account(_account(name))
        assert [account.name for account in await store.accounts()] == names
        walked, after = [], None
        while page := await store.accounts(after, 3):
            assert len(page) <= 3
            walked += [account.name for account in page]
            after = walked[-1]
        assert walked == names

    @pytest.mark.parametrize("change", _CHANGES.values(), ids=_CHANGES)
    async def test_a_change_leaves_the_rest_as_it_is(
        self, store: FullStore, second: FullStore, change: AccountChange
    ) -> None:
        await store.add_account(_account("bob"))
        await store.add_account(_account())
        expected = _changed(_account(), change)
        assert await store.change_account("alice", change) == expected
        assert await second.account("alice") == expected
        assert await second.account("bob") == _account("bob")

    async def test_a_flag_can_be_taken_back(self, store: FullStore) -> None:
        await store.add_account(replace(_account(), admin=True, may_generate=True, disabled=True))
        await store.change_account(
            "alice", AccountChange(admin=False, may_generate=False, disabled=False)
        )
        assert await store.account("alice") == _account()

    async def test_changes_at_once_are_all_made(self, store: FullStore, second: FullStore) -> None:
        await store.add_account(_account())
        await asyncio.gather(
            store.change_account("alice", AccountChange(admin=True)),
            second.change_account("alice", AccountChange(may_generate=True)),
            store.change_account("alice", AccountChange(password_ms=9)),
        )
        expected = replace(_account(), admin=True, may_generate=True, password_ms=9)
        assert await store.account("alice") == expected

    async def test_a_disabled_owner_is_told_with_every_token(
        self, store: FullStore, second: FullStore
    ) -> None:
        own, other = a_record(), a_record(owner="Alice")
        await add_all(store, [own, other])
        await store.add_account(_account())
        await store.add_account(_account("Alice"))
        assert await kept(second, own) == own
        await store.change_account("alice", AccountChange(disabled=True))
        disabled = replace(own, owner_disabled=True)
        assert await second.fetch([own.id, other.id]) == {own.id: disabled, other.id: other}
        assert (await second.page("alice", None, 5)).records == [disabled]
        assert await store.end(own.id, 5) == disabled.end(5, "deleted")
        await store.change_account("alice", AccountChange(disabled=False))
        assert await kept(second, own) == own.end(5, "deleted")

    async def test_disabling_and_enabling_are_told_to_those_who_poll(
        self, store: FullStore, second: FullStore
    ) -> None:
        records = [a_record() for _ in range(30)]
        await add_all(store, [*records, a_record(owner="bob")])
        await store.add_account(_account())
        for disabled in (True, False):
            start = await head(second)
            await store.change_account("alice", AccountChange(disabled=disabled))
            news = await second.changes(start)
            assert told(news) == (False, {record.id for record in records})

    async def test_disabling_who_has_many_tokens_is_a_reset(self, store: FullStore) -> None:
        """Or all of them."""
        records = [a_record() for _ in range(1_001)]
        await self.add_many(store, records)
        await store.add_account(_account())
        start = await head(store)
        await store.change_account("alice", AccountChange(disabled=True))
        news = await store.changes(start)
        assert news.reset or news.ids == {record.id for record in records}

    async def test_a_change_that_is_not_of_the_tokens_is_no_news(self, store: FullStore) -> None:
        await store.add(a_record())
        await store.add_account(_account())
        start = await head(store)
        await store.change_account("alice", AccountChange(admin=True, disabled=False))
        news = await store.changes(start)
        assert told(news) == (False, set())

    async def test_an_account_that_is_added_disabled_is_told(self, store: FullStore) -> None:
        """The tokens may be older than the account: the name could have come from elsewhere."""
        record = a_record()
        await store.add(record)
        start = await head(store)
        await store.add_account(_account(disabled=True))
        assert (await store.changes(start)).ids == {record.id}
        assert (await kept(store, record)).owner_disabled

    async def test_disabling_is_announced(self, store: FullStore) -> None:
        record = a_record()
        await store.add(record)
        await store.add_account(_account())
        heard = Heard()
        store.subscribe(heard)
        await store.change_account("alice", AccountChange(disabled=True))
        assert heard.of(record.id)


class NotesContract(Contract):
    """``NoteStore``."""

    async def test_a_note_is_kept(self, store: NoteStore, second: NoteStore) -> None:
        note = Note("alice", '{"a": "\U0001f511"}', 2**53)
        assert await store.add_note("key", note, 5) is True
        assert await second.note("key", 5) == note
        assert await second.note("KEY", 5) is None

    @pytest.mark.parametrize("word", WORDS.values(), ids=WORDS)
    async def test_text_of_every_kind_is_kept_in_notes(self, store: NoteStore, word: str) -> None:
        note = Note(word, word, 10)
        await store.add_note(word, note, 5)
        assert await store.note(word, 5) == note

    async def test_a_long_note_is_kept(self, store: NoteStore) -> None:
        note = Note("alice", "\u00fc" * 20_000, 10)
        await store.add_note("k" * 200, note, 5)
        assert await store.note("k" * 200, 5) == note

    async def test_an_expired_note_is_gone(self, store: NoteStore) -> None:
        await store.add_note("key", Note("alice", "", 10), 5)
        assert await store.note("key", 9) is not None
        assert await store.note("key", 10) is None

    async def test_a_note_can_not_be_overwritten(self, store: NoteStore) -> None:
        first, other = Note("alice", "1", 10), Note("bob", "2", 20)
        await store.add_note("key", first, 5)
        assert await store.add_note("key", other, 9) is False
        assert await store.note("key", 9) == first

    async def test_an_expired_note_can_be_overwritten(self, store: NoteStore) -> None:
        other = Note("bob", "2", 20)
        await store.add_note("key", Note("alice", "1", 10), 5)
        assert await store.add_note("key", other, 10) is True
        assert await store.note("key", 10) == other

    async def test_of_many_who_note_one_key_one_succeeds(
        self, store: NoteStore, second: NoteStore
    ) -> None:
        """An assertion may be used once, also when it comes to several processes at once."""
        rivals = [Note(str(number), "", 10) for number in range(10)]
        stores = [store, second] * 5
        outcomes = await asyncio.gather(
            *(one.add_note("key", rival, 5) for one, rival in zip(stores, rivals, strict=True))
        )
        winners = [rival for rival, won in zip(rivals, outcomes, strict=True) if won]
        assert winners == [await store.note("key", 5)]

    async def test_a_note_can_be_dropped_once(self, store: NoteStore, second: NoteStore) -> None:
        await store.add_note("key", Note("alice", "", 10), 5)
        dropped = await asyncio.gather(*(one.drop_note("key") for one in [store, second] * 3))
        assert sorted(dropped) == [False] * 5 + [True]
        assert await store.note("key", 5) is None
        assert await store.add_note("key", Note("alice", "", 10), 5) is True

    async def test_the_notes_of_an_owner_are_dropped_together(self, store: NoteStore) -> None:
        for number in range(5):
            await store.add_note(f"key {number}", Note("alice", "", 10), 5)
        for word in WORDS.values():
            if word != "alice":
                await store.add_note(word, Note(word, "", 10), 5)
        assert await store.drop_notes("alice") == 5
        assert await store.drop_notes("alice") == 0
        assert await store.note("key 0", 5) is None
        kept_words = [word for word in WORDS.values() if await store.note(word, 5)]
        assert kept_words == [word for word in WORDS.values() if word != "alice"]


def _changed(account: Account, change: AccountChange) -> Account:
    fields = {name: getattr(change, name) for name in AccountChange.__slots__}
    return replace(account, **{name: v for name, v in fields.items() if v is not None})
