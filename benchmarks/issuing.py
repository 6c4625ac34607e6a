"""What making, listing and purging tokens costs: ``python -m benchmarks.issuing [URL …]``.

A token is made by one who proves who they are with another token, or with a password. The limit of
the first is the store's own ``add``; that of the second is Argon2id, checked in the same rounds
with the same parameters. Pages are compared with the store's own, a purge with nothing.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import click
from argon2 import PasswordHasher

from bearer_guard import Keyring, Policy
from bearer_guard.clock import SYSTEM_CLOCK
from bearer_guard.issuing import Issuer, Principal
from bearer_guard.issuing.logins.password import AccountDirectory, PasswordLogin
from bearer_guard.issuing.logins.token import TokenLogin
from bearer_guard.issuing.passwords import Passwords
from bearer_guard.store import Account, AccountStore
from bearer_guard.testing import a_record, a_token
from bearer_guard.testing.records import DAY_MS

from ._measure import costs, interleave, ratios
from ._report import Table, command, tell
from ._servers import opened, places

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from bearer_guard import Store

    from ._measure import Cost, Form

_PASSWORD: Final = "correct horse battery staple"  # noqa: S105 - of a benchmark
_DAY: Final = timedelta(days=1)
_CALLS: Final = 50
_SLOW: Final = 2, 2  # calls, all at once: two threads do Argon2id
_PAGE: Final = 50
_LISTED: Final = 200
_PURGED: Final = 100


class Bench:
    """An issuer, its log-ins, and alice, who has a password and a token."""

    def __init__(self, store: Store) -> None:
        assert isinstance(store, AccountStore)
        self.store: Final = store
        self.keyring: Final = Keyring.generate()
        self.issuer: Final = Issuer(store, self.keyring, listeners=())
        self.hasher: Final = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=1)
        self.hash: Final = self.hasher.hash(_PASSWORD)
        self.by_password: Final = PasswordLogin(store, Passwords())
        directory = AccountDirectory(store)
        self.by_token: Final = TokenLogin(store, self.keyring, directories=[directory])
        self.alice: Final = Principal("alice", may_generate=True)
        self.token = b""

    async def fill(self) -> None:
        now_ms = SYSTEM_CLOCK.now_ms()
        await self.store.set_policy(Policy(users_may_generate=True))
        account = Account(
            name="alice", password_hash=self.hash, created_ms=now_ms, password_ms=now_ms
        )
        assert isinstance(self.store, AccountStore)
        await self.store.add_account(account)
        for _ in range(_LISTED):
            await self.issuer.create(Principal("bob", may_generate=True), lifetime=_DAY)
        issued = await self.issuer.create(self.alice, lifetime=_DAY, scopes=["read"])
        self.token = issued.value.encode()

    async def add(self) -> None:
        """The store's own, of a record that is ready."""
        await self.store.add(a_record(owner="alice"))

    async def create(self) -> None:
        await self.issuer.create(self.alice, lifetime=_DAY, scopes=["read"])

    async def create_by_token(self) -> None:
        principal = await self.by_token.log_in(self.token)
        assert isinstance(principal, Principal)
        await self.issuer.create(principal, lifetime=_DAY, scopes=["read"])

    async def argon2(self) -> None:
        await asyncio.to_thread(self.hasher.verify, self.hash, _PASSWORD)

    async def create_by_password(self) -> None:
        principal = await self.by_password.prove("alice", _PASSWORD)
        assert isinstance(principal, Principal)
        await self.issuer.create(principal, lifetime=_DAY, scopes=["read"])

    async def raw_page(self) -> None:
        await self.store.page("bob", None, _PAGE, now_ms=SYSTEM_CLOCK.now_ms())

    async def page(self) -> None:
        await self.issuer.list(Principal("bob"), limit=_PAGE)

    async def purge(self) -> float:
        """A round, for each token that is purged."""
        for _ in range(_PURGED):
            expired = a_record(created_ms=1, expires_ms=2)
            await self.store.add(a_token(self.keyring, expired)[1])
        begun = time.perf_counter_ns()
        gone = await self.store.purge(SYSTEM_CLOCK.now_ms() - 2 * DAY_MS)
        assert gone >= _PURGED, gone
        return (time.perf_counter_ns() - begun) / gone


async def _time(
    call: Callable[[], Awaitable[None]], calls: int = _CALLS, at_once: int = 1
) -> float:
    """Nanoseconds a call; so many at once share the time."""
    begun = time.perf_counter_ns()
    for _ in range(0, calls, at_once):
        await asyncio.gather(*(call() for _ in range(at_once)))
    return (time.perf_counter_ns() - begun) / calls


async def measure(url: str, rounds: int) -> list[Cost]:
    """All forms on one store, interleaved."""
    store = await opened(url)
    try:
        bench = Bench(store)
        await bench.fill()
        forms: dict[str, tuple[Form, str]] = {
            "add, the store's own": (partial(_time, bench.add), "add, the store's own"),
            "create": (partial(_time, bench.create), "add, the store's own"),
            "create by token": (partial(_time, bench.create_by_token), "add, the store's own"),
            "Argon2id alone": (partial(_time, bench.argon2, *_SLOW), "Argon2id alone"),
            "create by password": (
                partial(_time, bench.create_by_password, *_SLOW),
                "Argon2id alone",
            ),
            "page, the store's own": (partial(_time, bench.raw_page), "page, the store's own"),
            "page of 50": (partial(_time, bench.page), "page, the store's own"),
            "purge, each token": (bench.purge, "purge, each token"),
        }
        times = await interleave({name: form for name, (form, _) in forms.items()}, rounds)
        return costs(ratios(times, limit={name: limit for name, (_, limit) in forms.items()}))
    finally:
        await store.close()


@command(rounds=6)
@click.argument("urls", nargs=-1)
@click.option("--servers", is_flag=True, help="Start a server of each kind, and measure it too.")
def main(
    urls: Sequence[str], rounds: int, *, as_json: bool, out: Path | None, servers: bool
) -> None:
    """Measure issuing in SQLite, and in stores whose URLs are given: empty ones, yours to spoil."""
    with places() if servers else places(("SQLite",)) as found:
        named = {one.name: one.url for one in found}
        named |= {url.partition("://")[0]: url for url in urls}
        tables = [
            Table(f"{name}: ratio to the limit of each", asyncio.run(measure(url, rounds)))
            for name, url in named.items()
        ]
    tell("issuing", tables, rounds=rounds, as_json=as_json, out=out)


if __name__ == "__main__":
    main()
