"""Runs a service under uvicorn: the address, the log, the signals."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import socket
import sys
from contextlib import closing, contextmanager
from select import select
from typing import TYPE_CHECKING, Any, Final

from bearer_guard.errors import ConfigurationError

from ._application import ARGUMENTS, assemble
from ._command import TOKEN, refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ._application import Service

__all__ = ["PathsOnly", "check_address", "log_config", "prepare", "run"]

# For what is under way when the service is stopped. The last uses are told after it, and many who
# stop a service kill it after ten seconds.
_GRACE_SECONDS: Final = 5
_FACTORY: Final = "bearer_guard.cli._application:factory"
# A request target may be a whole URL (RFC 9112 section 3.2.2), credentials and all.
_USERINFO: Final = re.compile(r"^[a-z]+%3A//[^/]*%40", re.IGNORECASE)
_START_FAILED: Final = 3  # of uvicorn, which is not what 3 means here


def run(
    arguments: Sequence[str], *, host: str, port: int, workers: int, access_log: bool = True
) -> None:
    """Serve until a signal says to stop; what is under way is finished, and last uses are told.

    Args:
        arguments: Of the command ``serve``, for the workers to read.
        host: Where to listen.
        port: Likewise.
        workers: How many processes.
        access_log: Whether each request is logged.

    Raises:
        ConfigurationError: It can't listen there.
    """
    import uvicorn  # noqa: PLC0415 - an extra's

    check_address(host, port)
    os.environ[ARGUMENTS] = json.dumps([*arguments])
    # uvicorn finishes, and then raises the signal again: done as asked, not ended by a signal.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with _signals() as came:
        try:
            uvicorn.run(
                _FACTORY,
                factory=True,
                interface="asgi3",
                host=host,
                port=port,
                workers=workers,
                lifespan="on",
                log_config=log_config(),
                access_log=access_log,
                server_header=False,  # it would tell everybody what runs here
                timeout_graceful_shutdown=_GRACE_SECONDS,
                # uvicorn would believe X-Forwarded-For of any client on this machine: networks
                # and log-in limits go by the address.
                proxy_headers=bool(os.environ.get("FORWARDED_ALLOW_IPS")),
            )
        except SystemExit as stop:
            if stop.code != _START_FAILED:
                raise
        else:
            if workers == 1 or came() & {signal.SIGTERM, signal.SIGINT}:
                return
    refuse("the service did not start: see above, and try again")


@contextmanager
def _signals() -> Iterator[Callable[[], set[int]]]:
    """Tells which signals have come, whoever handles them.

    uvicorn does, for several workers, and does not say whether it was asked to end.
    """
    reader, writer = os.pipe()
    try:
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        yield lambda: set(os.read(reader, 65_536)) if select([reader], [], [], 0)[0] else set()
    finally:
        signal.set_wakeup_fd(-1)
        os.close(reader)
        os.close(writer)


def prepare(service: Service, workers: int) -> None:
    """Find out what is wrong while somebody is looking, before there are any workers.

    Raises:
        ConfigurationError: A setting that can't work.
        KeyringError: No keys, or not those of the store.
        StoreUnavailable: The store does not answer.
    """
    os.environ["WEB_CONCURRENCY"] = f"{workers}"  # stores that can't be shared look at it
    assemble(service)
    asyncio.run(service.place.visit())


def check_address(host: str, port: int) -> None:
    """Make sure that this can be listened on.

    Raises:
        ConfigurationError: It can't.
    """
    try:
        for family, kind, _, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with closing(socket.socket(family, kind)) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except OSError as error:
        raise ConfigurationError(
            f"can't listen on {host} port {port}: {error.strerror}; choose another with --host or"
            " --port"
        ) from error


class PathsOnly(logging.Filter):
    """Keeps query strings and tokens out of uvicorn's log, whatever it is about to say.

    It writes paths with ``%`` escapes, so that a question mark begins a query string.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Cut what must not be there; the record stays."""
        if isinstance(record.args, tuple):
            record.args = tuple(_path_only(arg) for arg in record.args)
        return True


def log_config() -> dict[str, Any]:
    """Access to standard output, everything else to standard error; the audit as lines of JSON."""
    from uvicorn.config import LOGGING_CONFIG  # noqa: PLC0415 - an extra's

    paths_only = {"paths_only": {"()": PathsOnly}}
    handlers = {
        name: {**handler, "filters": ["paths_only"]}
        for name, handler in LOGGING_CONFIG["handlers"].items()
    }
    handlers["audit"] = {"class": "logging.StreamHandler", "stream": "ext://sys.stderr"}
    loggers = {
        "bearer_guard": {"handlers": ["default"], "level": "INFO", "propagate": False},
        "bearer_guard.audit": {"handlers": ["audit"], "level": "INFO", "propagate": False},
    }
    return {
        **LOGGING_CONFIG,
        "filters": paths_only,
        "handlers": handlers,
        "loggers": {**LOGGING_CONFIG["loggers"], **loggers},
    }


def _path_only(value: object) -> object:
    if not isinstance(value, str):
        return value
    return TOKEN.sub("(a token)", _USERINFO.sub("", value.partition("?")[0]))
