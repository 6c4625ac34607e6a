"""What happened, as frozen records, and who is told.

Events are for the audit: they carry token ids, owners and reasons, never a token, a password, a
key or a header's value. A listener is any callable; ``log_event`` writes to ``logging``.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AccountChanged",
    "Event",
    "Listener",
    "LogInFailed",
    "LogInSucceeded",
    "RequestRefused",
    "SettingsChanged",
    "TokenCreated",
    "TokenEnded",
    "TokensEnded",
    "emit",
    "log_event",
]

LOGGER: Final = logging.getLogger("bearer_guard.audit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of what happened.

    Attributes:
        at_ms: When, in Unix milliseconds.
    """

    name: ClassVar[str] = "event"
    level: ClassVar[int] = logging.INFO
    at_ms: int

    def fields(self) -> dict[str, Any]:
        """The event as plain JSON values, with its name and an ISO 8601 time."""
        values = {key: _plain(value) for key, value in asdict(self).items() if key != "at_ms"}
        at = datetime.fromtimestamp(self.at_ms / 1000, UTC).isoformat(timespec="milliseconds")
        return {"event": self.name, "at": at.replace("+00:00", "Z"), **values}


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCreated(Event):
    """A token was made. ``proven_by``: how its owner had proved who they are."""

    name: ClassVar[str] = "token.created"
    token_id: UUID
    owner: str
    proven_by: str
    expires_ms: int | None
    scopes: Sequence[str] = ()
    parent: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEnded(Event):
    """A token was ended, or will be at ``ended_ms``. ``by``: who did it."""

    name: ClassVar[str] = "token.ended"
    token_id: UUID
    owner: str
    by: str
    reason: str
    ended_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensEnded(Event):
    """All tokens of an owner, or of one line of them, were ended at once."""

    name: ClassVar[str] = "tokens.ended"
    owner: str
    by: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRefused(Event):
    """A request was turned away, for a reason worth knowing.

    Attributes:
        reason: Of ``verdict.Reason``.
        token_id: Where the token is genuine.
        header: The name of the header that carried a proxy identity, never its value.
        client: The caller's address, where the server tells it.
        count: How many refusals for this reason the event stands for. In a flood only one a
            second is told.
    """

    name: ClassVar[str] = "request.refused"
    level: ClassVar[int] = logging.WARNING
    reason: str
    token_id: UUID | None = None
    owner: str | None = None
    header: str | None = None
    client: str | None = None
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsChanged(Event):
    """The workspace's settings were changed. ``settings``: all of them, as they are now."""

    name: ClassVar[str] = "settings.changed"
    by: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChanged(Event):
    """An account was made or changed. ``changes``: the flags that were set, never a password."""

    name: ClassVar[str] = "account.changed"
    account: str
    by: str
    changes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogInSucceeded(Event):
    """Somebody proved who they are. ``method``: by what."""

    name: ClassVar[str] = "login.succeeded"
    account: str
    method: str
    client: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogInFailed(Event):
    """Somebody did not. ``account``: the name they gave, cut to 256 characters."""

    name: ClassVar[str] = "login.failed"
    level: ClassVar[int] = logging.WARNING
    account: str
    method: str
    client: str | None = None
    limited: bool = False


class Listener(Protocol):
    """Who is told. It must be quick: it is called where the thing happened, on the event loop."""

    def __call__(self, event: Event, /) -> None:
        """Take note."""
        ...


def log_event(event: Event, /) -> None:
    """Write the event to the logger ``bearer_guard.audit`` as one line of JSON."""
    if LOGGER.isEnabledFor(event.level):
        LOGGER.log(event.level, "%s", json.dumps(event.fields(), ensure_ascii=True))


def emit(listeners: Sequence[Listener], event: Event) -> None:
    """Tell everyone. A listener that fails is logged, and harms nobody."""
    for listener in listeners:
        try:
            listener(event)
        except Exception:
            logging.getLogger("bearer_guard").exception("an audit listener failed")


def _plain(value: object) -> object:
    return str(value) if isinstance(value, UUID) else value
