"""What it means to be a store: suites for pytest that prove an adapter.

A subclass says how a store is made; the tests are inherited::

    class TestMyStore(StoreContract, AccountStoreContract, NoteStoreContract):
        @pytest.fixture
        async def store(self, clock):
            store = MyStore("my://localhost/test", clock=clock)
            await store.open()
            yield store
            await store.close()

        @pytest.fixture
        async def second(self, store, clock):
            other = MyStore("my://localhost/test", clock=clock)
            await other.open()
            yield other
            await other.close()

Each test begins with an empty store. The tests are coroutines: run them with pytest-asyncio in its
auto mode, or mark the class as that plugin, or anyio's, wants it.

``store`` must be given. What else can be replaced, in the subclass, is named in ``Contract``: the
fixtures ``clock`` (a ``ManualClock``) and ``second`` (another object on the same data, as another
process would have; the default is ``store`` itself, which proves less), and the hooks
``add_many``, ``break_store``, ``trim_log`` and ``lose_revisions``.
"""

from __future__ import annotations

from ._contract_accounts import AccountsContract, NotesContract
from ._contract_announcing import AnnouncingContract
from ._contract_lists import ListingContract, PurgingContract
from ._contract_log import ChangesContract
from ._contract_records import EndingContract, KeepingContract
from ._contract_settings import SettingsContract

__all__ = ["AccountStoreContract", "NoteStoreContract", "StoreContract"]


class StoreContract(
    KeepingContract,
    EndingContract,
    ChangesContract,
    SettingsContract,
    AnnouncingContract,
    ListingContract,
    PurgingContract,
):
    """What ``bearer_guard.store.Store`` asks for."""


class AccountStoreContract(AccountsContract):
    """What ``AccountStore`` asks for, of an adapter that is a ``Store`` too."""


class NoteStoreContract(NotesContract):
    """What ``NoteStore`` asks for."""
