"""Who calls an endpoint that takes tokens and nothing else: the guard's own verdict."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from bearer_guard.credentials import bearer_token, field_value
from bearer_guard.errors import StoreUnavailable
from bearer_guard.verdict import Reason, Refusal, render

from ._credentials import client_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.requests import Request

    from bearer_guard.errors import BearerGuardError
    from bearer_guard.proxy_sso import ProxySso
    from bearer_guard.record import TokenInfo
    from bearer_guard.verdict import Verdict
    from bearer_guard.verify import Verifier

__all__ = ["Callers"]

_log: Final = logging.getLogger("bearer_guard")


class Callers:
    """Finds out whose token a request carries, or how to turn it away.

    Args:
        verifier: Knows tokens.
        proxy_sso: An identity of these beside a token is refused.
        realm: Of the challenges.
    """

    def __init__(self, verifier: Verifier, *, proxy_sso: ProxySso, realm: str) -> None:
        self._verifier: Final = verifier
        self._proxy_sso: Final = proxy_sso
        self._realm: Final = realm

    async def who(self, request: Request) -> TokenInfo | Response:
        """The caller's token, or the answer to credentials that are not good."""
        try:
            verdict = await self._verdict(request)
        except StoreUnavailable as error:
            return self.unavailable(error)
        return self.refused(verdict.reason) if isinstance(verdict, Refusal) else verdict.token

    async def _verdict(self, request: Request) -> Verdict:
        client = client_of(request)
        value = field_value(request.scope["headers"])
        text = value if isinstance(value, Reason) else bearer_token(value)
        if isinstance(text, Reason):
            refusal = Refusal(text)
            self._verifier.refusals.note(refusal, client=client)
            return refusal
        verdict = await self._verifier.verify(text.decode("latin-1"), address=client)
        header = self._proxy_sso.identity_in(request.scope["headers"])
        if isinstance(verdict, Refusal) or header is None:
            return verdict
        refusal = Refusal(Reason.PROXY_IDENTITY, verdict.token)
        self._verifier.refusals.note(refusal, header=header, client=client)
        return refusal

    def refused(self, reason: Reason, scopes: Collection[str] = ()) -> Response:
        """The guard's own answer."""
        status, headers, body = render(reason, realm=self._realm, scopes=scopes)
        answer = Response(body, status)
        answer.raw_headers = list(headers)
        return answer

    def unavailable(self, error: BearerGuardError) -> Response:
        """The answer where the store gives none."""
        _log.warning("a request of an endpoint was answered 503: %s", error)
        return self.refused(Reason.UNAVAILABLE)
