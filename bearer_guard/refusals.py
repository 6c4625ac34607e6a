"""Refusals worth knowing, told to the audit without letting a flood of them drown it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypedDict

from .events import RequestRefused, emit
from .verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack
    from uuid import UUID

    from .clock import ForwardClock
    from .events import Listener
    from .verdict import Refusal

__all__ = ["Refusals"]

EVERY_SECONDS: Final = 1.0  # at most one event in it for one token and reason
MOST_PLACES: Final = 1024
_WORTH_KNOWING: Final = frozenset(
    {
        Reason.FORGED,
        Reason.UNKNOWN,
        Reason.TAMPERED,
        Reason.ENDED,
        Reason.OWNER_DISABLED,
        Reason.NETWORK,
        Reason.PROXY_IDENTITY,
    }
)


class Refusals:
    """Counts refusals, and tells listeners of those worth knowing.

    Args:
        listeners: Who is told.
        clock: Time.
    """

    def __init__(self, listeners: Sequence[Listener], clock: ForwardClock) -> None:
        self._listeners: Final = listeners
        self._clock: Final = clock
        self._elapsed: Final = clock.elapsed
        self._counts: Final = dict.fromkeys(Reason, 0)
        #: Forgeries are counted in silence until then, in elapsed seconds: see ``silenced``.
        self._silent_until = float("-inf")
        self._silenced = 0
        # Where and when the next event is due, and how many refusals wait to be told.
        self._due: dict[tuple[Reason, UUID | None], tuple[float, int]] = {}

    def silenced(self) -> bool:
        """Count a forged token without a word, if one was told of in this second.

        A flood of forgeries is refused at the price of a comparison each.
        """
        if self._elapsed() >= self._silent_until:
            return False
        self._silenced += 1
        return True

    @property
    def counts(self) -> dict[Reason, int]:
        """How many requests were refused, by reason."""
        forged = self._counts[Reason.FORGED] + self._silenced
        return {**self._counts, Reason.FORGED: forged}

    def note(self, refusal: Refusal, *, header: str | None = None, client: str | None) -> None:
        """A request was refused.

        Args:
            refusal: Why, and which token's holder, where it is genuine.
            header: The name of the one with a proxy identity.
            client: The caller's address.
        """
        count = 1
        if refusal.reason is Reason.FORGED:
            self._silent_until = self._clock.elapsed() + EVERY_SECONDS
            count += self._silenced
            self._silenced = 0
        self._counts[refusal.reason] += count
        if refusal.reason not in _WORTH_KNOWING or not self._listeners:
            return
        place = (refusal.reason, None if refusal.token is None else refusal.token.id)
        now = self._clock.elapsed()
        due, waiting = self._due.get(place, (now, 0))
        if now < due:
            self._due[place] = (due, waiting + count)
            return
        if len(self._due) >= MOST_PLACES:
            self._tell_what_waits()
        self._due[place] = (now + EVERY_SECONDS, 0)
        token = refusal.token
        self._tell(
            refusal.reason,
            count=waiting + count,
            token_id=None if token is None else token.id,
            owner=None if token is None else token.owner,
            header=header,
            client=client,
        )

    def _tell_what_waits(self) -> None:
        """Make room: more events than one a second, rather than more memory or a wrong sum."""
        places, self._due = self._due, {}
        for (reason, token_id), (_, waiting) in places.items():
            if waiting:
                self._tell(reason, count=waiting, token_id=token_id)

    def _tell(self, reason: Reason, **fields: Unpack[_Fields]) -> None:
        event = RequestRefused(at_ms=self._clock.now_ms(), reason=reason.value, **fields)
        emit(self._listeners, event)


class _Fields(TypedDict, total=False):
    count: int
    token_id: UUID | None
    owner: str | None
    header: str | None
    client: str | None
