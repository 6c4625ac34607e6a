"""One path of the page: from a request to an answer, whatever comes.

Here, and nowhere else, it is checked who asks, and that a form is one of ours. A session is all
that counts: ``Authorization`` is not looked at, so that no token opens a page.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request

from bearer_guard.errors import (
    FeatureOff,
    IssueRefused,
    KeyringError,
    NotAllowed,
    NotFound,
    StoreUnavailable,
)
from bearer_guard.issuing.logins._people import DirectoryUnavailable
from bearer_guard.verdict import ANSWERS, Reason, Refusal

from ._answers import why_not
from ._credentials import client_of
from ._page_cookies import Cookie
from ._page_forms import comes_from_elsewhere, read_form
from ._page_render import go_to, protect
from ._page_site import LOGIN, Visit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from bearer_guard.issuing.sessions import Session

    from ._page_site import Site

__all__ = ["Handler", "Path", "Rule"]

Handler: TypeAlias = "Callable[[Visit], Awaitable[Response]]"

_log: Final = logging.getLogger("bearer_guard")
_HEADINGS: Final[dict[type[BaseException], str]] = {
    FeatureOff: "Access tokens are switched off",
    NotFound: "Not found",
    NotAllowed: "Not allowed",
    IssueRefused: "That can't be done",
}


class Rule(NamedTuple):
    """Who may ask for a path, and when.

    Attributes:
        person: Somebody who has logged in.
        admin: An administrator.
        when_off: While tokens are switched off, too.
        our_forms: What is posted must come from a form of ours.
        longest: What is posted has at most so many bytes.
    """

    person: bool = True
    admin: bool = False
    when_off: bool = False
    our_forms: bool = True
    longest: int = 64 * 1024


class Path:
    """An ASGI application for one path.

    Args:
        site: What all pages share.
        handlers: By method. ``HEAD`` is ``GET`` without the body.
        rule: Who may ask.
    """

    def __init__(self, site: Site, handlers: Mapping[str, Handler], rule: Rule) -> None:
        self._site: Final = site
        self._handlers: Final = dict(handlers)
        if "GET" in self._handlers:
            self._handlers["HEAD"] = self._handlers["GET"]
        self._rule: Final = rule

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
        except ClientDisconnect:
            return  # nobody is there to be told
        except IssueRefused as refusal:
            answer = self._refused(request, refusal, None)
        except (StoreUnavailable, KeyringError) as error:
            answer = self._unavailable(request, error)
        protect(answer)
        if request.method == "HEAD":
            answer.body = b""
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        policy = await self._site.store.policy()
        if not (policy.enabled or self._rule.when_off):
            raise FeatureOff("the administrators of this workspace can switch them on again")
        handler = self._handlers.get(request.method)
        if handler is None:
            return self._wrong_method(request)
        cookie = Cookie.SESSION.read(request)
        session = None if cookie is None else await self._site.sessions.find(cookie)
        visit = Visit(request=request, policy=policy, session=session)
        try:
            answer = await self._admit(visit, handler)
        except IssueRefused as refusal:
            answer = self._refused(request, refusal, session)
        self._keep(answer, request, session)
        return answer

    async def _admit(self, visit: Visit, handler: Handler) -> Response:
        """What the handler answers, if the visitor may ask it."""
        request, session = visit.request, visit.session
        posted = request.method == "POST"
        if session is not None or posted or not self._rule.our_forms:
            self._no_proxy_identity(request)
        if session is None and self._rule.person:
            return self._log_in_first(request)
        if self._rule.admin:
            visit.principal.must_be_admin()
        return await handler(await self._with_form(visit) if posted else visit)

    async def _with_form(self, visit: Visit) -> Visit:
        """The visit with the form that was sent, if it is one of ours.

        Raises:
            NotAllowed: It is not.
        """
        request, session = visit.request, visit.session
        if self._rule.our_forms and comes_from_elsewhere(request):
            raise NotAllowed("another site's page has sent this here: nothing was done")
        form = await read_form(request, self._rule.longest)
        nonce: str | None = ""
        if self._rule.our_forms:
            bound_to = Cookie.VISIT.read(request) if session is None else session.id
            nonce = self._site.forms.nonce(form, bound_to) if bound_to else None
        if nonce is None:
            raise NotAllowed("the form is too old: nothing was done; go back, reload, try again")
        return Visit(request=request, policy=visit.policy, session=session, form=form, nonce=nonce)

    def _no_proxy_identity(self, request: Request) -> None:
        """Refuse two identities on one request, as the guard does.

        Raises:
            NotAllowed: There is one beside a session, or beside what should begin one.
        """
        header = self._site.proxy_sso.identity_in(request.scope["headers"])
        if header is None and "wsgi_environ" in request.scope:
            header = self._site.proxy_sso.identity_in_environ(request.scope["wsgi_environ"])
        if header is not None:
            refusal = Refusal(Reason.PROXY_IDENTITY)
            self._site.refusals.note(refusal, header=header, client=client_of(request))
            raise NotAllowed(ANSWERS[Reason.PROXY_IDENTITY].description)

    def _log_in_first(self, request: Request) -> Response:
        base = request.scope.get("root_path", "")
        wanted = quote(request.scope["path"].removeprefix(base), safe="")
        answer = go_to(f"{base}{LOGIN}?next={wanted}")
        if Cookie.SESSION.read(request) is not None:
            Cookie.SESSION.drop(answer, request)
        return answer

    @staticmethod
    def _keep(answer: Response, request: Request, session: Session | None) -> None:
        """Date the session's cookie anew, where the handler has not put another."""
        if session is None or session.cookie is None:
            return
        if not Cookie.SESSION.is_in(answer, request):
            Cookie.SESSION.put(answer, request, session.cookie)

    def _wrong_method(self, request: Request) -> Response:
        answer = self._site.tell(request, 405, "Not like this", "this page is asked otherwise")
        answer.headers["allow"] = ", ".join(sorted(self._handlers))
        return answer

    def _refused(
        self, request: Request, refusal: IssueRefused, session: Session | None
    ) -> Response:
        heading = next(_HEADINGS[kind] for kind in type(refusal).__mro__ if kind in _HEADINGS)
        status = why_not(refusal).status_code
        return self._site.tell(request, status, heading, str(refusal), session=session)

    def _unavailable(self, request: Request, error: Exception) -> Response:
        _log.warning("a request to the page was answered 503: %s", error)
        heading = "Not available now"
        if isinstance(error, DirectoryUnavailable):
            heading = "Logging in is not possible now"
        text = "tokens go on working: try again in a moment"
        return self._site.tell(request, 503, heading, text, wait=1)
