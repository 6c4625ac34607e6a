"""Logging in at somebody else's: an identity provider that the browser is sent to and comes from.

It begins with a link, not with a form: the policy of the content lets forms lead to us only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from starlette.responses import RedirectResponse, Response

from bearer_guard.errors import NotAllowed
from bearer_guard.issuing.logins import Denied
from bearer_guard.issuing.rate import PER_ADDRESS, FailureLimits

from ._credentials import client_of
from ._page_cookies import Cookie
from ._page_login import enter, page_after
from ._page_path import Rule
from ._page_site import LOGIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bearer_guard.issuing.logins._browser import Begun, LoggedIn

    from ._page_site import Site, Visit

__all__ = ["METADATA", "OIDC", "SAML", "Provider", "ProviderPages", "SamlProvider"]

METADATA: Final = "/saml/metadata"
_SECONDS: Final = 600  # to log in at the provider
# What comes back was begun here, which the log-in itself makes sure of, and has no form of ours.
_BACK: Final = Rule(person=False, when_off=True, our_forms=False, longest=1 << 20)


class _Way(NamedTuple):
    """How browsers go to a provider and come back.

    Attributes:
        label: What people call it.
        begin: The path that leads there.
        back: The path that it leads back to.
        method: With what.
    """

    label: str
    begin: str
    back: str
    method: str
    rule: Rule = _BACK


SAML: Final = _Way("SAML", f"{LOGIN}/saml", "/saml/acs", "POST")
OIDC: Final = _Way("OpenID Connect", f"{LOGIN}/oidc", "/oidc/callback", "GET")


class Provider(Protocol):
    """A log-in that happens in the browser, at an identity provider."""

    async def begin(self, return_to: str = "/") -> Begun:
        """Where to send the browser.

        Raises:
            StoreUnavailable: No answer in time, from the store or from the provider.
        """
        ...

    async def finish(
        self, fields: Mapping[str, str], /, *, request_id: str | None, client: str | None = None
    ) -> LoggedIn | Denied:
        """Who has logged in, if what the browser brings back proves it.

        Raises:
            StoreUnavailable: No answer in time, from the store or from the provider.
        """
        ...


class SamlProvider(Provider, Protocol):
    """One that wants to know of us by a document."""

    def metadata(self) -> bytes:
        """The document."""
        ...


class ProviderPages:
    """The way to a provider, and back.

    Each log-in that begins is noted for ten minutes, whoever asks: an address can begin so many a
    minute and no more, or it could fill the store.
    """

    def __init__(self, site: Site, provider: Provider, *, per_address: int = PER_ADDRESS) -> None:
        self._site: Final = site
        self._provider: Final = provider
        self._begun: Final = FailureLimits(
            per_account=per_address, per_address=per_address, clock=site.clock
        )

    async def begin(self, visit: Visit) -> Response:
        """Send the browser to the provider."""
        client = client_of(visit.request)
        if wait_s := await self._begun.wait_s(client or "", client):
            heading, text = "Too many log-ins", "too many were begun from here: wait a minute"
            return self._site.tell(visit.request, 429, heading, text, wait=wait_s)
        await self._begun.count(client or "", client)
        begun = await self._provider.begin(page_after(visit))
        answer = RedirectResponse(begun.url, 303)
        Cookie.JOURNEY.put(answer, visit.request, begun.request_id, seconds=_SECONDS)
        return answer

    async def finish(self, visit: Visit) -> Response:
        """Take the browser back, with what the provider says: in a form, or in the address."""
        request = visit.request
        said = visit.form if request.method == "POST" else dict(request.query_params)
        request_id, client = Cookie.JOURNEY.read(request), client_of(request)
        outcome = await self._provider.finish(said, request_id=request_id, client=client)
        if isinstance(outcome, Denied):
            raise NotAllowed("the log-in proved nothing: begin again")
        answer = await enter(self._site, visit, outcome.principal, wanted=outcome.return_to)
        Cookie.JOURNEY.drop(answer, request)
        return answer
