"""The workspace's settings: who may have tokens, and for how long.

Kept in the store and changed at run time; every process obeys a change within the revocation
bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from .errors import ConfigurationError, LifetimeTooLong

__all__ = ["Policy"]

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Policy:
    """The workspace's settings. The defaults are those of a new store.

    Attributes:
        enabled: Off: the token routes do not exist, and existing tokens stop working until it is
            on again.
        users_may_generate: On: every user may make tokens. Off: administrators, and the users who
            were enabled one by one.
        max_lifetime: The longest lifetime of a new token; ``None``: unlimited.
        allow_non_expiring: Whether a new token may never expire.
    """

    enabled: bool = True
    users_may_generate: bool = False
    max_lifetime: timedelta | None = None
    allow_non_expiring: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no setting, and a limit that no token could meet.

        Raises:
            ConfigurationError: A switch is neither true nor false, or ``max_lifetime`` is no
                ``timedelta``, or not positive.
        """
        switches = (self.enabled, self.users_may_generate, self.allow_non_expiring)
        if not all(isinstance(switch, bool) for switch in switches):
            raise ConfigurationError("a switch of the settings must be true or false")
        if not isinstance(self.max_lifetime, timedelta | None):
            raise ConfigurationError("max_lifetime must be a timedelta, or None for no limit")
        if self.max_lifetime is not None and self.max_lifetime <= timedelta(0):
            msg = "max_lifetime must be positive, or None for no limit"
            raise ConfigurationError(msg)

    def check_lifetime(self, lifetime: timedelta | None) -> None:
        """Let a lifetime pass, or say which limit it breaks.

        Args:
            lifetime: Of the new token; ``None``: it never expires.

        Raises:
            LifetimeTooLong: Beyond the limit, which the message names.
        """
        if lifetime is None:
            if not self.allow_non_expiring:
                msg = "tokens that never expire are not allowed here" + self._limit(", ")
                raise LifetimeTooLong(msg)
        elif self.max_lifetime is not None and lifetime > self.max_lifetime:
            raise LifetimeTooLong("the lifetime is too long" + self._limit(": "))

    def _limit(self, joint: str) -> str:
        if self.max_lifetime is None:
            return ""
        days = self.max_lifetime / _DAY
        seconds = self.max_lifetime.total_seconds()
        return f"{joint}the limit is {days:g} days ({seconds:.15g} seconds)"
