"""`_logins`: the ways to log in that the file asks for."""

import asyncio
import base64
import re
import sys
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import httpx2
import pytest
from starlette.testclient import TestClient

from bearer_guard import ConfigurationError
from bearer_guard.cli._application import Service, assemble
from bearer_guard.cli._config import check_config, read_config
from bearer_guard.cli._logins import check_logins, logins_of, page_options
from bearer_guard.cli._root import root
from bearer_guard.cli._workplace import Place
from bearer_guard.issuing import Principal
from bearer_guard.issuing.logins.ldap import LdapLogin
from bearer_guard.issuing.logins.oidc import OidcLogin
from bearer_guard.issuing.logins.password import AccountDirectory
from bearer_guard.issuing.logins.saml import SamlLogin
from bearer_guard.stores.memory import MemoryStore
from tests.cli.support import PASSWORD, Cli
from tests.faults import Fault, faulty_proxy
from tests.issuing.logins.certificates import Authority
from tests.issuing.logins.conftest import authority, directory
from tests.issuing.logins.idp import IdentityProvider
from tests.issuing.logins.people import ADMINS, MAKERS, words_of
from tests.issuing.logins.slapd import PEOPLE, Slapd
from tests.issuing.logins.watching import longest_gap
from tests.support import LOOPBACK

__all__ = ["authority", "directory"]  # fixtures

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "logins.md"
LDAP = {"url": "ldaps://dc.example.com", "user_dn": "uid={username},dc=example,dc=com"}


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (1, "logins must be a table"),
        ({"kerberos": {}}, "unknown key logins.kerberos"),
        ({"password": True}, "unknown key logins.password"),
        ({"password": {"enable": True}}, "unknown key logins.password.enable"),
        ({"password": {"enabled": "no"}}, "logins.password.enabled must be true or false"),
        ({"ldap": LDAP | {"uri": "x"}}, "unknown key logins.ldap.uri"),
        ({"ldap": LDAP | {"server": "x"}}, "unknown key logins.ldap.server"),
        ({"saml": {"acs": "x"}}, "unknown key logins.saml.acs"),
        ({"oidc": {"client_secret": "x"}}, "unknown key logins.oidc.client_secret"),
    ],
)
def test_what_means_nothing_is_an_error_that_names_it(table: object, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_logins(table)
    assert str(caught.value) == problem


@pytest.mark.parametrize("table", [{}, {"password": {}}, {"password": {"enabled": False}}])
def test_what_means_something_passes(table: dict[str, Any]) -> None:
    check_logins(table)
    check_logins(table | {"ldap": LDAP})


async def test_native_accounts_are_there_unless_they_are_switched_off() -> None:
    store = MemoryStore()
    assert len(logins_of(store, {}).by_password._methods) == 1
    assert logins_of(store, {"password": {"enabled": False}}).by_password._methods == []


def test_a_directory_comes_after_native_passwords_and_before_what_accounts_say() -> None:
    logins = logins_of(MemoryStore(), {"ldap": LDAP})
    assert [method.name for method in logins.by_password._methods] == ["password", "ldap"]
    assert [type(one) for one in logins.directories] == [LdapLogin, AccountDirectory]


def test_a_setting_that_cannot_work_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="start_tls"):
        logins_of(MemoryStore(), {"ldap": LDAP | {"url": "ldap://dc.example.com"}})


@pytest.mark.parametrize("name", ["ldap", "saml", "oidc"])
def test_a_missing_package_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, f"bearer_guard.issuing.logins.{name}", None)
    with pytest.raises(ConfigurationError, match=rf"pip install 'bearer-guard\[{name}\]'"):
        check_logins({name: {"url": "x"}})


def test_a_store_without_accounts_is_a_configuration_error() -> None:
    class TokensOnly(MemoryStore):
        add_account = None  # type: ignore[assignment]

    with pytest.raises(ConfigurationError, match="keeps no accounts"):
        logins_of(TokensOnly(), {})


EXAMPLES = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_document_works(
    example: str, tmp_path: Path, authority: Authority
) -> None:
    """As a file, with the files that it names: all log-ins are made of it."""
    (tmp_path / "ca.pem").write_bytes(Path(authority.ca_file).read_bytes())
    for name in ("ldap-password", "oidc-secret"):
        (tmp_path / name).write_text("a secret\n")
    IdentityProvider(tmp_path, authority).metadata_file.rename(tmp_path / "idp.xml")
    file = tmp_path / "bearer-guard.toml"
    file.write_text(example.replace("/etc/bearer-guard", str(tmp_path)))
    _, settings = read_config(str(file))
    check_config(str(file), settings, click.Context(root))
    store, table = MemoryStore(), settings["logins"]
    logins = logins_of(store, table)
    options = page_options(store, table, logins)
    methods = [method.name for method in logins.by_password._methods]
    assert set(table) == {"ldap", "saml", "oidc"} & {*methods, *options}


def test_the_document_has_an_example_of_each() -> None:
    found = {name for example in EXAMPLES for name in tomllib.loads(example)["logins"]}
    assert found >= {"ldap", "saml", "oidc"}


OIDC = {
    "issuer": "https://login.example.com",
    "client_id": "bearer-guard",
    "redirect_uri": "https://app.example.com/oidc/callback",
}


def test_the_page_offers_what_the_file_asks_for(tmp_path: Path, authority: Authority) -> None:
    store = MemoryStore()
    saml = {
        "entity_id": "https://app.example.com/saml/metadata",
        "acs_url": "https://app.example.com/saml/acs",
        "idp_metadata": str(IdentityProvider(tmp_path, authority).metadata_file),
    }
    table = {"password": {"enabled": False}, "saml": saml, "oidc": OIDC}
    options = page_options(store, table, logins_of(store, table))
    assert isinstance(options["saml"], SamlLogin)
    assert isinstance(options["oidc"], OidcLogin)
    assert options["by_password"] is False
    assert page_options(store, {}, logins_of(store, {})).keys() & {"saml", "oidc"} == set()


@pytest.mark.parametrize(
    ("table", "by_password", "people"),
    [
        ({}, True, set()),
        ({"password": {"enabled": False}}, False, set()),
        ({"password": {"enabled": False}, "ldap": LDAP}, True, set()),
        ({"ldap": LDAP | {"bind_dn": "cn=reader", "bind_password_file": __file__}}, True, {"ldap"}),
    ],
)
def test_a_directory_is_asked_afresh_where_it_can_be(
    table: dict[str, Any], by_password: object, people: set[str]
) -> None:
    store = MemoryStore()
    options = page_options(store, table, logins_of(store, table))
    assert options["by_password"] is by_password
    assert set(options["people"]) == people


def test_a_provider_that_cannot_be_is_an_error() -> None:
    store = MemoryStore()
    table = {"oidc": OIDC | {"issuer": "http://login.example.com"}}
    with pytest.raises(ConfigurationError, match="issuer"):
        page_options(store, table, logins_of(store, table))


@pytest.fixture
def with_directory(alice: Cli, directory: Slapd) -> Cli:
    """The command, with a directory in its file beside the native account alice."""
    (alice.folder / "bearer-guard.toml").write_text(
        f"[logins.ldap]\nurl = '{directory.tls_url}'\n"
        f"ca_file = '{directory.authority.ca_file}'\n"
        f"user_dn = 'uid={{username}},{PEOPLE}'\n"
        f"admin_group = '{ADMINS}'\ngenerate_group = '{MAKERS}'\n"
    )
    return alice


def test_people_of_a_directory_make_tokens_with_its_password(with_directory: Cli) -> None:
    create = ("token", "create", "--days", "1", "--password-stdin", "--user")
    assert with_directory(*create, "bob", stdin=words_of("bob")).exit_code == 0
    assert with_directory(*create, "bob", stdin="wrong horse battery").exit_code == 1
    assert with_directory(*create, "alice", stdin=PASSWORD).exit_code == 0
    assert with_directory(*create, "eve", stdin=words_of("eve")).exit_code == 1  # in no group
    owners = {row["owner"] for row in with_directory.json("token", "list")["data"]}
    assert owners == {"alice", "bob"}


def test_the_service_knows_the_directory_too(with_directory: Cli, directory: Slapd) -> None:
    del with_directory
    ldap = {
        "url": directory.tls_url,
        "ca_file": str(directory.authority.ca_file),
        "user_dn": f"uid={{username}},{PEOPLE}",
        "generate_group": MAKERS,
    }
    service = service_with({"ldap": ldap})
    credentials = base64.b64encode(f"bob:{words_of('bob')}".encode()).decode()
    with TestClient(assemble(service)) as client:
        made = client.post(
            "/v4/apiAccessTokens",
            json={"lifetimeSeconds": 60},
            headers={"authorization": f"Basic {credentials}"},
        )
        token = {"authorization": f"Bearer {made.json()['tokenValue']}"}
        assert client.get("/whoami", headers=token).json()["user"] == "bob"


async def test_tokens_go_on_working_while_the_directory_hangs(alice: Cli, directory: Slapd) -> None:
    """Log-ins are told that they are not possible now; nobody else notices."""
    del alice
    async with faulty_proxy(directory.tls_port) as proxy:
        ldap = {
            "url": f"ldaps://{LOOPBACK}:{proxy.port}",
            "ca_file": str(directory.authority.ca_file),
            "user_dn": f"uid={{username}},{PEOPLE}",
            "connect_timeout": 1.0,
        }
        service = service_with({"password": {"enabled": False}, "ldap": ldap})
        token = await a_token(service.place)
        transport = httpx2.ASGITransport(assemble(service))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            page = await client.get("/login")
            csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
            assert csrf is not None
            await client.get("/whoami", headers=token)
            await proxy.become(Fault.BLACK_HOLE)
            form = {"csrf": csrf[1], "username": "bob", "password": words_of("bob")}
            async with longest_gap() as gap:
                tries = [
                    asyncio.create_task(client.get("/v4/apiAccessTokens", auth=("bob", "x"))),
                    asyncio.create_task(client.post("/login", data=form)),
                ]
                count = 0
                while not all(one.done() for one in tries):
                    answer = await client.get("/whoami", headers=token)
                    assert answer.status_code == 200
                    count += 1
                    await asyncio.sleep(0.01)
            by_api, by_page = await asyncio.gather(*tries)
    assert count > 20
    assert gap.cpu < 0.025
    for answer in (by_api, by_page):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "Logging in is not possible now" in by_page.text
    assert "tokens go on working" in by_page.text.lower()


async def a_token(place: Place) -> dict[str, str]:
    """The header of a token of somebody who has no account here."""
    async with place.open() as at:
        principal = Principal("bob", may_generate=True)
        issued = await at.issuer().create(principal, lifetime=timedelta(hours=1))
    return {"authorization": f"Bearer {issued.value}"}


def service_with(logins: dict[str, Any]) -> Service:
    return Service(
        app="bearer_guard.cli._sample:app",
        place=Place(
            store_url="sqlite:///bearer-guard.db",
            keys_file=Path("bearer-guard.keys"),
            logins=logins,
        ),
        exempt=(),
        optional=False,
        staleness=5.0,
        realm="api",
        prefix="/v4",
    )
