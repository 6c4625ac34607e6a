"""`_ldap_link`: one connection, every wait with an end, and nothing believed ahead of TLS."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import sansldap

from bearer_guard.issuing.logins._ldap_link import Scope, Server, _Wire, connect
from bearer_guard.issuing.logins._people import DirectoryUnavailable
from tests.issuing.logins.people import ALICE, words_of
from tests.issuing.logins.scripted import START_TLS, Answer, agreeable, scripted
from tests.issuing.logins.slapd import PEOPLE, READER_DN, READER_PASSWORD
from tests.issuing.logins.watching import longest_gap

if TYPE_CHECKING:
    from tests.issuing.logins.slapd import Slapd


def server(url: str, *, tls: ssl.SSLContext | None = None, start_tls: bool = False) -> Server:
    return Server(url=url, tls=tls, start_tls=start_tls, connect_timeout=2, operation_timeout=1)


def trusting(directory: Slapd) -> Server:
    tls = ssl.create_default_context(cafile=str(directory.authority.ca_file))
    return server(directory.tls_url, tls=tls)


async def test_binding_tells_right_from_wrong(directory: Slapd) -> None:
    async with connect(trusting(directory)) as link:
        assert await link.bind(ALICE, words_of("alice"))
        assert (await link.whoami() or "").startswith("dn:uid=Alice,")
        assert not await link.bind(ALICE, "wrong")
        assert not await link.bind(f"uid=nobody,{PEOPLE}", "wrong")
        assert not await link.bind("no dn at all", "wrong")
        assert await link.bind(READER_DN, READER_PASSWORD)


async def test_searching_finds_what_is_there(directory: Slapd) -> None:
    async with connect(trusting(directory)) as link:
        await link.bind(READER_DN, READER_PASSWORD)
        (entry,) = await link.search(PEOPLE, Scope.SUBTREE, "(uid=alice)", ["uid", "memberOf"])
        assert entry.values("UID") == ("Alice",)
        assert len(entry.values("memberof")) == 1
        assert entry.values("mail") == ()
        assert len(await link.search(PEOPLE, Scope.SUBTREE, "(uid=*)", ["1.1"], most=2)) == 2
        assert len(await link.search(PEOPLE, Scope.BASE, "(objectClass=*)", ["1.1"])) == 1
        assert await link.search(f"ou=no,{PEOPLE}", Scope.BASE, "(objectClass=*)", ["1.1"]) == []


async def test_a_directory_that_can_not_say_who_is_logged_in() -> None:
    def answer(session: sansldap.LDAPServer, message: sansldap.LDAPMessage) -> bytes | None:
        code = sansldap.LDAPResultCode.PROTOCOL_ERROR
        session.extended_response(message.message_id, result_code=code)
        return None

    async with scripted(answer) as url, connect(server(url)) as link:
        assert await link.whoami() is None


def ahead_of_tls(extra: bytes) -> Answer:
    """Agrees to TLS, and sends something along with that."""

    def answer(session: sansldap.LDAPServer, message: sansldap.LDAPMessage) -> bytes | None:
        if isinstance(message, sansldap.ExtendedRequest) and message.name == START_TLS:
            session.extended_response(message.message_id)
            return session.data_to_send() + extra
        return agreeable(session, message)

    return answer


def a_forged_answer() -> bytes:
    """What a bind that is yet to come would be answered with, if it were believed."""
    forger = sansldap.LDAPServer()
    forger.receive(bind_request(1))
    forger.bind_response(1)
    return forger.data_to_send()


def bind_request(number: int) -> bytes:
    client = sansldap.LDAPClient()
    for _ in range(number):
        client.bind_simple("x", "y")
        client.state = sansldap.SessionState.OPENED
        client._outstanding_requests.clear()
    return client.data_to_send()


@pytest.mark.parametrize("extra", [a_forged_answer(), a_forged_answer()[:4], b"\x30"])
async def test_nothing_that_came_ahead_of_tls_is_believed(extra: bytes) -> None:
    async with scripted(ahead_of_tls(extra)) as url:
        with pytest.raises(DirectoryUnavailable):
            async with connect(server(url, tls=ssl.create_default_context(), start_tls=True)):
                pass


async def test_nothing_that_came_between_the_answer_and_tls_is_believed() -> None:
    wire = _Wire()
    wire.data_received(b"x")
    with pytest.raises(ConnectionError, match="ahead of TLS"):
        await wire.go_over_to(ssl.create_default_context(), "localhost")


async def test_a_directory_without_tls_is_given_no_password() -> None:
    asked: list[type] = []

    def answer(session: sansldap.LDAPServer, message: sansldap.LDAPMessage) -> bytes | None:
        asked.append(type(message))
        code = sansldap.LDAPResultCode.PROTOCOL_ERROR
        session.extended_response(message.message_id, result_code=code)
        return None

    async with scripted(answer) as url:
        with pytest.raises(DirectoryUnavailable, match="go over to TLS: protocol_error"):
            async with connect(server(url, tls=ssl.create_default_context(), start_tls=True)):
                pass
    assert asked == [sansldap.ExtendedRequest]


@pytest.mark.parametrize(
    "raw",
    [
        b"\x30\x84\xff\xff\xff\xff",  # a message of four gigabytes, of which nothing comes
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x30\x0c\x02\x01\x01\x7f\x07\x0a\x01\x00\x04\x00\x04\x00",  # an answer of no known kind
        b"\x30\x0c\x02\x01\x63\x61\x07\x0a\x01\x00\x04\x00\x04\x00",  # to a question nobody asked
        b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x0e\x04\x00\x04\x00",  # more steps to take
        b"\x30\x0d\x02\x01\x01\x61\x08\x0a\x02\x0f\xff\x04\x00\x04\x00",  # no known result
    ],
)
async def test_an_answer_that_makes_no_sense_is_an_outage(raw: bytes) -> None:
    async with scripted(lambda *_: raw) as url, connect(server(url)) as link:
        with pytest.raises(DirectoryUnavailable):
            await link.bind("x", "y")


async def test_an_answer_without_end_is_cut_off() -> None:
    def answer(session: sansldap.LDAPServer, message: sansldap.LDAPMessage) -> bytes | None:
        many = sansldap.PartialAttribute("memberOf", [b"x" * 100_000])
        for _ in range(20):
            session.search_result_entry(message.message_id, "uid=alice,dc=x", [many])
        return None

    async with scripted(answer) as url, connect(server(url)) as link:
        with pytest.raises(DirectoryUnavailable, match="too long"):
            await link.search("dc=x", Scope.SUBTREE, "(uid=alice)", ["memberOf"])


async def test_a_long_answer_does_not_hold_the_event_loop() -> None:
    groups = [b"cn=group number %d,ou=groups,dc=example,dc=com" % i for i in range(3000)]

    encoder, client = sansldap.LDAPServer(), sansldap.LDAPClient()
    number = client.search_request("dc=x")
    encoder.receive(client.data_to_send())
    many = sansldap.PartialAttribute("memberOf", groups)
    encoder.search_result_entry(number, "uid=alice,dc=x", [many])
    encoder.search_result_done(number)
    raw = encoder.data_to_send()  # made beforehand: encoding takes as long

    async with (
        scripted(lambda *_: raw) as url,
        connect(server(url)) as link,
        longest_gap() as gap,
    ):
        (entry,) = await link.search("dc=x", Scope.SUBTREE, "(uid=alice)", ["memberOf"])
    assert len(entry.values("memberOf")) == 3000
    assert gap.cpu < 0.025


async def test_what_came_before_a_directory_hung_up_counts() -> None:
    wire = _Wire()
    wire.data_received(b"x")
    wire.connection_lost(None)
    assert await wire.receive() == b"x"
    with pytest.raises(ConnectionError, match="hung up"):
        await wire.receive()


async def test_a_search_that_the_directory_would_not_make_is_an_outage() -> None:
    def answer(session: sansldap.LDAPServer, message: sansldap.LDAPMessage) -> bytes | None:
        code = sansldap.LDAPResultCode.INSUFFICIENT_ACCESS_RIGHTS
        session.search_result_done(message.message_id, result_code=code)
        return None

    async with scripted(answer) as url, connect(server(url)) as link:
        with pytest.raises(DirectoryUnavailable, match="would not search"):
            await link.search("dc=x", Scope.SUBTREE, "(uid=alice)", [])


async def test_a_directory_that_hangs_up_is_an_outage() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    listening = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with listening:
        url = f"ldap://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        async with connect(server(url)) as link:
            with pytest.raises(DirectoryUnavailable, match="hung up"):
                await link.bind("x", "y")
            with pytest.raises(DirectoryUnavailable):
                await link.bind("x", "y")


async def test_a_host_that_is_not_there_is_an_outage() -> None:
    with pytest.raises(DirectoryUnavailable):
        async with connect(server("ldap://no-such-host.invalid")):
            pass


def test_the_ports_are_those_of_the_scheme_unless_one_is_given() -> None:
    assert server("ldap://[::1]").address() == ("::1", 389)
    assert server("ldaps://dc.example.com").address() == ("dc.example.com", 636)
    assert server("ldaps://dc.example.com:1636").address() == ("dc.example.com", 1636)


def test_a_missing_package_is_named() -> None:
    code = (
        "import sys; sys.modules['sansldap'] = None\n"
        "from bearer_guard.errors import ConfigurationError\n"
        "try: import bearer_guard.issuing.logins.ldap\n"
        "except ConfigurationError as error: print(error)"
    )
    said = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert "pip install 'bearer-guard[ldap]'" in said
