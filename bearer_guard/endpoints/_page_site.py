"""What all pages share: who visits, how a template becomes an answer, and where things are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bearer_guard.errors import NotAllowed

from ._page_render import Renderer, go_to

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from bearer_guard.clock import Clock
    from bearer_guard.issuing import Principal
    from bearer_guard.issuing.sessions import Session, Sessions
    from bearer_guard.policy import Policy
    from bearer_guard.proxy_sso import ProxySso
    from bearer_guard.refusals import Refusals
    from bearer_guard.store import Store

    from ._page_forms import Forms

__all__ = [
    "ALL",
    "CREATED",
    "HOME",
    "LOGIN",
    "LOGOUT",
    "NEW",
    "PASSWORD",
    "SETTINGS",
    "USERS",
    "Site",
    "Visit",
]

HOME: Final = "/access-tokens"
NEW: Final = f"{HOME}/new"
CREATED: Final = f"{HOME}/created"
ALL: Final = f"{HOME}/all"
USERS: Final = f"{HOME}/users"
SETTINGS: Final = f"{HOME}/settings"
PASSWORD: Final = f"{HOME}/password"
LOGIN: Final = "/login"
LOGOUT: Final = "/logout"

# What was done just before, by the word in the address: no other text can be put into a page.
_DONE: Final = {
    "deleted": "The token is deleted.",
    "shown": "That token was made, and its value was shown. It can't be shown again.",
    "saved": "The settings are saved.",
    "added": "The user is added.",
    "changed": "The user is changed.",
    "password": "Your password is changed. You are logged out everywhere else.",
    "out": "You are logged out.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request, and what is known of it.

    Attributes:
        policy: The workspace's settings.
        session: Whose it is; ``None``: nobody has logged in.
        form: The fields that were sent.
        nonce: What tells this form from all others.
    """

    request: Request
    policy: Policy
    session: Session | None = None
    form: Mapping[str, str] = field(default_factory=dict)
    nonce: str = ""

    @property
    def principal(self) -> Principal:
        """Who has logged in.

        Raises:
            NotAllowed: Nobody.
        """
        if self.session is None:
            raise NotAllowed("log in first")
        return self.session.principal

    @property
    def may_generate(self) -> bool:
        """Whether the issuer would let this person make tokens."""
        who = self.principal
        return who.admin or who.may_generate or self.policy.users_may_generate

    @property
    def base(self) -> str:
        """Where the page is mounted; empty: at the root."""
        base: str = self.request.scope.get("root_path", "")
        return base

    def go(self, path: str, *, done: str = "") -> Response:
        """Send the browser to one of our paths, to be told there what was ``done``."""
        return go_to(f"{self.base}{path}{'?done=' * bool(done)}{done}")


class Site:
    """What all pages share.

    Args:
        store: Has the settings.
        sessions: Who is logged in.
        forms: Which forms are ours.
        proxy_sso: Identities that are refused beside a session or a password.
        refusals: Tells the audit of them.
        clock: Time.
    """

    def __init__(
        self,
        *,
        store: Store,
        sessions: Sessions,
        forms: Forms,
        proxy_sso: ProxySso,
        refusals: Refusals,
        clock: Clock,
    ) -> None:
        self.store: Final = store
        self.sessions: Final = sessions
        self.forms: Final = forms
        self.proxy_sso: Final = proxy_sso
        self.refusals: Final = refusals
        self.clock: Final = clock
        self.renderer: Final = Renderer()

    def show(
        self,
        visit: Visit,
        template: str,
        things: Mapping[str, object] | None = None,
        *,
        status: int = 200,
    ) -> Response:
        """A page.

        Args:
            visit: Whose request is answered.
            template: Its file.
            things: What the template shows, beside what all do.
            status: Of the answer.
        """
        common = self._common(visit.request, visit.session)
        asked = {
            "done": _DONE.get(visit.request.query_params.get("done", "")),
            "policy": visit.policy,
        }
        return self.renderer.page(template, status, common | asked | dict(things or {}))

    def tell(
        self,
        request: Request,
        status: int,
        heading: str,
        text: str,
        *,
        session: Session | None = None,
        wait: int | None = None,
    ) -> Response:
        """A page that says one thing: why there is no other.

        Args:
            request: What is answered.
            status: Of the answer.
            heading: In a few words.
            text: A sentence, or part of one as errors have it.
            session: Whose request it is, where that is known.
            wait: Seconds after which it may be tried again.
        """
        things = self._common(request, session) | {"heading": heading, "text": text}
        answer = self.renderer.page("message.html", status, things)
        if wait is not None:
            answer.headers["retry-after"] = str(wait)
        return answer

    def _common(self, request: Request, session: Session | None) -> dict[str, object]:
        """What every page shows."""
        base = request.scope.get("root_path", "")
        return {
            "base": base,
            "here": request.scope["path"].removeprefix(base),
            "who": None if session is None else session.principal,
            "csrf": lambda: self.forms.token("" if session is None else session.id),
            "done": None,
        }
