"""For tests: contracts that prove a store, a clock to move by hand, records to play with.

Needs pytest.
"""

from __future__ import annotations

import pytest

# So that a failed assert of a contract tells its values, as one of the tests' own does.
pytest.register_assert_rewrite(
    "bearer_guard.testing._contract_accounts",
    "bearer_guard.testing._contract_announcing",
    "bearer_guard.testing._contract_lists",
    "bearer_guard.testing._contract_log",
    "bearer_guard.testing._contract_records",
    "bearer_guard.testing._contract_settings",
)

from .clock import ManualClock  # noqa: E402 - after the line above, or it comes too late
from .contract import AccountStoreContract, NoteStoreContract, StoreContract  # noqa: E402
from .records import a_record, a_token  # noqa: E402

__all__ = [
    "AccountStoreContract",
    "ManualClock",
    "NoteStoreContract",
    "StoreContract",
    "a_record",
    "a_token",
]
