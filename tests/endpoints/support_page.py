"""What tests of the page need: the page over a store in memory, and browsers without a screen."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any, Final

import httpx2

from bearer_guard.endpoints.page import page_app
from bearer_guard.errors import StoreUnavailable
from bearer_guard.issuing import Issuer, Principal
from bearer_guard.issuing.accounts import Accounts
from bearer_guard.issuing.logins import LogIns
from bearer_guard.issuing.logins.password import PasswordLogin
from bearer_guard.issuing.rate import FailureLimits
from bearer_guard.keyring import Keyring
from bearer_guard.testing import ManualClock
from tests.issuing.support import PASSWORD, FaultyStore, Told, cheap_passwords

if TYPE_CHECKING:
    from bearer_guard.issuing.passwords import Passwords
    from bearer_guard.policy import Policy
    from bearer_guard.store import Note

ROOT: Final = Principal("root", admin=True)
_FIELD: Final = re.compile(r'<input type="hidden" name="csrf" value="([^"]+)">')
_VALUE: Final = re.compile(r'<textarea id="value"[^>]*>([^<]*)</textarea>')
_ID: Final = re.compile(r"<code>([0-9a-f]{8}-[0-9a-f-]{27})</code>")


class NotedStore(FaultyStore):
    """Its notes and settings can fail, too."""

    async def add_note(self, key: str, note: Note, now_ms: int) -> bool:
        self._called("add_note")
        self._called(f"add_note {key.partition(' ')[0]}")
        return await super().add_note(key, note, now_ms)

    async def drop_note(self, key: str) -> bool:
        self._called("drop_note")
        return await super().drop_note(key)

    async def policy(self) -> Policy:
        self._called("policy")
        return await super().policy()


class Pages:
    """The page.

    People: ``root`` is an administrator, ``alice`` and ``bob`` may generate, ``carol`` may not,
    ``dave`` is disabled. All have the same password.
    """

    def __init__(
        self,
        *,
        base: str = "http://testserver",
        passwords: Passwords | None = None,
        limits: FailureLimits | None = None,
        store: NotedStore | None = None,
        clock: ManualClock | None = None,
        **options: Any,
    ) -> None:
        self.base = base
        self.store = store or NotedStore()
        self.keyring = Keyring.generate()
        self.clock = clock or ManualClock()
        self.told = Told()
        self.passwords = passwords or cheap_passwords()
        self.issuer = Issuer(self.store, self.keyring, clock=self.clock, listeners=[self.told])
        common: Any = {"clock": self.clock, "listeners": [self.told]}
        self.accounts = Accounts(
            self.store, passwords=self.passwords, clock=self.clock, listeners=()
        )
        log_ins = LogIns(
            [PasswordLogin(self.store, self.passwords)],
            limits=limits or FailureLimits(per_account=10_000, per_address=10_000),
            **common,
        )
        parts = {"issuer": self.issuer, "passwords": self.passwords, "log_ins": log_ins}
        self.app = page_app(self.store, self.keyring, **{**common, **parts, **options})

    async def people(self) -> Pages:
        add = self.accounts.add
        await add(ROOT, "root", password=PASSWORD, admin=True)
        await add(ROOT, "alice", password=PASSWORD, may_generate=True)
        await add(ROOT, "bob", password=PASSWORD, may_generate=True)
        await add(ROOT, "carol", password=PASSWORD)
        await add(ROOT, "dave", password=PASSWORD, disabled=True)
        return self

    def browser(self) -> Browser:
        return Browser(self)

    async def logged_in(self, who: str = "alice") -> Browser:
        """A browser in which somebody has logged in."""
        browser = self.browser()
        answer = await browser.log_in(who)
        assert answer.status_code == 303, answer.text
        return browser

    async def settle(self, **changes: Any) -> None:
        await self.issuer.change_settings(ROOT, **changes)

    async def tokens_of(self, owner: str) -> list[str]:
        listing = await self.issuer.list(ROOT, owner=owner)
        return [str(record.id) for record in listing]


class Browser:
    """Keeps cookies, and sends back the forms that it was shown. It follows no redirect."""

    def __init__(self, pages: Pages) -> None:
        transport = httpx2.ASGITransport(pages.app, client=("192.0.2.1", 50_000))
        self.client = httpx2.AsyncClient(transport=transport, base_url=pages.base)
        self.headers: dict[str, str] = {}

    @property
    def cookies(self) -> dict[str, str]:
        return dict(self.client.cookies.items())

    @property
    def session(self) -> str:
        """The value of the session's cookie; empty: there is none."""
        return next((v for n, v in self.cookies.items() if n.endswith("guard-session")), "")

    async def get(self, path: str, **request: Any) -> httpx2.Response:
        return await self.ask("GET", path, **request)

    async def ask(self, method: str, path: str, **request: Any) -> httpx2.Response:
        headers = {**self.headers, **request.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **request)

    async def post(
        self, path: str, *, form: str | None = None, csrf: str | None = None, **fields: str
    ) -> httpx2.Response:
        """Submit a form, with the token of the page ``form``, by default the same path's."""
        if csrf is None:
            csrf = csrf_of(await self.get(form or path))
        return await self.ask("POST", path, data={"csrf": csrf, **fields})

    async def log_in(self, who: str, password: str = PASSWORD, **fields: str) -> httpx2.Response:
        return await self.post("/login", username=who, password=password, **fields)

    async def generate(self, days: str = "30", description: str = "", **fields: str) -> str:
        """A new token's value, by the form and the page that it leads to."""
        path = "/access-tokens/new"
        answer = await self.post(path, days=days, description=description, **fields)
        assert answer.status_code == 303, answer.text
        return value_of(await self.get(answer.headers["location"]))

    async def table(self, path: str = "/access-tokens") -> list[str]:
        """The ids in a table."""
        return _ID.findall((await self.get(path)).text)


def csrf_of(answer: httpx2.Response) -> str:
    """The token of the page's last form: the one for logging out comes first."""
    found = _FIELD.findall(answer.text)
    assert found, answer.text
    return str(found[-1])


def value_of(answer: httpx2.Response) -> str:
    found = _VALUE.search(answer.text)
    assert found is not None, answer.text
    return html.unescape(found[1])


def unanswered(*_: object, **__: object) -> Any:
    raise StoreUnavailable("no answer")
