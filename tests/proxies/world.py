"""What stands around a proxy: a plain service, the endpoint over a store, and tokens."""

from __future__ import annotations

import asyncio
import sys
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from bearer_guard import Keyring, open_store
from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.testing import a_record, a_token
from tests.proxies.backend import Backend, plain_service
from tests.servers.support import serve
from tests.support import LOOPBACK, Running, free_port, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

RULE: Final = "/admin/*=admin"
ODD_OWNER: Final = " Zoë Łukasz 100%"
ODD_SENT: Final = "%20Zo%C3%AB %C5%81ukasz 100%25"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Ports and tokens.

    Attributes:
        tokens: By what becomes of them; ``admin`` has the scope that ``RULE`` asks for.
        guard: The endpoint's port, over a store that answers.
        storeless: Likewise, over one that does not.
        nowhere: A port where nobody listens.
        guarded: The port of a guarded ASGI application over the store that answers.
        logs: What our own programs have logged.
        another: Runs one more endpoint like the first, on this port.
    """

    tokens: dict[str, str]
    ids: dict[str, str]
    backend: Backend
    guard: int
    storeless: int
    nowhere: int
    guarded: int
    logs: Callable[[], str]
    another: Callable[[int], AbstractContextManager[Running]]

    def bearer(self, name: str) -> bytes:
        return b"Authorization: Bearer " + self.tokens[name].encode()


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Start everything; end it with the block."""
    key, url = Keyring.new_key(), f"sqlite:///{folder / 'tokens.db'}"
    tokens, ids = asyncio.run(_fill(url, Keyring.from_text(key)))
    env = {"BEARER_GUARD_KEYS": key, "STORE": url}
    guard, another = free_port(), partial(_endpoint, url, env, folder)
    with (
        plain_service() as backend,
        another(guard) as asked,
        serve("tests.proxies.guarded:app", "uvicorn-h11", env=env) as guarded,
    ):
        yield World(
            tokens=tokens,
            ids=ids,
            backend=backend,
            guard=guard,
            storeless=guarded.port,
            nowhere=free_port(),
            guarded=guarded.port,
            logs=lambda: asked.log() + guarded.child.log(),
            another=another,
        )


async def _fill(url: str, keyring: Keyring) -> tuple[dict[str, str], dict[str, str]]:
    now = SYSTEM_CLOCK.now_ms()
    later = now + 3_600_000
    records = {
        "valid": a_record(scopes=["read"], expires_ms=later),
        "admin": a_record(scopes=["admin", "read"], expires_ms=later),
        "blank": a_record(expires_ms=later),
        "odd": a_record(owner=ODD_OWNER, expires_ms=later),
        "elsewhere": a_record(networks=["203.0.113.0/24"], expires_ms=later),
        "expired": a_record(expires_ms=now - 1, created_ms=now - 10),
        "deleted": a_record(expires_ms=later, ended_ms=now, end_reason="deleted"),
    }
    store = open_store(url)
    await store.open()
    tokens = {}
    for name, record in records.items():
        tokens[name], sealed = a_token(keyring, record)
        await store.add(sealed)
    await store.close()
    tokens["forged"] = a_token(Keyring.generate())[0]
    return tokens, {name: str(record.id) for name, record in records.items()}


@contextmanager
def _endpoint(url: str, env: dict[str, str], folder: Path, port: int) -> Iterator[Running]:
    command = [sys.executable, "-m", "bearer_guard", "forward-auth", "--port", str(port)]
    with running(
        [*command, "--store", url, "--rule", RULE],
        ready=partial(_ready, port),
        env={**env, "PYTHONPATH": ":".join(sys.path)},
        cwd=folder,
    ) as child:
        yield child


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/readyz", timeout=5):
            return True
    except OSError:
        return False
