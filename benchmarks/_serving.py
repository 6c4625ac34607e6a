"""Real servers for the benchmarks, on a core of their own where there is one to spare."""

from __future__ import annotations

import ctypes
import http.client
import os
import shutil
import sys
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.support import LOOPBACK, Running, StartError, free_port, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

__all__ = ["CLIENT_CORE", "SERVERS", "SERVER_CORE", "cpu_ns", "family", "pinned", "serve"]

_ROOT: Final = Path(__file__).resolve().parents[1]
_APP: Final = "benchmarks._served_app:app"
SERVER_CORE: Final = 0
CLIENT_CORE: Final = 1
_KEEP_ALIVE: Final = 300  # seconds: connections live through the turns of others
_TRIES: Final = 3  # another process can take the free port before the server does


def _uvicorn(port: int, workers: int) -> list[str]:
    quiet = ["--no-access-log", "--log-level", "warning", "--http", "httptools"]
    address = ["--host", LOOPBACK, "--port", str(port), "--workers", str(workers)]
    patient = ["--timeout-keep-alive", str(_KEEP_ALIVE)]
    return ["uvicorn", _APP, *address, "--loop", "uvloop", *patient, *quiet]


def _granian(port: int, workers: int) -> list[str]:
    address = ["--host", LOOPBACK, "--port", str(port), "--workers", str(workers)]
    quiet = ["--loop", "uvloop", "--no-access-log", "--log-level", "warning"]
    return ["granian", _APP, "--interface", "asgi", *address, *quiet]


def _hypercorn(port: int, workers: int) -> list[str]:
    alone = workers if workers > 1 else 0  # 0: in one process
    address = ["--bind", f"{LOOPBACK}:{port}", "--workers", str(alone)]
    patient = ["--keep-alive", str(_KEEP_ALIVE)]
    return ["hypercorn", _APP, *address, "-k", "uvloop", *patient, "--log-level", "error"]


# How each is started with `python -m`, for a port and a number of workers.
SERVERS: Final[dict[str, Callable[[int, int], list[str]]]] = {
    "uvicorn": _uvicorn,
    "granian": _granian,
    "hypercorn": _hypercorn,
}


def pinned(core: int) -> list[str]:
    """What to put before a command, so that it stays on one core; nothing where there is one."""
    taskset = shutil.which("taskset")
    return [taskset, "-c", str(core)] if taskset and (os.cpu_count() or 1) > 1 else []


@contextmanager
def serve(server: str, env: dict[str, str], *, workers: int = 1) -> Iterator[tuple[int, int]]:
    """The port and the process of a server that runs until the block ends.

    Args:
        server: A key of ``SERVERS``.
        env: Added to the environment: see ``_served.environment``.
        workers: More than one share all cores.
    """
    with ExitStack() as stack:
        for left in reversed(range(_TRIES)):
            port = free_port()
            command = [sys.executable, "-m", *SERVERS[server](port, workers)]
            command = command if workers > 1 else [*pinned(SERVER_CORE), *command]
            try:
                child = stack.enter_context(_running(command, port, env))
            except StartError:
                if not left:
                    raise
            else:
                break
        yield port, child.pid


def _running(command: list[str], port: int, env: dict[str, str]) -> AbstractContextManager[Running]:
    path = {"PYTHONPATH": str(_ROOT)}
    return running(command, ready=partial(_answers, port), env=path | env, cwd=_ROOT)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def cpu_ns(*pids: int) -> int:
    """Nanoseconds of processor time that processes have used, each with all its threads."""
    return sum(_own_ns(pid) for pid in pids)


def _own_ns(pid: int) -> int:
    # By the process's own clock, which counts threads that have ended too; not every kernel says in
    # /proc what each used to the nanosecond.
    clock = ctypes.c_int()
    if ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock)):
        return 0  # it has ended
    try:
        return time.clock_gettime_ns(clock.value)
    except OSError:  # it has just ended
        return 0


def family(pid: int) -> list[int]:
    """A process and its living descendants."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:  # it has just ended
            continue
        fields = text.rpartition(")")[2].split()
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += parents.get(one, [])
    return found
