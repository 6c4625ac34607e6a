"""Reports of leaked tokens, as GitHub's secret scanning sends them to its partners.

    routes = leak_routes(store, keyring, keys=Path("github-keys.json"))

``POST /secret-scanning/github``: each genuine token in a signed report is ended, with its whole
family: whoever found it may have made others with it, or renewed it. The answer says of each
whether it was one of ours. Every report may be repeated without harm.

Source: https://docs.github.com/en/code-security/secret-scanning/secret-scanning-partner-program
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.errors import InvalidRequest, StoreUnavailable
from bearer_guard.events import TokenEnded, TokensEnded, emit, log_event
from bearer_guard.record import EndReason
from bearer_guard.token import DEFAULT_PREFIX, TokenForm
from bearer_guard.verdict import Reason

from . import _answers
from ._body import read_body
from ._route import MethodRoute
from ._signatures import PublicKeys

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from uuid import UUID

    from starlette.requests import Request
    from starlette.routing import Route

    from bearer_guard.clock import Clock
    from bearer_guard.events import Listener
    from bearer_guard.keyring import Keyring
    from bearer_guard.record import TokenRecord
    from bearer_guard.store import Store

__all__ = ["leak_routes"]

_MAX_REPORT: Final = 1024 * 1024  # bytes: some thousand tokens
_BATCH: Final = 200  # ids in one read
_BY: Final = "github-secret-scanning"

_log: Final = logging.getLogger("bearer_guard")


def leak_routes(
    store: Store,
    keyring: Keyring,
    *,
    keys: Path,
    path: str = "/secret-scanning/github",
    prefix: str = DEFAULT_PREFIX,
    clock: Clock = SYSTEM_CLOCK,
    listeners: Sequence[Listener] = (log_event,),
) -> list[Route]:
    """The route; a signature takes the place of credentials, so it stands outside of the guard.

    Args:
        store: Where records are; whoever mounts this opens it.
        keyring: The store's.
        keys: A file with the public keys of those who report. It may be replaced at any time.
        path: Where reports come in.
        prefix: Of the tokens.
        clock: Time.
        listeners: Told which tokens were ended.

    Raises:
        ConfigurationError: The file has no such keys.
    """
    leaks = _Leaks(store, keyring, PublicKeys(keys), TokenForm(prefix), clock, listeners)
    return [MethodRoute(path, leaks.serve, methods=["POST"])]


@dataclass(frozen=True, slots=True)
class _Report:
    """One token that was found somewhere; ``kind``: the reporter's name for such tokens."""

    token: str = field(repr=False)
    kind: str
    url: str


@dataclass(frozen=True, slots=True)
class _Leaks:
    """The endpoint."""

    store: Store
    keyring: Keyring
    keys: PublicKeys
    form: TokenForm
    clock: Clock
    listeners: Sequence[Listener]

    async def serve(self, request: Request) -> Response:
        """Answer one report, whatever comes."""
        try:
            body = await read_body(request, _MAX_REPORT)
            if not self._signed(request, body):
                return _answers.error(403, "access_denied", "the signature is not good")
            return _answers.json_answer(await self._end_all(_parse(body)))
        except InvalidRequest as refusal:
            return _answers.why_not(refusal)
        except StoreUnavailable as error:
            _log.warning("a leak report was answered 503: %s", error)
            return _answers.refused(Reason.UNAVAILABLE, realm="")
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to be told

    def _signed(self, request: Request, body: bytes) -> bool:
        return self.keys.signed(
            body,
            key_id=request.headers.get("github-public-key-identifier", ""),
            signature=request.headers.get("github-public-key-signature", ""),
        )

    async def _end_all(self, reports: list[_Report]) -> list[dict[str, str]]:
        """End what is ours; what to say of each report, the token itself left out."""
        ids = {report.token: self._genuine(report.token) for report in reports}
        records = await self._records([token_id for token_id in ids.values() if token_id])
        for report in reports:
            token_id = ids[report.token]
            record = records.get(token_id) if token_id else None
            if record is not None and self._is_of(record, report.token):
                _log.warning("token %s of %s is public: %r", record.id, record.owner, report.url)
                await self._end(record)
        return [
            {
                "token_hash": sha256(report.token.encode("utf-8", "surrogatepass")).hexdigest(),
                "token_type": report.kind,
                "label": "true_positive" if ids[report.token] else "false_positive",
            }
            for report in reports
        ]

    def _genuine(self, token: str) -> UUID | None:
        """The id of a token that was made with one of our keys."""
        parts = self.form.parse(token.encode("utf-8", "surrogatepass"))
        made_here = parts is not None and self.keyring.vouches(parts.tagged, parts.tag)
        return parts.id if parts is not None and made_here else None

    async def _records(self, ids: list[UUID]) -> dict[UUID, TokenRecord]:
        found: dict[UUID, TokenRecord] = {}
        for start in range(0, len(ids), _BATCH):
            found |= await self.store.fetch(ids[start : start + _BATCH])
        return found

    def _is_of(self, record: TokenRecord, token: str) -> bool:
        """Whether the record is genuine, and that of this token: its family can be believed."""
        matches = self.keyring.matches(record.key_id, record.digest, token.encode())
        return matches and self.keyring.sealed(record)

    async def _end(self, record: TokenRecord) -> None:
        now_ms = self.clock.now_ms()
        count = await self.store.end_all(
            record.owner, now_ms, family=record.family, reason=EndReason.LEAKED
        )
        was_live = record.ended_ms is None or record.ended_ms > now_ms
        common: dict[str, Any] = {
            "at_ms": now_ms,
            "owner": record.owner,
            "by": _BY,
            "reason": EndReason.LEAKED,
        }
        if was_live and count:
            emit(self.listeners, TokenEnded(token_id=record.id, ended_ms=now_ms, **common))
        if count > was_live:
            emit(self.listeners, TokensEnded(count=count, **common))


def _parse(body: bytes) -> list[_Report]:
    """The reports of a body.

    Raises:
        InvalidRequest: It has another form. The message has none of it.
    """
    try:
        return [
            _Report(str(row["token"]), str(row["type"]), str(row.get("url", "")))
            for row in json.loads(body)
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InvalidRequest("a report is a list of objects with token, type and url") from None
