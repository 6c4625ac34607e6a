"""Who makes a request of the HTTP API: Basic (RFC 7617) or Bearer (RFC 6750), nothing else."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bearer_guard.credentials import bearer_token, field_value
from bearer_guard.issuing.logins import Denied
from bearer_guard.verdict import Reason, Refusal

from . import _answers

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from bearer_guard.issuing import Principal
    from bearer_guard.issuing.logins import LogIns
    from bearer_guard.issuing.logins.token import TokenLogin
    from bearer_guard.proxy_sso import ProxySso
    from bearer_guard.refusals import Refusals

__all__ = ["Basic", "Gate", "basic_credentials", "client_of"]

_OWS: Final = b" \t"  # RFC 9110 section 5.6.3
_SCHEME: Final = b"basic "


@dataclass(frozen=True, slots=True)
class Basic:
    """A name and a password, as they were sent."""

    name: str
    password: str = field(repr=False)


class Gate:
    """Finds out who makes a request, or how to turn it away.

    Args:
        log_ins: For Basic.
        tokens: For Bearer.
        proxy_sso: An identity of these beside any credentials is refused.
        realm: Of the challenges.
        refusals: Tells the audit.
    """

    def __init__(
        self,
        *,
        log_ins: LogIns,
        tokens: TokenLogin,
        proxy_sso: ProxySso,
        realm: str,
        refusals: Refusals,
    ) -> None:
        self.log_ins: Final = log_ins
        self._tokens: Final = tokens
        self._proxy_sso: Final = proxy_sso
        self._realm: Final = realm
        self._refusals: Final = refusals

    async def who(self, request: Request) -> Principal | Response:
        """The principal, or the answer to credentials that prove nobody.

        Raises:
            StoreUnavailable: No answer in time.
        """
        client = client_of(request)
        value = field_value(request.scope["headers"])
        if isinstance(value, Reason):
            return self._refuse(Refusal(value), client)
        if header := self._proxy_identity(request):
            return self._refuse(Refusal(Reason.PROXY_IDENTITY), client, header=header)
        basic = basic_credentials(value)
        if isinstance(basic, Basic):
            if _of_another_site(request):
                return _answers.error(403, "cross_site", "another site's page may not do this")
            return await self._by_password(basic, client)
        token = bearer_token(value) if basic is Reason.MISSING else None
        if token is None:
            return _answers.unauthorized(realm=self._realm)
        return await self._by_token(token, client)

    async def _by_password(self, basic: Basic, client: str | None) -> Principal | Response:
        outcome = await self.log_ins.log_in(basic.name, basic.password, client=client)
        if not isinstance(outcome, Denied):
            return outcome
        if outcome.retry_after is None:
            return _answers.unauthorized(realm=self._realm)
        return _answers.too_many(outcome.retry_after)

    async def _by_token(self, token: bytes | Reason, client: str | None) -> Principal | Response:
        if isinstance(token, Reason):
            return self._refuse(Refusal(token), client)
        outcome = await self._tokens.log_in(token, client=client)
        return self._refuse(outcome, client) if isinstance(outcome, Refusal) else outcome

    def _proxy_identity(self, request: Request) -> str | None:
        header = self._proxy_sso.identity_in(request.scope["headers"])
        if header is None and "wsgi_environ" in request.scope:
            header = self._proxy_sso.identity_in_environ(request.scope["wsgi_environ"])
        return header

    def _refuse(
        self, refusal: Refusal, client: str | None, *, header: str | None = None
    ) -> Response:
        self._refusals.note(refusal, header=header, client=client)
        return _answers.refused(refusal.reason, realm=self._realm)


def _of_another_site(request: Request) -> bool:
    """Whether a page of another site makes the browser do this, with a password it remembers.

    Source: Fetch Metadata Request Headers (W3C), section 2.3.
    """
    unsafe = request.method not in {"GET", "HEAD"}
    return unsafe and request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}


def client_of(request: Request) -> str | None:
    """The caller's address, where the server tells it."""
    return None if request.client is None else request.client.host


def basic_credentials(value: bytes) -> Basic | Reason:
    """The name and the password of a field value.

    Returns:
        Them, ``MISSING`` for another scheme, or ``MALFORMED``: not base64 as RFC 4648 section 4
        has it, not UTF-8 (we ask for it, RFC 7617 section 2.1), no colon, or control characters.
    """
    value = value.strip(_OWS)
    if value[: len(_SCHEME)].lower() != _SCHEME:
        return Reason.MISSING
    try:
        text = base64.b64decode(value[len(_SCHEME) :].lstrip(b" "), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return Reason.MALFORMED
    name, colon, password = text.partition(":")
    if not colon or any(char < " " or char == "\x7f" for char in text):
        return Reason.MALFORMED
    return Basic(name, password)
