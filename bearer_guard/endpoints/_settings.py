"""``/apiAccessTokenSettings`` of the HTTP API."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from bearer_guard.errors import InvalidRequest

from ._answers import json_answer
from ._format import settings_json
from ._json import read_fields

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from bearer_guard.issuing import Issuer, Principal
    from bearer_guard.issuing.issuer import SettingsChange

    from ._json import Fields

__all__ = ["Settings"]

_UNLIMITED: Final = -1  # of ``maxLifetimeDays``


class Settings:
    """Handlers over an issuer."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer: Final = issuer

    async def get(self, request: Request, principal: Principal) -> Response:
        """``GET``: for every user."""
        del request
        return json_answer(settings_json(await self._issuer.settings(principal)))

    async def change(self, request: Request, principal: Principal) -> Response:
        """``PATCH``: for administrators; what is left out stays."""
        principal.must_be_admin()
        allowed = ("enabled", "usersMayGenerate", "maxLifetimeDays", "allowNonExpiring")
        changes = _changes(await read_fields(request, allowed))
        return json_answer(settings_json(await self._issuer.change_settings(principal, **changes)))


def _changes(fields: Fields) -> SettingsChange:
    changes: SettingsChange = {}
    if "enabled" in fields:
        changes["enabled"] = fields.take("enabled", bool)
    if "usersMayGenerate" in fields:
        changes["users_may_generate"] = fields.take("usersMayGenerate", bool)
    if "maxLifetimeDays" in fields:
        changes["max_lifetime"] = _limit(fields.take("maxLifetimeDays", int))
    if "allowNonExpiring" in fields:
        changes["allow_non_expiring"] = fields.take("allowNonExpiring", bool)
    return changes


def _limit(days: int) -> timedelta | None:
    if days == _UNLIMITED:
        return None
    if days <= 0:
        raise InvalidRequest("maxLifetimeDays must be positive, or -1 for no limit")
    try:
        return timedelta(days=days)
    except OverflowError:
        raise InvalidRequest("so many days are beyond the year 9999; -1 is no limit") from None
