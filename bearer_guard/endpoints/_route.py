"""Paths that are for some methods alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from ._answers import wrong_method

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

__all__ = ["MethodRoute"]


class MethodRoute(Route):
    """Starlette's route, but that other methods are answered as everything else is: in JSON."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self.methods and scope["method"] not in self.methods:
            await wrong_method(self.methods)(scope, receive, send)
        else:
            await super().handle(scope, receive, send)
