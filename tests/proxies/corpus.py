"""The project's own list of identity headers and near misses, sent through whatever is in front."""

from __future__ import annotations

import json
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.proxies.wire import KeptAlive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.proxies.wire import Answered

_VECTORS: Final[dict[str, Any]] = json.loads(
    (Path(__file__).resolve().parents[1] / "vectors" / "proxy_sso.json").read_text(encoding="utf-8")
)
_MARK: Final = "mallory"
# Near misses that say something else to a server: where the request ends, or what it asks for.
_SPEAKING: Final = {"ordinary", "our own"}
_TELLING: Final = {"x-original-uri", "x-original-url", "x-original-method"} | {
    *("x-forwarded-uri", "x-forwarded-method", "x-forwarded-for")
}

REFUSED, CUT, TAKEN, PASSED = "403", "another refusal", "taken away", "passed"
GOT_THROUGH: Final = "got through"


def identities(turn: int) -> Iterator[str]:
    """Each header as its product spells it, and in one spelling more; which, takes turns."""
    for number, row in enumerate(_VECTORS["refused"]):
        spellings = row["spellings"]
        yield row["name"]
        yield spellings[(number + turn) % len(spellings)]


def near_misses() -> Iterator[str]:
    """Each header that is easily taken for an identity, and is none."""
    families = (family for family in _VECTORS["passes"] if family["family"] not in _SPEAKING)
    names = chain.from_iterable(family["names"] for family in families)
    return (name for name in names if name.lower() not in _TELLING)


def tally(
    port: int, bearer: bytes, turn: int, reached: Callable[[Answered], str | None]
) -> tuple[Counter[str], Counter[str]]:
    """What became of identities beside a good token, and of near misses.

    Args:
        port: Of what is in front.
        bearer: The token's header line.
        turn: Which spellings.
        reached: All that a service behind was sent with a request; ``None``: it got none.
    """
    line = KeptAlive(port)

    def verdict(name: str) -> str:
        answer = line.ask([bearer, f"{name}: {_MARK}".encode("latin-1")])
        sent = reached(answer)
        if sent is None:
            return REFUSED if answer.status == 403 else CUT
        return GOT_THROUGH if _MARK in sent else TAKEN

    found, missed = (Counter(map(verdict, names)) for names in (identities(turn), near_misses()))
    line.close()
    return found, missed
