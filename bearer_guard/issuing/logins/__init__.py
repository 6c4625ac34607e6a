"""Turns credentials into a principal. The seams for ways to prove a name, and what all share.

A *method* proves a name by a password: native accounts (``password``), a directory. ``LogIns``
tries them in order, holds the limits, and tells the audit. A *directory* says what somebody may do
of whom a token tells only the name (``token``).
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.errors import StoreUnavailable
from bearer_guard.events import LogInFailed, LogInSucceeded, emit, log_event
from bearer_guard.issuing.principal import Principal
from bearer_guard.issuing.rate import FailureLimits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bearer_guard.clock import Clock
    from bearer_guard.events import Listener

__all__ = ["Denied", "Directory", "Flags", "LogIns", "Method", "No"]

_NAME_SHOWN: Final = 256  # characters
_NOBODY_BYTES: Final = 16


class No(Enum):
    """Why a method proves nothing.

    ``STRANGER``: it does not know the name, so the next one is asked. ``WRONG``: it does, and the
    password is wrong or the account disabled; nobody else is asked about the name, or it could be
    two people's. The caller is told the same of both.
    """

    STRANGER = "stranger"
    WRONG = "wrong"


class Method(Protocol):
    """Proves a name by a password."""

    @property
    def name(self) -> str:
        """A word for the audit: ``password``, ``ldap``."""
        ...

    async def prove(self, name: str, password: str) -> Principal | No:
        """Whose name and password these are.

        Must refuse an empty password, which some directories take for an anonymous log-in, and
        take as long for a stranger as for a wrong password.

        Raises:
            StoreUnavailable: No answer in time, from the store or from the directory.
        """
        ...


class Flags(NamedTuple):
    """What somebody may do: see ``store.Account``."""

    admin: bool = False
    may_generate: bool = False
    disabled: bool = False


class Directory(Protocol):
    """Knows what its people may do."""

    async def flags(self, owner: str) -> Flags | None:
        """What the owner may do now; ``None``: it does not know the name.

        Raises:
            StoreUnavailable: No answer in time.
        """
        ...


@dataclass(frozen=True, slots=True)
class Denied:
    """A log-in that proved nothing.

    Attributes:
        retry_after: Seconds after which it may be tried again, where too many have failed; the
            password was not looked at. ``None``: name or password are wrong, or the account is
            disabled, and nobody is told which.
    """

    retry_after: int | None = None


class LogIns:
    """Log-ins by name and password, from the limits to the audit.

    Args:
        methods: Asked in this order.
        limits: On failures; share them among all who take passwords in this process.
        clock: Time.
        listeners: Who is told of each log-in.
    """

    def __init__(
        self,
        methods: Sequence[Method],
        *,
        limits: FailureLimits | None = None,
        clock: Clock = SYSTEM_CLOCK,
        listeners: Sequence[Listener] = (log_event,),
    ) -> None:
        self._methods: Final = methods
        self._limits: Final = limits or FailureLimits(clock=clock)
        self._clock: Final = clock
        self._listeners: Final = listeners

    async def log_in(
        self, name: str, password: str, *, client: str | None = None
    ) -> Principal | Denied:
        """Who this is, if the password proves it.

        Args:
            name: As it was given.
            password: As it was given.
            client: The caller's address, where the server tells it.

        Raises:
            StoreUnavailable: No answer in time. It is not counted as a failure.
        """
        wait_s = await self._limits.wait_s(name, client)
        if wait_s:  # at once, without queueing behind those who guess
            return self._limited(name, client, wait_s)
        async with self._limits.turn(name, client) as wait_s:
            if wait_s:
                return self._limited(name, client, wait_s)
            method, answer = await self._ask(name, password)
            if not isinstance(answer, Principal):
                await self._limits.count(name, client)
                self._tell_failed(name, method, client, limited=False)
                return Denied()
        self._tell_succeeded(answer, method, client)
        return answer

    async def _ask(self, name: str, password: str) -> tuple[str, Principal | No]:
        method = "none"
        answer: Principal | No = No.STRANGER
        for at, way in enumerate(self._methods):
            method, answer = way.name, await way.prove(name, password)
            if answer is No.WRONG:
                await _pretend(self._methods[at + 1 :], password)
            if answer is not No.STRANGER:
                break
        return method, answer

    def _limited(self, name: str, client: str | None, wait_s: int) -> Denied:
        self._tell_failed(name, "password", client, limited=True)
        return Denied(retry_after=wait_s)

    def _tell_failed(self, name: str, method: str, client: str | None, *, limited: bool) -> None:
        emit(
            self._listeners,
            LogInFailed(
                at_ms=self._clock.now_ms(),
                account=name[:_NAME_SHOWN],
                method=method,
                client=client,
                limited=limited,
            ),
        )

    def _tell_succeeded(self, principal: Principal, method: str, client: str | None) -> None:
        emit(
            self._listeners,
            LogInSucceeded(
                at_ms=self._clock.now_ms(), account=principal.name, method=method, client=client
            ),
        )


async def _pretend(methods: Sequence[Method], password: str) -> None:
    """Ask these about nobody: a wrong password takes as long as a name that nobody has.

    A password that they would not look at is one still; what was typed is shown to none of them.
    """
    like = "".join("x" if char.isprintable() else char for char in password)
    with suppress(StoreUnavailable):  # of an outage, the first answer tells nothing
        for method in methods:
            await method.prove(secrets.token_hex(_NOBODY_BYTES), like)
