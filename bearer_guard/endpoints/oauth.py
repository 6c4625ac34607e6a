"""OAuth's ways to ask about a token and to end one, for programs that speak them.

    routes = oauth_routes(verifier, issuer, resource="https://api.example.com")

* ``POST /oauth/introspect``: RFC 7662. Whatever is not good is ``{"active": false}`` and no more.
* ``POST /oauth/revoke``: RFC 7009.
* ``GET /.well-known/oauth-protected-resource``: RFC 9728, where the resource has a name.

The first two take a Bearer token of the caller's own. It may ask about, and end, tokens of the same
owner; with the scope ``introspect``, everybody's. To ask is to use: it counts as a use of the token
asked about.
"""

from __future__ import annotations

import json
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from bearer_guard.errors import (
    ConfigurationError,
    InvalidRequest,
    KeyringError,
    NotFound,
    StoreUnavailable,
)
from bearer_guard.issuing import Principal
from bearer_guard.proxy_sso import ProxySso
from bearer_guard.verdict import Reason, Refusal

from . import _answers
from ._body import read_form
from ._callers import Callers
from ._route import MethodRoute

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request
    from starlette.routing import Route

    from bearer_guard.issuing import Issuer
    from bearer_guard.record import TokenInfo
    from bearer_guard.verify import Verifier

__all__ = ["INTROSPECT", "WELL_KNOWN", "metadata_url", "oauth_routes"]

INTROSPECT: Final = "introspect"  # the scope that opens everybody's tokens
WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"

_Handler: TypeAlias = "Callable[[TokenInfo, dict[str, str]], Awaitable[Response]]"


def oauth_routes(
    verifier: Verifier,
    issuer: Issuer,
    *,
    resource: str | None = None,
    scopes: Sequence[str] = (),
    authorization_servers: Sequence[str] = (),
    prefix: str = "/oauth",
    proxy_sso: ProxySso = ProxySso.default(),  # noqa: B008 - it is immutable
    realm: str = "api",
) -> list[Route]:
    """The routes; they need credentials of their own and stand outside of the guard.

    Args:
        verifier: Says which tokens are good.
        issuer: Ends tokens; over the verifier's store, so that it is obeyed here at once.
        resource: The URL of what is guarded; ``None``: there is no metadata document.
        scopes: That the resource knows of, for the metadata.
        authorization_servers: URLs, for the metadata.
        prefix: Of the first two paths.
        proxy_sso: Identities of reverse proxies that are refused beside a token.
        realm: Of the challenges.

    Raises:
        ConfigurationError: The resource is no URL that RFC 9728 section 1.2 allows.
    """
    oauth = _OAuth(verifier, issuer, Callers(verifier, proxy_sso=proxy_sso, realm=realm))
    routes: list[Route] = [
        MethodRoute(f"{prefix}/{name}", partial(oauth.serve, handler), methods=["POST"])
        for name, handler in (("introspect", oauth.introspect), ("revoke", oauth.revoke))
    ]
    if resource is not None:
        lists = {
            "bearer_methods_supported": ["header"],
            "scopes_supported": list(scopes),
            "authorization_servers": list(authorization_servers),
        }
        metadata = {"resource": resource, **{name: of for name, of in lists.items() if of}}
        path = urlsplit(metadata_url(resource)).path
        routes.append(MethodRoute(path, partial(_tell, json.dumps(metadata).encode())))
    return routes


def metadata_url(resource: str) -> str:
    """Where the metadata document of a resource is: RFC 9728 section 3.1.

    Raises:
        ConfigurationError: The resource is no URL that section 1.2 allows.
    """
    url = urlsplit(resource)
    secure = url.scheme == "https" or (url.scheme == "http" and _is_here(url.hostname))
    if not (secure and url.hostname) or url.query or "#" in resource:
        raise ConfigurationError("resource must be an https URL without query and fragment")
    path = "" if url.path == "/" else url.path
    return f"{url.scheme}://{url.netloc}{WELL_KNOWN}{path}"


class _OAuth:
    """Both endpoints."""

    def __init__(self, verifier: Verifier, issuer: Issuer, callers: Callers) -> None:
        self._verifier: Final = verifier
        self._issuer: Final = issuer
        self._callers: Final = callers

    async def serve(self, handler: _Handler, request: Request) -> Response:
        """Find out who asks, read the form, and answer whatever comes."""
        try:
            caller = await self._callers.who(request)
            if isinstance(caller, Response):
                return caller
            return await handler(caller, await read_form(request, needed="token"))
        except InvalidRequest as refusal:
            return _answers.why_not(refusal)
        except (StoreUnavailable, KeyringError) as error:
            return self._callers.unavailable(error)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to be told

    async def introspect(self, caller: TokenInfo, form: dict[str, str]) -> Response:
        """RFC 7662 section 2.2.

        ``client_address`` is an addition that section 2.1 leaves room for: where the token came
        from. Without it, a token that is bound to networks is good nowhere.
        """
        verdict = await self._verifier.verify(form["token"], address=form.get("client_address"))
        if isinstance(verdict, Refusal) or not _may(caller, verdict.token):
            return _answers.json_answer({"active": False})
        return _answers.json_answer(_claims(verdict.token))

    async def revoke(self, caller: TokenInfo, form: dict[str, str]) -> Response:
        """RFC 7009 section 2.2: what is no token of ours any more is as good as ended."""
        found = await self._verifier.find(form["token"].encode())
        if found.token is not None:
            if not _may(caller, found.token):
                return self._callers.refused(Reason.SCOPE, [INTROSPECT])
            ended_by = Principal(caller.owner, admin=_sees_all(caller), proven_by="token")
            with suppress(NotFound):  # it had ended already
                await self._issuer.delete(ended_by, found.token.id)
        return Response(headers={"cache-control": "no-store"})


def _sees_all(caller: TokenInfo) -> bool:
    return INTROSPECT in caller.scopes


def _may(caller: TokenInfo, token: TokenInfo) -> bool:
    return caller.owner == token.owner or _sees_all(caller)


def _claims(token: TokenInfo) -> dict[str, Any]:
    """RFC 7662 section 2.2; times are whole seconds, the end rounded towards the safe side."""
    return {
        "active": True,
        "token_type": "Bearer",
        "sub": token.owner,
        "username": token.owner,
        "jti": str(token.id),
        "iat": token.created_ms // 1000,
        **({} if token.expires_ms is None else {"exp": token.expires_ms // 1000}),
        **({"scope": " ".join(token.scopes)} if token.scopes else {}),
    }


async def _tell(body: bytes, request: Request) -> Response:
    """A public document that never changes."""
    del request
    return Response(body, media_type="application/json")


def _is_here(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False
