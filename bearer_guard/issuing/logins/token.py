"""A valid token proves its owner, too: the way to make the next one without a password.

The record is read afresh each time: the issuing side remembers nothing.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from bearer_guard.clock import SYSTEM_CLOCK, ForwardClock
from bearer_guard.errors import StoreUnavailable
from bearer_guard.issuing.principal import Principal
from bearer_guard.judge import allowed_from, judge
from bearer_guard.record import Use
from bearer_guard.token import DEFAULT_PREFIX, TokenForm
from bearer_guard.verdict import Reason, Refusal

from . import Flags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bearer_guard.clock import Clock
    from bearer_guard.keyring import Keyring
    from bearer_guard.record import TokenRecord
    from bearer_guard.store import TokenReader

    from . import Directory

__all__ = ["TokenLogin"]


class TokenLogin:
    """Proves the owners of tokens.

    Args:
        store: Where records are kept.
        keyring: Whose tags, digests and seals count.
        directories: Asked in this order what an owner may do; whom none knows may do nothing but
            what the policy grants to all.
        clock: Time.
        prefix: Of the tokens.
    """

    def __init__(
        self,
        store: TokenReader,
        keyring: Keyring,
        *,
        directories: Sequence[Directory] = (),
        clock: Clock = SYSTEM_CLOCK,
        prefix: str = DEFAULT_PREFIX,
    ) -> None:
        self._store: Final = store
        self._keyring: Final = keyring
        self._directories: Final = directories
        self._clock: Final = ForwardClock(clock)
        self._form: Final = TokenForm(prefix)

    async def log_in(self, token: bytes, *, client: str | None = None) -> Principal | Refusal:
        """Whose token this is, if it is good now and may be used from here.

        Args:
            token: The whole text, without the scheme.
            client: The caller's address, where the server tells it.

        Raises:
            StoreUnavailable: No answer in time.
        """
        parts = self._form.parse(token)
        if parts is None:
            return Refusal(Reason.MALFORMED)
        if not self._keyring.vouches(parts.tagged, parts.tag):
            return Refusal(Reason.FORGED)
        records = await self._store.fetch([parts.id])
        policy = await self._store.policy()
        verdict = judge(
            records.get(parts.id),
            keyring=self._keyring,
            token=token,
            policy=policy,
            now_ms=self._clock.now_ms(),
        )
        if isinstance(verdict, Refusal):
            return verdict
        return await self._owner(records[parts.id], client)

    async def _owner(self, record: TokenRecord, client: str | None) -> Principal | Refusal:
        if not allowed_from(record.networks, client):
            return Refusal(Reason.NETWORK, record.info())
        flags = await self._flags(record.owner)
        if flags.disabled:
            return Refusal(Reason.OWNER_DISABLED, record.info())
        with suppress(StoreUnavailable):  # to have seen it is nice, to answer is the task
            await self._store.touch({record.id: Use(self._clock.now_ms(), client)})
        return Principal(
            record.owner,
            admin=flags.admin,
            may_generate=flags.may_generate,
            proven_by="token",
            token=record,
        )

    async def _flags(self, owner: str) -> Flags:
        for directory in self._directories:
            flags = await directory.flags(owner)
            if flags is not None:
                return flags
        return Flags()
