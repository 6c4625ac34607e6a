"""A process that verifies tokens over and over, and tells when each was refused first.

It reads one line of JSON: ``{"url": …, "hints": …, "tokens": {id: text}, "seconds": …}``. It prints
``ready`` once all are accepted, and in the end ``{id: seconds}`` by the monotonic clock, which all
processes of a machine share.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from bearer_guard import Accepted, Keyring, Verifier, open_store

if TYPE_CHECKING:
    from bearer_guard import Store

_PAUSE: Final = 0.001  # seconds between two rounds: the resolution


def mute(store: Store) -> None:
    """Let it push no hints."""
    setattr(store, "hints", lambda: None)  # noqa: B010 - to the type checkers it is a method


async def follow(order: dict[str, Any]) -> dict[str, float]:
    """When each token was refused first."""
    store = open_store(order["url"])
    if not order["hints"]:
        mute(store)
    verifier = Verifier(store, Keyring.from_env(), listeners=())
    await verifier.open()
    tokens: dict[str, str] = order["tokens"]
    for text in tokens.values():
        assert isinstance(await verifier.verify(text), Accepted)
    print("ready", flush=True)
    refused: dict[str, float] = {}
    deadline = time.monotonic() + order["seconds"]
    while tokens and time.monotonic() < deadline:
        for name in tuple(tokens):
            if not isinstance(await verifier.verify(tokens[name]), Accepted):
                refused[name] = time.monotonic()
                del tokens[name]
        await asyncio.sleep(_PAUSE)
    await verifier.close()
    return refused


if __name__ == "__main__":
    print(json.dumps(asyncio.run(follow(json.loads(sys.stdin.readline())))))
