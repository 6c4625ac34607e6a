"""What adapters do to an account."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bearer_guard.store import Account, AccountChange

__all__ = ["changed"]


def changed(account: Account, change: AccountChange) -> Account:
    """``account`` with those fields replaced that ``change`` sets."""
    fields = {name: value for name, value in asdict(change).items() if value is not None}
    return replace(account, **fields)
