"""A directory that answers as it is told: what no real one would say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

import sansldap
from sansldap import LDAPMessage, LDAPResultCode, LDAPServer

from tests.support import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Answer: TypeAlias = Callable[[LDAPServer, LDAPMessage], bytes | None]
"""Answers by the session's own calls, or with bytes; ``None``: what the session has to send."""

START_TLS: Final = "1.3.6.1.4.1.1466.20037"


@asynccontextmanager
async def scripted(answer: Answer) -> AsyncIterator[str]:
    """The URL of a directory that answers each message so."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = LDAPServer()
        try:
            while data := await reader.read(65536):
                for message in session.receive(data):
                    raw = answer(session, message)
                    writer.write(session.data_to_send() if raw is None else raw)
        except (ConnectionError, sansldap.ProtocolError):
            pass  # the client has hung up, or said good-bye
        finally:
            writer.close()

    server = await asyncio.start_server(talk, LOOPBACK, 0)
    async with server:
        yield f"ldap://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"


def agreeable(session: LDAPServer, message: LDAPMessage) -> bytes | None:
    """Let everybody in, say that it is them, and find one entry wherever one looks."""
    number = message.message_id
    if isinstance(message, sansldap.BindRequest):
        session.bind_response(number)
    elif isinstance(message, sansldap.ExtendedRequest):
        session.extended_response(number, value=b"dn:uid=alice,dc=x")
    elif isinstance(message, sansldap.SearchRequest):
        uid = sansldap.PartialAttribute("uid", [b"alice"])
        session.search_result_entry(number, "uid=alice,dc=x", [uid])
        session.search_result_done(number)
    return None


def refuses_binds(code: LDAPResultCode) -> Answer:
    """Agreeable, but every bind ends with this code."""

    def answer(session: LDAPServer, message: LDAPMessage) -> bytes | None:
        if isinstance(message, sansldap.BindRequest):
            session.bind_response(message.message_id, result_code=code)
            return None
        return agreeable(session, message)

    return answer
