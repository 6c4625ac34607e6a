"""The page's cookies. No script reads them, and no other site sends them along.

Over https their names begin with ``__Host-``: then no other host of the domain, and nobody on the
network, can have set them (RFC 6265bis section 4.1.3.2).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Literal

    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["Cookie"]


class Cookie(StrEnum):
    """What the browser keeps for us.

    ``SESSION``: who is logged in. ``VISIT``: random, for the forms of those who aren't yet.
    ``JOURNEY``: which log-in at a provider is under way. ``MADE``: which new token to show.
    """

    SESSION = "session"
    VISIT = "visit"
    JOURNEY = "journey"
    MADE = "made"

    def read(self, request: Request) -> str | None:
        """The value that the browser sent."""
        return request.cookies.get(self._name_for(request))

    def put(
        self, answer: Response, request: Request, value: str, *, seconds: int | None = None
    ) -> None:
        """Have the browser keep a value.

        Args:
            answer: The answer to ``request``.
            request: Tells whether it is https.
            value: What to keep.
            seconds: For how long; ``None``: until it is closed.
        """
        answer.set_cookie(
            self._name_for(request),
            value,
            max_age=seconds,
            secure=_https(request),
            httponly=True,
            samesite=self._same_site(request),
        )

    def drop(self, answer: Response, request: Request) -> None:
        """Have the browser forget it."""
        self.put(answer, request, "", seconds=0)

    def is_in(self, answer: Response, request: Request) -> bool:
        """Whether an answer has the browser keep or forget it."""
        head = f"{self._name_for(request)}="
        return any(value.startswith(head) for value in answer.headers.getlist("set-cookie"))

    def _name_for(self, request: Request) -> str:
        return f"{'__Host-' if _https(request) else ''}bearer-guard-{self.value}"

    def _same_site(self, request: Request) -> Literal["lax", "none"]:
        """Providers of SAML send the browser back with a POST from their own site.

        The cookie that must come along then gives no right: it is only what an answer is held
        against. Browsers take ``None`` over https only.
        """
        return "none" if self is Cookie.JOURNEY and _https(request) else "lax"


def _https(request: Request) -> bool:
    return request.url.scheme == "https"
