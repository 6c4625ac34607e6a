"""Requests of a WSGI application, as ``wsgiref`` puts them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any
from wsgiref.validate import validator

from tests.integrations.support import Answer

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


def environ_of(
    headers: list[tuple[str, str]], path: str = "/reports", method: str = "GET", **more: Any
) -> dict[str, Any]:
    """What a server makes of a request; it joins the fields of one name by commas."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in [("host", "testserver"), *headers]:
        key = "HTTP_" + name.upper().replace("-", "_")
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return {**environ, **more}


def ask_wsgi(app: WSGIApplication, headers: list[tuple[str, str]], **more: Any) -> Answer:
    """One request of a WSGI application, which is watched for what PEP 3333 forbids."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, fields: list[tuple[str, str]], exc_info: Any = None) -> Any:
        del exc_info
        started.append((status, fields))
        return lambda _: None

    chunks = validator(app)(environ_of(headers, **more), start_response)
    try:
        body = b"".join(chunks)
    finally:
        chunks.close()  # type: ignore[attr-defined] # the validator's has it
    status, fields = started[-1]
    return Answer(int(status.split()[0]), {k.lower(): v for k, v in fields}, body)
