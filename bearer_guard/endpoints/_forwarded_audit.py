"""What the audit is told of a request that a proxy asked about: what the client wanted of it."""

from __future__ import annotations

import dataclasses
import re
from contextvars import ContextVar
from typing import TYPE_CHECKING, ClassVar, Final

from bearer_guard.events import RequestRefused, emit
from bearer_guard.token import TokenForm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bearer_guard.events import Event, Listener

    from ._forwarded import Told

__all__ = ["ForwardedRefused", "Telling", "told_now"]

_LONGEST_PATH: Final = 256  # characters of it in the audit

# Of the request that is being answered; None: of a caller who is no known proxy.
told_now: ContextVar[Told | None] = ContextVar("bearer_guard_told", default=None)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ForwardedRefused(RequestRefused):
    """A proxy's request was turned away.

    Attributes:
        method: Which the client used, as the proxy tells it.
        path: Which it asked for, likewise; without the query, and without tokens of ours.
    """

    name: ClassVar[str] = RequestRefused.name
    method: str = ""
    path: str = ""


class Telling:
    """A listener that adds to a refusal what the proxy had been asked for.

    Args:
        listeners: Who is told.
        prefix: Of the tokens, which are cut out of paths.
    """

    def __init__(self, listeners: Sequence[Listener], prefix: str) -> None:
        self._listeners: Final = listeners
        self._token: Final = re.compile(TokenForm(prefix).pattern())

    def __call__(self, event: Event) -> None:
        """Pass it on."""
        told = told_now.get()
        if isinstance(event, RequestRefused) and told is not None:
            asked = told.asked()
            known = {f.name: getattr(event, f.name) for f in dataclasses.fields(event)}
            path = self._token.sub("(a token)", asked.path)[:_LONGEST_PATH]
            event = ForwardedRefused(**known, method=asked.method[:_LONGEST_PATH], path=path)
        emit(self._listeners, event)
