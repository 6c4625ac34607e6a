"""Two libraries for Django REST Framework, through WSGI, which is Django's fastest way.

https://jazzband.github.io/django-rest-knox/installation/ and
https://florimondmanca.github.io/djangorestframework-api-key/guide/
"""

from __future__ import annotations

import asyncio
import io
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import django
import knox  # noqa: F401 - so that it is missed here, where it is not installed
import rest_framework_api_key  # noqa: F401 - likewise
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler

from ._peer import PEER_TOKENS, Peer, name_of, scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AsyncExitStack
    from pathlib import Path

__all__ = ["peers"]

BASE = "bare Django REST Framework"
_CALLS = 60
_WARM = 5


def _set_up(folder: Path) -> None:
    database = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(folder / "django.db"),
        "CONN_MAX_AGE": None,  # a connection for each request would cost more than the look-up
    }
    apps = ("django.contrib.contenttypes", "django.contrib.auth", "rest_framework", "knox")
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": database},
        INSTALLED_APPS=[*apps, "rest_framework_api_key"],
        MIDDLEWARE=[],
        ROOT_URLCONF="benchmarks.peers._django_site",
        SECRET_KEY="of a benchmark",  # noqa: S106 - it guards nothing
        USE_TZ=True,
        REST_KNOX={"AUTH_HEADER_PREFIX": "Bearer"},
        LOGGING_CONFIG=None,
    )
    django.setup()


def _environ(path: str, credentials: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "HTTP_HOST": "api.example.com",
        "HTTP_ACCEPT": "*/*",
        "HTTP_AUTHORIZATION": credentials,
    }


def _call(app: Callable[..., Any], path: str, credentials: str) -> str:
    statuses: list[str] = []
    answer = app(_environ(path, credentials), lambda status, _: statuses.append(status))
    b"".join(answer)
    answer.close()
    return statuses[0]


def _time(app: Callable[..., Any], path: str, credentials: Sequence[str]) -> float:
    for i in range(_WARM):
        _call(app, path, credentials[i % len(credentials)])
    begun = time.process_time_ns()
    for i in range(_CALLS):
        _call(app, path, credentials[i % len(credentials)])
    return (time.process_time_ns() - begun) / _CALLS


async def _round(app: WSGIHandler, path: str, credentials: Sequence[str]) -> float:
    # In a thread: beside an event loop, Django lets nobody wait for a database.
    return await asyncio.to_thread(_time, app, path, credentials)


async def peers(stack: AsyncExitStack) -> list[Peer]:
    await asyncio.to_thread(_set_up, scratch(stack))
    logging.getLogger("django.request").setLevel(logging.ERROR)  # refusals are wanted here
    from . import _django_site as site  # noqa: PLC0415 - only now it can be imported

    knox_tokens, keys = await asyncio.to_thread(site.fill, PEER_TOKENS)
    app = WSGIHandler()
    found = []
    for package, path, credentials in (
        ("django-rest-knox", "/knox", [f"Bearer {token}" for token in knox_tokens]),
        ("djangorestframework-api-key", "/key", [f"Api-Key {key}" for key in keys]),
    ):
        for given, expected in ((credentials[0], "200"), (credentials[0][:-4] + "AAAA", "40")):
            status = await asyncio.to_thread(_call, app, path, given)
            assert status.startswith(expected), (package, status)
        bare, full = (partial(_round, app, p, credentials) for p in ("/bare", path))
        setting = "on a view of Django REST Framework, by WSGI; SQLite, the connection kept"
        found.append(Peer(name_of(package), BASE, bare, full, setting))
    return found
