"""Refusals as they go out, in the way of each protocol."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from bearer_guard import ConfigurationError
from bearer_guard.answers import Answers, Line
from bearer_guard.verdict import ANSWERS, Reason, Refusal

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

ANSWERER = Answers("api", ())
ENDED = Refusal(Reason.ENDED)


class Wire:
    """The client's end; it may be gone."""

    def __init__(self, *, gone: bool = False) -> None:
        self.messages: list[Message] = []
        self.gone = gone

    async def send(self, message: Message) -> None:
        if self.gone:
            raise OSError
        self.messages.append(message)

    async def receive(self) -> Message:
        return {"type": "websocket.connect"}


def scope(kind: str = "http", **more: Any) -> Scope:
    return {"type": kind, **more}


@pytest.mark.parametrize("reason", Reason)
async def test_http_gets_the_answer_of_the_table(reason: Reason) -> None:
    wire = Wire()
    await ANSWERER.refuse(Refusal(reason), scope(), wire.receive, wire.send)
    start, body = wire.messages
    assert (start["type"], start["status"]) == ("http.response.start", ANSWERS[reason].status)
    assert body["type"] == "http.response.body"


async def test_a_websocket_gets_a_denial_where_the_server_can_say_it() -> None:
    wire = Wire()
    able = scope("websocket", extensions={"websocket.http.response": {}})
    await ANSWERER.refuse(ENDED, able, wire.receive, wire.send)
    assert [m["type"] for m in wire.messages] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    wire = Wire()
    await ANSWERER.refuse(ENDED, scope("websocket"), wire.receive, wire.send)
    assert wire.messages == [{"type": "websocket.close", "code": 1008}]


async def test_what_has_begun_is_ended_in_the_way_of_its_protocol() -> None:
    wire = Wire()
    line = Line("websocket", wire.receive, wire.send)
    await line.send({"type": "websocket.accept"})
    await ANSWERER.stop(ENDED, scope("websocket"), line)
    assert wire.messages[-1] == {"type": "websocket.close", "code": 1008}


async def test_a_servers_own_timeout_is_passed_on() -> None:
    async def receive() -> Message:
        raise TimeoutError

    line = Line("websocket", receive, Wire().send)
    with pytest.raises(TimeoutError):
        await line.receive()


async def test_who_waits_to_receive_is_let_go_before_the_close() -> None:
    wire = Wire()
    waiting: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    still: list[bool] = []

    async def receive() -> Message:
        return await waiting

    async def send(message: Message) -> None:
        still.append(not waiting.done())
        await wire.send(message)

    line = Line("websocket", receive, send)
    line.begun = True
    received = asyncio.ensure_future(line.receive())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await ANSWERER.stop(ENDED, scope("websocket"), line)
    assert still == [False]
    assert (await received)["type"] == "websocket.disconnect"


async def test_a_websocket_that_is_closed_is_not_closed_again() -> None:
    wire = Wire()
    line = Line("websocket", wire.receive, wire.send)
    await line.send({"type": "websocket.accept"})
    await line.send({"type": "websocket.close"})
    await ANSWERER.stop(ENDED, scope("websocket"), line)
    assert len(wire.messages) == 2


async def test_an_application_that_goes_on_reaches_nobody() -> None:
    wire = Wire()
    line = Line("websocket", wire.receive, wire.send)
    assert (await line.receive())["type"] == "websocket.connect"
    await line.send({"type": "websocket.accept"})
    await ANSWERER.stop(ENDED, scope("websocket"), line)
    with pytest.raises(OSError, match="ended"):
        await line.send({"type": "websocket.send", "text": "still here"})
    assert (await line.receive())["type"] == "websocket.disconnect"


async def test_a_response_that_has_begun_is_left_without_its_end() -> None:
    wire = Wire()
    line = Line("websocket", wire.receive, wire.send)
    await line.send({"type": "http.response.start", "status": 200, "headers": []})
    await ANSWERER.stop(ENDED, scope(), line)
    assert len(wire.messages) == 1


async def test_a_client_that_is_gone_is_no_error() -> None:
    wire = Wire(gone=True)
    await ANSWERER.stop(ENDED, scope(), Line("websocket", wire.receive, wire.send))
    assert wire.messages == []


async def test_only_what_may_not_go_in_silence_goes_aside() -> None:
    went = []

    async def aside(scope: Scope, receive: Receive, send: Send) -> None:
        del receive, send
        went.append(scope)

    turns = iter([False, True])
    refuse = ANSWERER.brush_off(lambda: next(turns), aside)
    wire = Wire()
    await refuse(scope(), wire.receive, wire.send)
    assert (len(went), wire.messages) == (1, [])
    await refuse(scope(), wire.receive, wire.send)
    assert (len(went), wire.messages[0]["status"]) == (1, 401)


async def test_a_401_tells_of_the_metadata_and_nothing_else_does() -> None:
    """RFC 9728 section 5.1."""
    where = "https://api.example.com/.well-known/oauth-protected-resource"
    answerer = Answers("api", (), where)
    for reason in Reason:
        wire = Wire()
        await answerer.refuse(Refusal(reason), scope(), wire.receive, wire.send)
        challenge = dict(wire.messages[0]["headers"]).get(b"www-authenticate", b"").decode()
        told = challenge.endswith(f', resource_metadata="{where}"')
        assert told is (ANSWERS[reason].status == 401), reason


def test_a_realm_that_cannot_stand_in_a_header_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="realm"):
        Answers("a\r\nb", ())
