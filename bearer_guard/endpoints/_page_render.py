"""Templates to answers, with the headers that keep them to themselves; and the static files.

Whatever a template is given is text, and is escaped. The policy of the content forbids all that is
not a file of ours: no script or style within a page, nothing of anybody else's, no frame.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Renderer", "go_to", "protect"]

_PACKAGE: Final = "bearer_guard.endpoints"
_TYPES: Final = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",  # with `no-referrer`, our own forms would come from `null`
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_A_YEAR: Final = 31_536_000  # seconds
_SEE_OTHER: Final = 303


class Renderer:
    """Turns templates into answers."""

    def __init__(self) -> None:
        self._templates: Final = Environment(
            loader=PackageLoader(_PACKAGE),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._files: Final = {
            name: (files(_PACKAGE) / "static" / name).read_bytes() for name in _TYPES
        }
        self._templates.filters["sentence"] = _sentence
        self._templates.globals["version"] = {
            name: hashlib.sha256(body).hexdigest()[:12] for name, body in self._files.items()
        }

    def page(self, template: str, status: int, things: Mapping[str, object]) -> Response:
        """A page.

        Args:
            template: Its file.
            status: Of the answer.
            things: What the template shows.
        """
        return HTMLResponse(self._templates.get_template(template).render(things), status)

    def file(self, name: str) -> Response | None:
        """A static file, which may be kept: its address changes with what is in it."""
        if name not in self._files:
            return None
        keep = {"cache-control": f"public, max-age={_A_YEAR}, immutable"}
        return Response(self._files[name], headers=keep, media_type=_TYPES[name])


def protect(answer: Response) -> None:
    """Set the headers that every answer has; those that it has already stay."""
    for name, value in _HEADERS.items():
        answer.headers.setdefault(name, value)


def go_to(path: str) -> Response:
    """Send the browser on, with a GET. The path is one of ours, never a reader's."""
    return RedirectResponse(path, _SEE_OTHER)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
