"""WSGI, and so Flask: the guard in front of an application that knows no event loop.

    app.wsgi_app = BearerGuardWSGI(app.wsgi_app, store="sqlite:///tokens.db", keyring=keyring)

    request.environ["bearer_guard.token"].owner     # the same as request.remote_user

It is the ASGI guard itself, on an event loop in a thread of its own, asked about each request: so
it has the same options, and the verdicts are the same. One is not: WSGI servers join two
``Authorization`` fields into one list, which can't be told from a list that came in one field;
both are answered 400.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bearer_guard.user import TokenCredentials

from ._asking import ask, guard_to_ask
from ._behind import WSGI_KEY, token_of

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from starlette.types import Scope

__all__ = ["BearerGuardWSGI"]

_T = TypeVar("_T")
_UNASKED: Final = TokenCredentials(None)  # stays in the scope where the path is exempt


class BearerGuardWSGI:
    """Lets a request through to ``app`` if it carries a good token, and answers it otherwise.

    What is let through has ``bearer_guard.token`` in its environment, ``None`` where it is
    anonymous, and the owner as ``REMOTE_USER``; that of a server is taken away from the anonymous.

    Args:
        app: The guarded WSGI application.
        options: Those of ``BearerGuard``. A store that is an object belongs to the guard's event
            loop: whatever else uses it, an issuer for one, is called through ``run``.
    """

    def __init__(self, app: WSGIApplication, **options: Any) -> None:  # noqa: ANN401 - see there
        self._app: Final = app
        self._guard: Final = guard_to_ask(**options)
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        _forkable.add(self)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        scope = _scope_of(environ)
        answer = self.run(ask(self._guard, scope))
        if answer is not None:
            fields = [(name.decode(), value.decode("latin-1")) for name, value in answer.headers]
            start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", fields)
            return [answer.body]
        token = environ[WSGI_KEY] = token_of(scope)
        if token is not None:
            environ["REMOTE_USER"], environ["AUTH_TYPE"] = token.owner, "Bearer"
        elif scope["auth"] is not _UNASKED:
            environ.pop("REMOTE_USER", None)
        return self._app(environ, start_response)

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """The outcome of ``work``, done on the guard's event loop."""
        return asyncio.run_coroutine_threadsafe(work, self._running()).result()

    def close(self) -> None:
        """Tell the store what was used last, and stop. It may be used again, and starts anew."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            closing = asyncio.run_coroutine_threadsafe(self._guard.verifier.close(), loop)
            closing.add_done_callback(lambda _: loop.call_soon_threadsafe(loop.stop))
            closing.result()

    def forget_loop(self) -> None:
        """In a forked child the thread is not there: start one when it is needed."""
        self._lock = threading.Lock()
        self._loop = None

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                name = "bearer-guard"
                threading.Thread(target=_run, args=[self._loop], name=name, daemon=True).start()
            return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    with asyncio.Runner(loop_factory=lambda: loop):
        loop.run_forever()


def _scope_of(environ: WSGIEnvironment) -> Scope:
    """The request as the guard sees it. PEP 3333: texts stand for latin-1 bytes."""
    path: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    address: str = environ.get("REMOTE_ADDR", "")
    return {
        "type": "http",
        "method": environ["REQUEST_METHOD"],
        "path": path.encode("latin-1").decode("utf-8", "replace"),
        "headers": list(_headers(environ)),
        "client": (address, 0) if address else None,
        "wsgi_environ": environ,
        "auth": _UNASKED,
    }


def _headers(environ: WSGIEnvironment) -> Iterator[tuple[bytes, bytes]]:
    for key, text in environ.items():
        if key.startswith("HTTP_"):
            name = key.removeprefix("HTTP_").lower().replace("_", "-").encode("latin-1", "replace")
            value = text.encode("latin-1", "replace")
            if name == b"authorization" and _is_list(value):
                yield name, value  # and once more: two of them
            yield name, value


def _is_list(value: bytes) -> bool:
    """Whether a field value has several members, RFC 9110 section 5.6.1."""
    return sum(bool(member.strip(b" \t")) for member in value.split(b",")) > 1


_forkable: Final[weakref.WeakSet[BearerGuardWSGI]] = weakref.WeakSet()


def _after_fork() -> None:
    for guard in tuple(_forkable):
        guard.forget_loop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
