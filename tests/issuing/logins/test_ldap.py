"""`logins.ldap`: a directory proves names, in its own spelling, and an outage proves nothing."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sansldap

from bearer_guard.errors import ConfigurationError, StoreUnavailable
from bearer_guard.issuing import Principal
from bearer_guard.issuing.accounts import Accounts
from bearer_guard.issuing.logins import Denied, Flags, LogIns, No
from bearer_guard.issuing.logins.ldap import DirectoryUnavailable, LdapConfig, LdapLogin
from bearer_guard.issuing.logins.password import PasswordLogin
from bearer_guard.issuing.sweep import Standing
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.testing import ManualClock
from tests.faults import Fault, faulty_proxy
from tests.issuing.logins import samba
from tests.issuing.logins.certificates import Authority
from tests.issuing.logins.people import ADMINS, MAKERS, ODD_NAME, words_of
from tests.issuing.logins.scripted import agreeable, refuses_binds, scripted
from tests.issuing.logins.slapd import PEOPLE, READER_DN, READER_PASSWORD, person, slapd
from tests.issuing.logins.watching import Questions, longest_gap
from tests.issuing.support import cheap_passwords
from tests.support import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path

    from tests.issuing.logins.samba import DomainController
    from tests.issuing.logins.slapd import Slapd

ROOT = Principal("root", admin=True)
BY_DN: dict[str, Any] = {"user_dn": f"uid={{username}},{PEOPLE}"}
BY_SEARCH: dict[str, Any] = {"search_base": PEOPLE, "search_filter": "(uid={username})"}
BY_SAM: dict[str, Any] = {
    "search_base": samba.BASE,
    "search_filter": "(&(objectClass=user)(sAMAccountName={username}))",
}


@pytest.fixture
def reader(tmp_path: Path) -> dict[str, Any]:
    """Who searches in OpenLDAP."""
    file = tmp_path / "reader"
    file.write_text(READER_PASSWORD + "\n")
    return {"bind_dn": READER_DN, "bind_password_file": str(file)}


@pytest.fixture
def administrator(tmp_path: Path) -> dict[str, Any]:
    """Who searches in Active Directory."""
    file = tmp_path / "administrator"
    file.write_text(samba.ADMINISTRATOR_PASSWORD)
    return {"bind_dn": samba.ADMINISTRATOR, "bind_password_file": str(file)}


def login(directory: Slapd, *settings: dict[str, Any], **more: Any) -> LdapLogin:
    """A log-in over TLS, with the two groups that count."""
    table: dict[str, Any] = {
        "url": directory.tls_url,
        "ca_file": str(directory.authority.ca_file),
        "admin_group": ADMINS,
        "generate_group": MAKERS,
    }
    for some in settings:
        table |= some
    return LdapLogin(LdapConfig.from_table(table), **more)


def ad_login(domain: DomainController, *settings: dict[str, Any], **more: Any) -> LdapLogin:
    table: dict[str, Any] = {
        "url": domain.url,
        "ca_file": str(domain.authority.ca_file),
        "admin_group": f"cn=outer,{samba.USERS}",
        "generate_group": f"cn=inner,{samba.USERS}",
    }
    for some in settings:
        table |= some
    return LdapLogin(LdapConfig.from_table(table), **more)


def plain(url: str, **more: Any) -> LdapLogin:
    """A log-in without TLS, by DN, with no groups."""
    settings = {"user_dn": "uid={username},dc=x", **more}
    return LdapLogin(LdapConfig(url=url, allow_plaintext=True, **settings))


# The three ways to find somebody


@pytest.fixture(params=["user_dn", "search", "search by the reader"])
def by(request: pytest.FixtureRequest, directory: Slapd, reader: dict[str, Any]) -> LdapLogin:
    if request.param == "user_dn":
        return login(directory, BY_DN)
    return login(directory, BY_SEARCH, reader)


async def test_the_right_password_proves_the_name(by: LdapLogin) -> None:
    assert await by.prove("bob", words_of("bob")) == Principal(
        "bob", may_generate=True, proven_by="ldap"
    )


@pytest.mark.parametrize("typed", ["alice", "ALICE", " alice", "alice ", "Alice"])
async def test_the_owner_is_spelled_as_the_directory_spells_it(by: LdapLogin, typed: str) -> None:
    principal = await by.prove(typed, words_of("alice"))
    assert isinstance(principal, Principal)
    assert principal.name == "Alice"


async def test_an_administrator_by_groups_in_groups_in_a_circle(by: LdapLogin) -> None:
    principal = await by.prove("alice", words_of("alice"))
    assert isinstance(principal, Principal)
    assert (principal.admin, principal.may_generate) == (True, False)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("bob", "another's"),
        ("bob", words_of("alice")),
        ("nobody", words_of("bob")),
        ("gus", "anything"),
        ("carol", words_of("carol")),
        ("dave", words_of("dave")),
    ],
)
async def test_others_are_not_let_in(by: LdapLogin, name: str, password: str) -> None:
    assert isinstance(await by.prove(name, password), No)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("bob", ""),
        ("", words_of("bob")),
        ("  ", words_of("bob")),
        ("bob\0", words_of("bob")),
        ("bob", words_of("bob") + "\0"),
        ("b" * 257, words_of("bob")),
        ("bob", "x" * 1025),
        ("bob", "\ud800"),
        ("\ud800", words_of("bob")),
    ],
)
async def test_what_can_be_nobody_s_is_not_shown_to_the_directory(name: str, password: str) -> None:
    """The directory here is one that lets everybody in, and nobody can be told that it was."""
    calls: list[object] = []

    def answer(session: sansldap.LDAPServer, message: sansldap.LDAPMessage) -> bytes | None:
        calls.append(message)
        return agreeable(session, message)

    async with scripted(answer) as url:
        assert await plain(url).prove(name, password) is No.STRANGER
    assert calls == []


@pytest.mark.parametrize(
    "name",
    [
        "*",
        "bob*",
        "bob)(uid=*",
        "bob)(|(uid=*",
        "*)(uid=*))(|(uid=*",
        f"bob,{PEOPLE}",
        "bob+cn=bob",
        "bob\\2a",
        "bob\\",
        '"bob"',
        "bob=",
        "#626f62",
        "bob;",
    ],
)
async def test_a_name_is_a_value_and_no_syntax(by: LdapLogin, name: str) -> None:
    assert isinstance(await by.prove(name, words_of("bob")), No)


async def test_a_name_full_of_syntax_is_somebody_s_all_the_same(by: LdapLogin) -> None:
    principal = await by.prove(ODD_NAME, words_of("odd"))
    assert isinstance(principal, Principal)
    assert principal.name == ODD_NAME


async def test_of_two_names_the_one_in_the_dn_is_the_owner_s(by: LdapLogin) -> None:
    principal = await by.prove("eve", words_of("eve"))
    assert isinstance(principal, Principal)
    assert principal.name == "eve"


async def test_two_names_and_neither_in_the_dn_are_refused(
    directory: Slapd, reader: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert await login(directory, BY_SEARCH, reader).prove("fay", words_of("faythe")) is No.WRONG
    assert "no one value of uid" in caplog.text


async def test_somebody_may_log_in_by_one_name_and_own_by_another(
    directory: Slapd, reader: dict[str, Any]
) -> None:
    by_mail = {"search_base": PEOPLE, "search_filter": "(mail={username})", "name_attribute": "uid"}
    principal = await login(directory, by_mail, reader).prove(
        "alice@example.com", words_of("alice")
    )
    assert isinstance(principal, Principal)
    assert principal.name == "Alice"


@pytest.mark.parametrize("whose", ["bob", "eve"])
async def test_a_name_that_finds_two_people_is_neither_s(
    directory: Slapd, reader: dict[str, Any], whose: str
) -> None:
    by_mail = {"search_base": PEOPLE, "search_filter": "(mail={username})", "name_attribute": "uid"}
    outcome = await login(directory, by_mail, reader).prove("both@example.com", words_of(whose))
    assert outcome is No.WRONG


async def test_a_search_tells_a_stranger_from_a_wrong_password(
    directory: Slapd, reader: dict[str, Any]
) -> None:
    """So that another log-in may be asked about the stranger, and about nobody else."""
    by_search = login(directory, BY_SEARCH, reader)
    assert await by_search.prove("nobody", "x") is No.STRANGER
    assert await by_search.prove("bob", "x") is No.WRONG
    assert await by_search.prove("carol", words_of("carol")) is No.WRONG


async def test_a_search_takes_as_many_questions_for_anybody(
    directory: Slapd, reader: dict[str, Any]
) -> None:
    """Counted, not timed: binds and searches until the answer is no."""
    for name, password in (("nobody", "x"), ("bob", "x"), ("carol", words_of("carol"))):
        questions = Questions()
        by_search = login(directory, BY_SEARCH, reader, connect=questions.connect)
        assert isinstance(await by_search.prove(name, password), No)
        assert questions == ["bind", "search", "bind"]


# Active Directory


@pytest.mark.parametrize("typed", ["alice", "ALICE", "Alice"])
async def test_active_directory_logs_in_by_the_user_principal_name(
    domain: DomainController, typed: str
) -> None:
    by_upn = ad_login(domain, {"upn": "{username}@example.com"})
    assert await by_upn.prove(typed, "alice's W0rds") == Principal(
        "alice@example.com", admin=True, may_generate=True, proven_by="ldap"
    )


async def test_active_directory_finds_by_the_windows_name(
    domain: DomainController, administrator: dict[str, Any]
) -> None:
    by_sam = ad_login(domain, BY_SAM, administrator)
    alice = await by_sam.prove("ALICE", "alice's W0rds")
    assert alice == Principal("alice", admin=True, may_generate=True, proven_by="ldap")
    assert await by_sam.prove("bob", "bob's W0rds") == Principal("bob", proven_by="ldap")


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("alice", "bob's W0rds"),
        ("carol", "carol's W0rds"),
        ("nobody", "x"),
        ("EXAMPLE\\alice", "alice's W0rds"),
        ("alice@example.com", "alice's W0rds"),
        ("al*", "alice's W0rds"),
        ("alice ", "alice's W0rds"),
    ],
)
async def test_active_directory_lets_nobody_else_in(
    domain: DomainController, name: str, password: str
) -> None:
    by_upn = ad_login(domain, {"upn": "{username}@example.com"})
    assert await by_upn.prove(name, password) is No.STRANGER


async def test_a_windows_name_that_is_no_user_principal_name_proves_nothing(
    domain: DomainController,
) -> None:
    """Active Directory lets dave@example.com in by his Windows name; his UPN is another."""
    by_upn = ad_login(domain, {"upn": "{username}@example.com"})
    assert isinstance(await by_upn.prove("dave", "dave's W0rds"), No)
    elsewhere = ad_login(domain, {"upn": "{username}@elsewhere.example"})
    assert isinstance(await elsewhere.prove("dave", "dave's W0rds"), Principal)


async def test_active_directory_tells_how_it_stands_to_its_people(
    domain: DomainController, administrator: dict[str, Any]
) -> None:
    by_sam = ad_login(domain, BY_SAM, administrator)
    assert await by_sam.standings(["alice", "carol", "nobody"]) == {
        "alice": Standing.PRESENT,
        "carol": Standing.DISABLED,
        "nobody": Standing.GONE,
    }
    assert await by_sam.flags("alice") == Flags(admin=True, may_generate=True)
    assert await by_sam.flags("carol") == Flags(disabled=True)
    assert await by_sam.flags("nobody") is None


# Beside native accounts


async def test_a_native_account_s_name_is_proved_by_its_own_password_only(
    directory: Slapd,
) -> None:
    store = MemoryStore()
    accounts = Accounts(store, passwords=cheap_passwords(), listeners=())
    await accounts.add(ROOT, "bob", password="a native password")
    by_dn = login(directory, BY_DN, accounts=store)
    assert await by_dn.prove("bob", words_of("bob")) is No.WRONG
    both = LogIns([by_dn, PasswordLogin(store, cheap_passwords())], listeners=())
    assert await both.log_in("bob", words_of("bob")) == Denied()


async def test_an_account_without_a_password_enables_one_of_the_directory_s_people(
    directory: Slapd, reader: dict[str, Any]
) -> None:
    store = MemoryStore()
    accounts = Accounts(store, passwords=cheap_passwords(), listeners=())
    await accounts.add(ROOT, "eve", may_generate=True)
    by_search = login(directory, BY_SEARCH, reader, accounts=store)
    eve = await by_search.prove("eve", words_of("eve"))
    assert isinstance(eve, Principal)
    assert eve.may_generate
    assert await by_search.flags("eve") == Flags(may_generate=True)


async def test_an_account_without_a_password_disables_one_of_the_directory_s_people(
    directory: Slapd,
) -> None:
    store = MemoryStore()
    accounts = Accounts(store, passwords=cheap_passwords(), listeners=())
    await accounts.add(ROOT, "Alice", disabled=True)
    by_dn = login(directory, BY_DN, accounts=store)
    assert await by_dn.prove("alice", words_of("alice")) is No.WRONG


async def test_a_native_log_in_comes_first_and_strangers_go_on_to_the_directory(
    directory: Slapd,
) -> None:
    store = MemoryStore()
    accounts = Accounts(store, passwords=cheap_passwords(), listeners=())
    await accounts.add(ROOT, "native", password="a native password")
    methods = [PasswordLogin(store, cheap_passwords()), login(directory, BY_DN, accounts=store)]
    both = LogIns(methods, listeners=())
    assert isinstance(await both.log_in("native", "a native password"), Principal)
    assert isinstance(await both.log_in("alice", words_of("alice")), Principal)


async def test_beside_native_accounts_whatever_is_wrong_takes_as_many_questions(
    directory: Slapd, reader: dict[str, Any]
) -> None:
    """Wrong password, unknown name, disabled account: of either kind."""
    store = MemoryStore()
    accounts = Accounts(store, passwords=cheap_passwords(), listeners=())
    await accounts.add(ROOT, "native", password="a native password")
    await accounts.add(ROOT, "gone", password="a native password", disabled=True)
    tries = {
        "native": "wrong",
        "gone": "a native password",
        "nobody": "wrong",
        "bob": "wrong",
        "carol": words_of("carol"),
    }
    for name, password in tries.items():
        questions = Questions()
        ldap = login(directory, BY_SEARCH, reader, accounts=store, connect=questions.connect)
        both = LogIns([PasswordLogin(store, cheap_passwords()), ldap], listeners=())
        assert await both.log_in(name, password) == Denied()
        assert questions == ["bind", "search", "bind"], name


# What it says of those who aren't there to log in


async def test_the_reader_learns_what_somebody_may_do(
    directory: Slapd, reader: dict[str, Any]
) -> None:
    for way in (BY_DN, BY_SEARCH):
        by_reader = login(directory, way, reader)
        assert by_reader.looks_up
        assert await by_reader.flags("Alice") == Flags(admin=True)
        assert await by_reader.flags("bob") == Flags(may_generate=True)
        assert await by_reader.flags("carol") == Flags(disabled=True)


@pytest.mark.parametrize("name", ["nobody", "alice", "ALICE", "b*", "evelyn"])
async def test_another_spelling_is_nobody_it_knows(
    directory: Slapd, reader: dict[str, Any], name: str
) -> None:
    """Owners are compared exactly: what "alice" may do is not what "Alice" may."""
    assert await login(directory, BY_SEARCH, reader).flags(name) is None


async def test_without_a_reader_nothing_is_known_of_the_absent(directory: Slapd) -> None:
    by_dn = login(directory, BY_DN)
    assert not by_dn.looks_up
    assert await by_dn.flags("Alice") is None
    with pytest.raises(ConfigurationError, match="bind_dn"):
        await by_dn.standings(["Alice"])


async def test_nothing_is_said_of_a_native_account(
    directory: Slapd, reader: dict[str, Any]
) -> None:
    store = MemoryStore()
    await Accounts(store, passwords=cheap_passwords(), listeners=()).add(
        ROOT, "Alice", password="a native password"
    )
    assert await login(directory, BY_SEARCH, reader, accounts=store).flags("Alice") is None


async def test_standings_are_those_of_the_directory(
    directory: Slapd, reader: dict[str, Any]
) -> None:
    for way in (BY_DN, BY_SEARCH):
        assert await login(directory, way, reader).standings(["Alice", "dave", "nobody"]) == {
            "Alice": Standing.PRESENT,
            "dave": Standing.DISABLED,
            "nobody": Standing.GONE,
        }


@pytest.mark.parametrize("base", ["ou=nothing,dc=example,dc=com", "ou=groups,dc=example,dc=com"])
async def test_a_directory_that_shows_nobody_at_all_is_not_believed(
    directory: Slapd, reader: dict[str, Any], base: str
) -> None:
    by_search = login(directory, BY_SEARCH, reader, {"search_base": base})
    with pytest.raises(DirectoryUnavailable, match="nobody at all"):
        await by_search.standings(["Alice"])


async def test_a_reader_that_may_not_log_in_is_an_outage_and_not_a_wrong_password(
    directory: Slapd, reader: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "wrong").write_text("not the reader's words")
    by_search = login(directory, BY_SEARCH, reader, {"bind_password_file": str(tmp_path / "wrong")})
    with pytest.raises(DirectoryUnavailable, match="bind_dn"):
        await by_search.prove("bob", words_of("bob"))
    with pytest.raises(DirectoryUnavailable, match="bind_dn"):
        await by_search.standings(["bob"])


# TLS


async def test_start_tls_is_as_good_as_tls(directory: Slapd) -> None:
    by_dn = login(directory, BY_DN, {"url": directory.plain_url, "start_tls": True})
    assert isinstance(await by_dn.prove("alice", words_of("alice")), Principal)


@pytest.mark.parametrize("start_tls", [True, False])
async def test_a_certificate_of_another_authority_is_an_outage(
    directory: Slapd, tmp_path: Path, *, start_tls: bool
) -> None:
    url = directory.plain_url if start_tls else directory.tls_url
    stranger = {"ca_file": str(Authority(tmp_path, "Strangers").ca_file)}
    by_dn = login(directory, BY_DN, stranger, {"url": url, "start_tls": start_tls})
    with pytest.raises(DirectoryUnavailable, match="certificate"):
        await by_dn.prove("alice", words_of("alice"))


async def test_the_system_s_authorities_are_not_ours(directory: Slapd) -> None:
    by_dn = LdapLogin(LdapConfig(url=directory.tls_url, **BY_DN))
    with pytest.raises(DirectoryUnavailable, match="certificate"):
        await by_dn.prove("alice", words_of("alice"))


async def test_a_certificate_for_another_name_is_an_outage(directory: Slapd) -> None:
    url = directory.tls_url.replace(LOOPBACK, "localhost")
    with pytest.raises(DirectoryUnavailable, match="certificate"):
        await login(directory, BY_DN, {"url": url}).prove("alice", words_of("alice"))


async def test_an_expired_certificate_is_an_outage(authority: Authority) -> None:
    cert = authority.issue("expired", lifetime=timedelta(days=-1))
    with slapd(authority=authority, cert=cert) as directory:
        directory.add(person("alice", words_of("alice")))
        for how in ({}, {"url": directory.plain_url, "start_tls": True}):
            with pytest.raises(DirectoryUnavailable, match="expired"):
                await login(directory, BY_DN, how).prove("alice", words_of("alice"))


# Outages


@pytest.mark.parametrize("fault", [Fault.BLACK_HOLE, Fault.REFUSE, Fault.RESET, Fault.CUT])
@pytest.mark.parametrize("tls", [True, False])
async def test_a_directory_in_trouble_is_an_outage_within_five_seconds(
    directory: Slapd, fault: Fault, *, tls: bool
) -> None:
    port = directory.tls_port if tls else directory.port
    async with faulty_proxy(port) as proxy:
        url = f"ldaps://{LOOPBACK}:{proxy.port}" if tls else f"ldap://{LOOPBACK}:{proxy.port}"
        limits = {"connect_timeout": 0.3, "operation_timeout": 0.3}
        by_dn = login(directory, BY_DN, limits, {"url": url, "allow_plaintext": True})
        assert isinstance(await by_dn.prove("alice", words_of("alice")), Principal)
        await proxy.become(fault)
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await by_dn.prove("alice", words_of("alice"))
        assert time.monotonic() - began < 1


async def test_a_directory_that_hangs_in_the_middle_is_an_outage() -> None:
    def answer(session: sansldap.LDAPServer, message: sansldap.LDAPMessage) -> bytes | None:
        return agreeable(session, message) if isinstance(message, sansldap.BindRequest) else b""

    async with scripted(answer) as url:
        with pytest.raises(DirectoryUnavailable, match="in time"):
            await plain(url, operation_timeout=0.2).prove("alice", "x")


async def test_a_directory_that_drips_is_cut_off_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each answer in time, and still no end: the whole has a limit too."""
    monkeypatch.setattr("bearer_guard.issuing.logins.ldap._WHOLE_SECONDS", 0.3)
    chain = iter(range(10**6))

    def answer(session: sansldap.LDAPServer, message: sansldap.LDAPMessage) -> bytes | None:
        if isinstance(message, sansldap.SearchRequest):
            above = sansldap.PartialAttribute("memberOf", [b"cn=%d,dc=x" % next(chain)])
            uid = sansldap.PartialAttribute("uid", [b"alice"])
            time.sleep(0.05)
            session.search_result_entry(message.message_id, "uid=alice,dc=x", [uid, above])
            session.search_result_done(message.message_id)
            return None
        return agreeable(session, message)

    async with scripted(answer) as url:
        with pytest.raises(DirectoryUnavailable, match="too slow"):
            await plain(url, admin_group="cn=admins,dc=x").prove("alice", "x")


async def test_who_queued_behind_an_outage_fails_at_once(
    directory: Slapd, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    async with faulty_proxy(directory.tls_port) as proxy:
        how = {"url": f"ldaps://{LOOPBACK}:{proxy.port}", "connect_timeout": 0.3}
        by_dn = login(directory, BY_DN, how, clock=clock)
        await proxy.become(Fault.BLACK_HOLE)
        for _ in range(20):
            with pytest.raises(DirectoryUnavailable):
                await by_dn.prove("alice", words_of("alice"))
        assert proxy.accepted == 1
        assert caplog.text.count("not possible now") == 1
        await proxy.become(Fault.NONE)
        clock.advance(1)
        assert isinstance(await by_dn.prove("alice", words_of("alice")), Principal)


async def test_the_event_loop_is_not_held_while_the_directory_hangs(directory: Slapd) -> None:
    async with faulty_proxy(directory.tls_port) as proxy:
        await proxy.become(Fault.BLACK_HOLE)
        how = {"url": f"ldaps://{LOOPBACK}:{proxy.port}", "connect_timeout": 1.0}
        by_dn = login(directory, BY_DN, how)
        tries = (by_dn.prove("alice", words_of("alice")) for _ in range(50))
        async with longest_gap() as gap:
            outcomes = await asyncio.gather(*tries, return_exceptions=True)
        assert all(isinstance(outcome, DirectoryUnavailable) for outcome in outcomes)
        assert gap.cpu < 0.025
        assert gap.seconds < 0.5  # far from the second that whoever waits would hold it


async def test_an_outage_is_not_counted_as_a_failed_log_in(directory: Slapd) -> None:
    how = {"url": f"ldap://{LOOPBACK}:1", "allow_plaintext": True}
    both = LogIns([login(directory, BY_DN, how)], listeners=())
    for _ in range(12):
        with pytest.raises(StoreUnavailable):
            await both.log_in("alice", words_of("alice"))


async def test_what_is_logged_has_no_password_in_it(
    directory: Slapd, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    how = {"url": f"ldap://{LOOPBACK}:1", "allow_plaintext": True}
    with pytest.raises(DirectoryUnavailable) as raised:
        await login(directory, BY_DN, how).prove("alice", words_of("alice"))
    await login(directory, BY_DN).prove("alice", words_of("alice"))
    assert words_of("alice") not in caplog.text + repr(raised.value) + repr(raised.value.__cause__)


# A directory that lies


@pytest.mark.parametrize("who", [b"", b"dn:", b"dn:uid=mallory,dc=x", b"u:mallory", b"alice"])
async def test_a_log_in_as_nobody_or_somebody_else_proves_nothing(who: bytes) -> None:
    def answer(session: sansldap.LDAPServer, message: sansldap.LDAPMessage) -> bytes | None:
        if isinstance(message, sansldap.ExtendedRequest):
            session.extended_response(message.message_id, value=who)
            return None
        return agreeable(session, message)

    async with scripted(answer) as url:
        assert await plain(url).prove("alice", "x") is No.WRONG


async def test_an_agreeable_directory_proves_a_name() -> None:
    """The one that the lies above are told by, when it doesn't lie."""
    async with scripted(agreeable) as url:
        assert isinstance(await plain(url).prove("alice", "x"), Principal)


async def test_an_entry_without_a_name_proves_nothing() -> None:
    async with scripted(agreeable) as url:
        assert await plain(url, name_attribute="employeeNumber").prove("alice", "x") is No.WRONG


@pytest.mark.parametrize("name", [b"*", b"me", b"a\nb", b" alice", b"", b"x" * 257])
async def test_a_name_that_no_owner_could_have_proves_nothing(name: bytes) -> None:
    def answer(session: sansldap.LDAPServer, message: sansldap.LDAPMessage) -> bytes | None:
        if isinstance(message, sansldap.SearchRequest):
            uid = sansldap.PartialAttribute("uid", [name])
            session.search_result_entry(message.message_id, "uid=alice,dc=x", [uid])
            session.search_result_done(message.message_id)
            return None
        return agreeable(session, message)

    async with scripted(answer) as url:
        assert await plain(url).prove("alice", "x") is No.WRONG


async def test_an_entry_that_may_not_be_read_proves_nothing() -> None:
    def answer(session: sansldap.LDAPServer, message: sansldap.LDAPMessage) -> bytes | None:
        if isinstance(message, sansldap.SearchRequest):
            session.search_result_done(message.message_id)
            return None
        return agreeable(session, message)

    async with scripted(answer) as url:
        assert await plain(url).prove("alice", "x") is No.WRONG


@pytest.mark.parametrize(
    "code",
    [
        sansldap.LDAPResultCode.BUSY,
        sansldap.LDAPResultCode.UNAVAILABLE,
        sansldap.LDAPResultCode.REFERRAL,
        sansldap.LDAPResultCode.CONFIDENTIALITY_REQUIRED,
        sansldap.LDAPResultCode.OTHER,
    ],
)
async def test_a_directory_that_would_not_say_is_an_outage(
    code: sansldap.LDAPResultCode,
) -> None:
    async with scripted(refuses_binds(code)) as url:
        with pytest.raises(DirectoryUnavailable, match=code.name.lower()):
            await plain(url).prove("alice", "x")


async def test_a_user_principal_name_without_a_place_to_look_is_an_outage() -> None:
    def answer(session: sansldap.LDAPServer, message: sansldap.LDAPMessage) -> bytes | None:
        return agreeable(session, message)

    async with scripted(answer) as url:
        by_upn = LdapLogin(LdapConfig(url=url, allow_plaintext=True, upn="{username}@example.com"))
        with pytest.raises(DirectoryUnavailable, match="search_base"):
            await by_upn.prove("alice", "x")


async def test_the_directory_s_own_word_counts_for_a_user_principal_name() -> None:
    """Real Active Directory says who logged in as DOMAIN and Windows name (RFC 4532)."""
    said = b"u:EXAMPLE\\alice"

    def answer(session: sansldap.LDAPServer, message: sansldap.LDAPMessage) -> bytes | None:
        number = message.message_id
        if isinstance(message, sansldap.ExtendedRequest):
            session.extended_response(number, value=said)
        elif isinstance(message, sansldap.SearchRequest):
            upn = sansldap.PartialAttribute("userPrincipalName", [b"alice@example.com"])
            sam = sansldap.PartialAttribute("sAMAccountName", [b"Alice"])
            session.search_result_entry(number, "cn=alice,dc=x", [upn, sam])
            session.search_result_done(number)
        else:
            return agreeable(session, message)
        return None

    settings: dict[str, Any] = {"upn": "{username}@example.com", "search_base": "dc=x"}
    async with scripted(answer) as url:
        by_upn = LdapLogin(LdapConfig(url=url, allow_plaintext=True, **settings))
        assert isinstance(await by_upn.prove("alice", "x"), Principal)
        said = b"u:EXAMPLE\\bob"
        assert await by_upn.prove("alice", "x") is No.WRONG


async def test_referrals_are_not_followed(directory: Slapd, reader: dict[str, Any]) -> None:
    """Neither for a search nor for a log-in: a password goes nowhere but to the one directory."""
    calls: list[object] = []

    def answer(session: sansldap.LDAPServer, message: sansldap.LDAPMessage) -> bytes | None:
        calls.append(message)
        return agreeable(session, message)

    async with scripted(answer) as elsewhere:
        directory.add(
            f"dn: ou=elsewhere,{PEOPLE}\nobjectClass: referral\nobjectClass: extensibleObject\n"
            f"ou: elsewhere\nref: {elsewhere}/ou=elsewhere,{PEOPLE}\n"
        )
        try:
            assert await login(directory, BY_SEARCH, reader).prove("trent", "x") is No.STRANGER
            there = {"user_dn": f"uid={{username}},ou=elsewhere,{PEOPLE}"}
            assert isinstance(await login(directory, there).prove("trent", "x"), No)
        finally:
            directory.change(
                f"dn: ou=elsewhere,{PEOPLE}\ncontrol: 2.16.840.1.113730.3.4.2 true\n"
                "changetype: delete\n"
            )
    assert calls == []


async def test_a_log_in_is_remembered_for_the_sweep(directory: Slapd) -> None:
    store = MemoryStore()
    by_dn = login(directory, BY_DN, notes=store)
    await by_dn.prove("alice", "wrong")
    assert store._notes == {}
    for _ in range(2):
        await by_dn.prove("alice", words_of("alice"))
    assert len(store._notes) == 1


async def test_a_hundred_log_ins_at_once_do_not_hold_the_event_loop(directory: Slapd) -> None:
    by_dn = login(directory, BY_DN)

    tries = (by_dn.prove("alice", words_of("alice")) for _ in range(100))
    async with longest_gap() as gap:
        outcomes = await asyncio.gather(*tries)
    assert all(isinstance(outcome, Principal) for outcome in outcomes)
    assert gap.cpu < 0.025
