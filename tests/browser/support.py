"""What tests of the page need: the page under a real server, with people and tokens in it."""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import uvicorn

from bearer_guard.endpoints.page import page_app
from bearer_guard.issuing import Issuer, Principal
from bearer_guard.issuing.accounts import Accounts
from bearer_guard.issuing.logins.token import TokenLogin
from bearer_guard.issuing.sessions import Sessions
from bearer_guard.keyring import Keyring
from bearer_guard.record import Use
from bearer_guard.stores.sqlite import SqliteStore
from bearer_guard.testing import ManualClock
from tests.issuing.support import PASSWORD, cheap_passwords
from tests.support import LOOPBACK, require

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from pathlib import Path

    from playwright.sync_api import Locator, Page

    from bearer_guard.store import Store
    from tests.issuing.logins.certificates import Files

ROOT: Final = Principal("root", admin=True)
ALICE: Final = Principal("alice", may_generate=True)
_DAY: Final = timedelta(days=1)
_T = TypeVar("_T")


def browser_path() -> str:
    """Chromium: the build without windows, which takes a third of the time, or else the whole."""
    small = "chromium-headless-shell"
    return shutil.which(small) or shutil.which("chromium") or require(small, small)


class Served:
    """The page, served by uvicorn on a thread of its own.

    ``root`` is an administrator, ``alice`` and ``bob`` may generate, ``carol`` may not.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.keyring = Keyring.generate()
        self.clock = ManualClock()
        self.issuer = Issuer(store, self.keyring, clock=self.clock, listeners=())
        self._passwords = cheap_passwords()
        self.app = page_app(
            store, self.keyring, clock=self.clock, passwords=self._passwords, listeners=()
        )
        self.loop = asyncio.new_event_loop()
        self.url = ""

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Wait for something on the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def people(self) -> None:
        accounts = Accounts(
            self.store,  # type: ignore[arg-type]  # it is one of accounts, too
            passwords=self._passwords,
            clock=self.clock,
            listeners=(),
        )
        await accounts.add(ROOT, "root", password=PASSWORD, admin=True)
        await accounts.add(ROOT, "alice", password=PASSWORD, may_generate=True)
        await accounts.add(ROOT, "bob", password=PASSWORD, may_generate=True)
        await accounts.add(ROOT, "carol", password=PASSWORD)
        await accounts.add(ROOT, "dave")

    async def begin(self, name: str) -> str:
        """A session's cookie."""
        store: Any = self.store
        sessions = Sessions(store, self.keyring, accounts=store, clock=self.clock)
        session = await sessions.begin(Principal(name, proven_by="password"))
        return session.cookie or ""

    async def some_tokens(self) -> None:
        """Tokens of every kind, made over some weeks: it is the last day."""
        make = self.issuer.create
        await make(ALICE, lifetime=10 * _DAY, description="Migration, May")
        self.clock.advance(_DAY.total_seconds() * 12)
        forever = await self._forever()
        self.clock.advance(_DAY.total_seconds() * 3)
        sync = await make(ALICE, lifetime=14 * _DAY, description="Nightly sync")
        await make(
            ALICE,
            lifetime=90 * _DAY,
            description="Reports dashboard",
            scopes=["reports:read"],
            networks=["192.0.2.0/24"],
        )
        self.clock.advance(_DAY.total_seconds() * 9)
        await make(Principal("bob", may_generate=True), lifetime=30 * _DAY, description="Backup")
        laptop = await make(ALICE, lifetime=365 * _DAY, description="Laptop")
        self.clock.advance(3 * 3600)
        now_ms = self.clock.now_ms()
        await self.store.touch(
            {
                forever: Use(now_ms - 86_400_000 * 5, "192.0.2.7"),
                sync.record.id: Use(now_ms - 41 * 60_000, "192.0.2.7"),
                laptop.record.id: Use(now_ms - 20_000, "2001:db8::17"),
            }
        )

    async def _forever(self) -> Any:
        policy = await self.issuer.change_settings(ROOT, allow_non_expiring=True)
        issued = await self.issuer.create(ALICE, lifetime=None, description="Build server")
        assert policy.allow_non_expiring
        await self.issuer.change_settings(ROOT, allow_non_expiring=False)
        return issued.record.id


@contextmanager
def served(folder: Path, cert: Files | None = None) -> Iterator[Served]:
    """The page on a free port, over SQLite in ``folder``; over TLS where there is a certificate."""
    page = Served(SqliteStore.from_url(f"sqlite:///{folder / 'page.db'}"))
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        page.url = f"{'https' if cert else 'http'}://{LOOPBACK}:{listener.getsockname()[1]}"
        tls = {"ssl_certfile": cert.cert, "ssl_keyfile": cert.key} if cert else {}
        config = uvicorn.Config(page.app, lifespan="on", log_level="warning", **tls)  # type: ignore[arg-type]
        server = uvicorn.Server(config)
        started = threading.Event()
        server.startup = _telling(server.startup, started)  # type: ignore[method-assign]
        thread = threading.Thread(target=_serve, args=(page.loop, server, listener))
        thread.start()
        try:
            assert started.wait(20), "the server did not start"
            page.run(page.people())
            yield page
        finally:
            server.should_exit = True
            thread.join(20)


def _serve(loop: asyncio.AbstractEventLoop, server: uvicorn.Server, on: socket.socket) -> None:
    asyncio.set_event_loop(loop)
    loop.run_until_complete(server.serve(sockets=[on]))
    loop.close()


def _telling(startup: Any, started: threading.Event) -> Any:
    async def start(*args: Any, **options: Any) -> None:
        await startup(*args, **options)
        started.set()

    return start


class Visitor:
    """Somebody at a browser: what they can see and press, by the names of things."""

    def __init__(self, site: Served, page: Page) -> None:
        self.site = site
        self.page = page

    def log_in(self, who: str = "alice", *, at: str = "/access-tokens") -> None:
        self.page.goto(at)
        self.page.get_by_label("Username").fill(who)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.button("Log in").click()
        self.page.wait_for_url(f"{self.site.url}{at}")

    def enter(self, who: str = "alice", *, at: str = "/access-tokens") -> None:
        """Be logged in, without the form: most tests are about what comes after."""
        session = self.site.run(self.site.begin(who))
        cookie = {"name": "bearer-guard-session", "value": session, "url": self.site.url}
        self.page.context.add_cookies([cookie])  # type: ignore[list-item]
        self.page.goto(at)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def link(self, name: str) -> Locator:
        return self.page.get_by_role("link", name=name, exact=True)

    def value(self) -> str:
        return self.page.get_by_label("Token value").input_value()

    def row(self, description: str) -> Locator:
        return self.page.get_by_role("row").filter(has_text=description)

    def works(self, value: str) -> bool:
        """Whether a token is good."""
        login = TokenLogin(self.site.store, self.site.keyring, clock=self.site.clock)
        return isinstance(self.site.run(login.log_in(value.encode())), Principal)

    def tokens(self, owner: str = "alice") -> int:
        """How many tokens somebody has."""
        return len(self.site.run(self.site.issuer.list(ROOT, owner=owner)))

    def fits(self) -> bool:
        """Whether nothing sticks out to the side."""
        width = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        return bool(self.page.evaluate(width))
