"""What tests of several rooms need: programs that may be missing, free ports, child processes."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import pytest

LOOPBACK: Final = "127.0.0.1"
# Servers of Debian packages stand here, where the path of an ordinary user does not look.
_SYSTEM_FOLDERS: Final = "/usr/local/sbin:/usr/sbin:/sbin"
_STOP_SECONDS: Final = 10.0  # a database that flushes its files needs one or two
_SCHEDULING: Final = Path("/proc/thread-self/schedstat")
_LOG_TAIL: Final = 8_000  # characters: the end holds the reason


def require(binary: str, apt_package: str) -> str:
    """The path of a program, or a skipped test that says how to get it.

    With ``CI=true`` it fails instead: there, whatever is not tested must be noticed.
    """
    path = shutil.which(binary, path=f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_FOLDERS}")
    if path is None:
        missing(f"{binary} is not installed: apt-get install {apt_package}")
    return path


def missing(reason: str) -> NoReturn:
    """Skip a test whose server can't be had; with ``CI=true`` it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now; another process may still take it."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def open_files() -> int:
    """How many files and sockets this process has open."""
    return len(list(Path("/dev/fd").iterdir()))


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail where the block takes longer, however it ends.

    Not counted is the time that this thread could have gone on and others had the processor.
    """
    began = time.monotonic() - _kept_waiting()
    try:
        yield
    finally:
        assert time.monotonic() - _kept_waiting() - began < seconds


def _kept_waiting() -> float:
    """Seconds, since this thread began; the kernel has a count of them, where it is Linux."""
    return int(_SCHEDULING.read_text().split()[1]) / 1e9 if _SCHEDULING.exists() else 0.0


class StartError(Exception):
    """A program ended, or did not get ready in time; the message has the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A child process and where its output goes."""

    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def log(self) -> str:
        """Standard output and standard error so far, their end if they are long."""
        return self.log_file.read_text(errors="replace")[-_LOG_TAIL:]

    def kill(self) -> None:
        """End the program and its children at once, as a power cut would."""
        _signal_group(self.process, signal.SIGKILL)
        self.process.wait()

    def stop(self, stop_signal: signal.Signals = signal.SIGTERM) -> None:
        """Ask the program to stop; end it and its children when it has not after ten seconds."""
        if self.process.poll() is None:
            self.process.send_signal(stop_signal)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_STOP_SECONDS)
        self.kill()


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    ready: Callable[[], bool],
    env: Mapping[str, str] | None = None,
    cwd: str | Path = "/",
    user: str | None = None,
    seconds: float = 20.0,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Iterator[Running]:
    """Run a program until the block ends.

    Args:
        command: The program and its arguments.
        ready: Asked every 20 ms until it says yes; the block is entered then.
        env: Added to this process's environment.
        cwd: The working directory; the default can be entered by every user.
        user: Who runs it when the tests run as root; several databases refuse root.
        seconds: How long to wait for ``ready``.
        stop_signal: Sent at the end; ``SIGINT`` stops PostgreSQL without waiting for its clients.

    Raises:
        StartError: It ended or was not ready in time. It has been stopped.
    """
    account = pwd.getpwnam(user) if user is not None and os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory() as folder:
        log_file = Path(folder) / "log"
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                user=None if account is None else account.pw_uid,
                group=None if account is None else account.pw_gid,
                extra_groups=None if account is None else [],
                start_new_session=True,  # a group of its own, so that no worker is left behind
            )
        child = Running(process=process, log_file=log_file)
        try:
            _wait_until_ready(child, ready, seconds)
            yield child
        finally:
            child.stop(stop_signal)


def _wait_until_ready(child: Running, ready: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        status = child.process.poll()
        if status is not None:
            raise StartError(f"{child.process.args!r} ended with {status}:\n{child.log()}")
        if ready():
            return
        if time.monotonic() > deadline:
            raise StartError(
                f"{child.process.args!r} was not ready after {seconds} s:\n{child.log()}"
            )
        time.sleep(0.02)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # all of them are gone
        os.killpg(process.pid, number)
