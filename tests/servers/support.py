"""Real ASGI servers, each in a process of its own on a free loopback port."""

import http.client
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tests.support import LOOPBACK, Running, StartError, free_port, running

_ROOT: Final = Path(__file__).resolve().parents[2]
_TRIES: Final = 3  # another process can take the free port before the server does


def _uvicorn(http_parser: str) -> Callable[[str, int], list[str]]:
    def command(app: str, port: int) -> list[str]:
        address = ["--host", LOOPBACK, "--port", str(port)]
        return ["uvicorn", app, *address, "--http", http_parser, "--lifespan", "on"]

    return command


def _granian(app: str, port: int) -> list[str]:
    address = ["--host", LOOPBACK, "--port", str(port)]
    return ["granian", app, *address, "--interface", "asgi", "--workers", "1"]


def _hypercorn(app: str, port: int) -> list[str]:
    return ["hypercorn", app, "--bind", f"{LOOPBACK}:{port}", "--workers", "0"]  # 0: in one process


# How each is started with `python -m`, for an application and a port.
SERVERS: Final[dict[str, Callable[[str, int], list[str]]]] = {
    "uvicorn-h11": _uvicorn("h11"),
    "uvicorn-httptools": _uvicorn("httptools"),
    "granian": _granian,
    "hypercorn": _hypercorn,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """An application behind a real server."""

    port: int
    child: Running

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return f"http://{LOOPBACK}:{self.port}"


@contextmanager
def serve(
    app: str,
    server: str = "uvicorn-h11",
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | Path = _ROOT,
    probe: str = "/",
) -> Iterator[Served]:
    """Run ``module:app`` behind one of ``SERVERS`` until the block ends.

    Args:
        app: The application, as the server's own command takes it.
        server: A key of ``SERVERS``.
        env: Added to the environment.
        cwd: The working directory, also the first place where the module is looked for.
        probe: Requested without credentials until it answers, whatever the status.

    Raises:
        StartError: The server did not start; the message has its log.
    """
    command = partial(SERVERS[server], app)
    with ExitStack() as stack:
        yield _start(stack, command, partial(running, env=env, cwd=cwd), probe, _TRIES)


def _start(
    stack: ExitStack,
    command: Callable[[int], list[str]],
    run: Callable[..., AbstractContextManager[Running]],
    probe: str,
    tries: int,
) -> Served:
    port = free_port()
    program = [sys.executable, "-m", *command(port)]
    try:
        child = stack.enter_context(run(program, ready=partial(_answers, port, probe)))
    except StartError as error:
        if tries > 1 and "in use" in str(error):
            return _start(stack, command, run, probe, tries - 1)
        raise
    return Served(port=port, child=child)


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", path)
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
