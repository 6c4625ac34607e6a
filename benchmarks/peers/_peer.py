"""What a peer is, and how it is checked before it is measured."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks._asgi import bare, request, requests, status_of, time_round

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AsyncExitStack

    from starlette.types import ASGIApp

    from benchmarks._measure import Form

__all__ = ["PEER_TOKENS", "Peer", "asgi_peer", "name_of", "scratch"]

PEER_TOKENS: Final = 8  # fewer than the guard's own, for some take long to make: to their advantage
_LIGHT_CALLS: Final = 400
_REFUSED: Final = range(401, 404)


@dataclass(frozen=True, slots=True)
class Peer:
    """A library, ready to be measured.

    Attributes:
        name: With its version.
        base: What it is compared with.
        bare: A round of that.
        guarded: A round of the same with the library in front.
        setting: How it is set up.
    """

    name: str
    base: str
    bare: Form
    guarded: Form
    setting: str


def name_of(package: str, more: str = "") -> str:
    """Its name and version."""
    return f"{package} {version(package)}{more}"


async def asgi_peer(
    name: str,
    guarded: ASGIApp,
    tokens: Sequence[str],
    *,
    setting: str,
    base: tuple[str, ASGIApp] = ("bare", bare),
    scheme: str = "Bearer",
    calls: int = _LIGHT_CALLS,
) -> Peer:
    """A peer in ASGI, if it lets good tokens through and no others."""
    headers = requests(tokens, scheme)
    wrong = request(tokens[0][:-4] + "AAAA", scheme)
    status, refused = await status_of(guarded, headers[0]), await status_of(guarded, wrong)
    assert status in {200, 204}, (name, status)
    assert refused in _REFUSED, (name, refused)
    return Peer(
        name,
        base[0],
        partial(time_round, base[1], headers, calls=calls),
        partial(time_round, guarded, headers, calls=calls),
        setting,
    )


def scratch(stack: AsyncExitStack) -> Path:
    """A folder that is deleted at the end; in memory where the machine has a place for it."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder is made in it with a name of its own
    where = memory if memory.is_dir() else None
    return Path(stack.enter_context(tempfile.TemporaryDirectory(dir=where)))
