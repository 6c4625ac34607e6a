"""Records, settings and accounts as the HTTP API spells them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bearer_guard.policy import Policy
    from bearer_guard.record import TokenRecord
    from bearer_guard.store import Account

__all__ = ["account_json", "iso", "settings_json", "token_json"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS: Final = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z
_DAY: Final = timedelta(days=1)


def iso(at_ms: int | None) -> str | None:
    """ISO 8601 in UTC, with milliseconds and ``Z``; ``None`` for what is no such time."""
    if at_ms is None or not 0 <= at_ms <= _LAST_MS:
        return None
    at = _EPOCH + timedelta(milliseconds=at_ms)  # not through a float, which has no room for it
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03}Z"


def token_json(record: TokenRecord) -> dict[str, object]:
    """A token as its owner may see it."""
    return {
        "tokenId": str(record.id),
        "description": record.description,
        "expiredAt": iso(record.expires_ms),
        "lastUsed": iso(record.last_used_ms),
        "createdAt": iso(record.created_ms),
        "scopes": list(record.scopes),
        "networks": list(record.networks),
    }


def settings_json(policy: Policy) -> dict[str, object]:
    """The workspace's settings; ``maxLifetimeDays`` is -1 where there is no limit."""
    limit = policy.max_lifetime
    days = -1 if limit is None else limit / _DAY
    return {
        "enabled": policy.enabled,
        "usersMayGenerate": policy.users_may_generate,
        "maxLifetimeDays": int(days) if days == int(days) else days,
        "allowNonExpiring": policy.allow_non_expiring,
    }


def account_json(account: Account) -> dict[str, object]:
    """An account, without its password's hash."""
    return {
        "name": account.name,
        "admin": account.admin,
        "mayGenerate": account.may_generate,
        "disabled": account.disabled,
    }
