"""The hit path: what every request with a token that is known pays for.

It is one closure and one loop, on purpose: ``benchmarks/hot_path.py`` asks for it. An attribute of
``self`` costs three times a variable of the closure, a call ten times, and each is paid on every
request. Whatever is not plainly good goes ``aside``, where nothing is spared.

*Remembered* is keyed by the SHA-256 of the whole field value, so that no token rests in memory and
nobody can aim at a bucket. Only the canonical spelling ``Bearer TOKEN`` is remembered, or one
holder could fill the memory with spellings. An entry needs nothing but two comparisons:

* its own ``until``: expiry, the end of a grace, T;
* ``vouched``: until when the last poll vouches for all that is remembered here.

An invalidated token is forgotten at once, and all are when a chain of polls breaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, MutableMapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from .user import TokenCredentials, TokenUser

__all__ = ["HotPath", "hot_path"]

# Entries hold two objects that the garbage collector walks: 8,192 of them cost a collection 4 ms.
# Beyond, a token is found in the cache of 100,000, which costs it nothing, and some µs more here.
MOST_REMEMBERED: Final = 8192
EVICTED_AT_ONCE: Final = 64  # to walk over the gaps of those before once, not for each
MOST_NAMES: Final = 1024

_Entry: TypeAlias = "tuple[float, int, TokenUser, TokenCredentials]"


@dataclass(frozen=True, slots=True)
class HotPath:
    """The ASGI callable, and how it is kept informed.

    Attributes:
        app: What the server calls.
        remember: The value of the field, until when, token id, user, credentials.
        forget: Of these token ids; ``None``: all.
        vouch: All that is remembered is good until then, in elapsed seconds.
        passed: Names of headers known to assert no identity.
        learn: Adds one to them.
    """

    app: ASGIApp
    remember: Callable[[bytes, float, int, TokenUser, TokenCredentials], None]
    forget: Callable[[Collection[int] | None], None]
    vouch: Callable[[float], None]
    passed: set[bytes]
    learn: Callable[[bytes], None]


def hot_path(  # noqa: C901, PLR0915 - one closure, see above
    app: ASGIApp,
    aside: ASGIApp,
    refuse: ASGIApp,
    *,
    forged: Callable[[bytes], bool],
    names: frozenset[bytes],
    short: Callable[[str], bool] | None,
    uses: MutableMapping[int, float],
    elapsed: Callable[[], float],
) -> HotPath:
    """Build the hit path of one guard.

    Args:
        app: The guarded application.
        aside: Where everything goes that is not plainly good.
        refuse: Where a request with a forged token goes.
        forged: Whether a field value is surely that of a forged token, in its canonical spelling.
        names: Lower-case names of headers known to assert no identity.
        short: Whether a path is surely guarded, and its requests short; ``None``: all are.
        uses: Where the latest use of a token is noted.
        elapsed: The clock of the deadlines.
    """
    remembered: dict[bytes, _Entry] = {}
    values: dict[int, bytes] = {}  # token id to the key of its entry
    passed: set[bytes] = set(names)
    vouched = float("-inf")

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            headers = scope["headers"]
        except KeyError:
            headers = None
        # Anything else than a list may be gone after it was walked over once.
        if (
            type(headers) is list
            and scope["type"] == "http"
            and (short is None or short(scope.get("path", "")))
        ):
            credentials = None
            for name, value in headers:
                if name in passed:
                    continue
                if name == b"authorization" and credentials is None:
                    credentials = value
                    continue
                break
            else:
                if credentials is not None:
                    entry = remembered.get(sha256(credentials).digest())
                    if entry is not None:
                        until, number, user, auth = entry
                        now = elapsed()
                        if now < until and now < vouched and "wsgi_environ" not in scope:
                            uses[number] = now
                            scope["user"] = user
                            scope["auth"] = auth
                            await app(scope, receive, send)
                            return
                    elif forged(credentials):
                        await refuse(scope, receive, send)
                        return
        await aside(scope, receive, send)

    def remember(
        value: bytes, until: float, number: int, user: TokenUser, auth: TokenCredentials
    ) -> None:
        if len(remembered) >= MOST_REMEMBERED:
            forget(tuple(islice(values, EVICTED_AT_ONCE)))  # the oldest
        key = sha256(value).digest()
        remembered[key] = (until, number, user, auth)
        values[number] = key

    def forget(numbers: Collection[int] | None) -> None:
        if numbers is None:
            remembered.clear()
            values.clear()
            return
        for number in numbers:
            key = values.pop(number, None)
            if key is not None:
                del remembered[key]

    def vouch(until: float) -> None:
        nonlocal vouched
        vouched = until

    def learn(name: bytes) -> None:
        # Names come from clients: when there are too many, those learnt are learnt anew.
        if len(passed) >= len(names) + MOST_NAMES:
            passed.intersection_update(names)
        passed.add(name)

    return HotPath(guard, remember, forget, vouch, passed, learn)
