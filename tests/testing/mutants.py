"""Runs one test of a contract on a store that breaks a rule."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from bearer_guard.stores.memory import MemoryStore
from bearer_guard.testing import ManualClock
from bearer_guard.testing._contract_base import Contract


async def notices(
    contract: type[Contract], test: str, store: Callable[..., MemoryStore], **parameters: object
) -> bool:
    """Whether ``test`` passes with the store in memory, and fails with ``store``."""
    await _run(contract, test, MemoryStore, parameters)
    try:
        await _run(contract, test, store, parameters)
    except (AssertionError, pytest.fail.Exception, BaseExceptionGroup, ValueError, LookupError):
        return True
    return False


async def _run(
    contract: type[Contract],
    test: str,
    make: Callable[..., MemoryStore],
    parameters: dict[str, Any],
) -> None:
    clock = ManualClock()
    store = make(clock=clock)
    await store.open()
    method = getattr(contract(), test)
    offered = parameters | {"store": store, "second": store, "clock": clock}
    await method(**{name: offered[name] for name in inspect.signature(method).parameters})
