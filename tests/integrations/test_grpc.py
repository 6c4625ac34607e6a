"""gRPC over a real connection, all four kinds of method."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import grpc
import pytest

from bearer_guard.integrations.grpc import BearerGuardInterceptor, current_token
from tests.integrations.support import CASES, OWNER, SCOPE, Setting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.integrations.support import Case

CODES: Final = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    503: grpc.StatusCode.UNAVAILABLE,
}


def owner() -> bytes:
    token = current_token()
    return b"nobody" if token is None else token.owner.encode()


async def one(request: bytes, context: Any) -> bytes:
    del request, context
    return owner()


async def many(request: bytes, context: Any) -> AsyncIterator[bytes]:
    del request, context
    yield owner()


async def gather(requests: AsyncIterator[bytes], context: Any) -> bytes:
    del context
    return owner() * len([request async for request in requests])


async def echo(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
    del context
    async for _ in requests:
        yield owner()


METHODS: Final = {
    "One": grpc.unary_unary_rpc_method_handler(one),
    "Many": grpc.unary_stream_rpc_method_handler(many),
    "Gather": grpc.stream_unary_rpc_method_handler(gather),
    "Echo": grpc.stream_stream_rpc_method_handler(echo),
}


@asynccontextmanager
async def served(setting: Setting, **options: Any) -> AsyncIterator[grpc.aio.Channel]:
    interceptor = BearerGuardInterceptor(**setting.options, **options)
    server = grpc.aio.server(interceptors=[interceptor])
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("x.Y", METHODS)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(None)
        await interceptor.close()


async def call(channel: grpc.aio.Channel, metadata: list[tuple[str, str]], name: str) -> bytes:
    path, sent = f"/x.Y/{name}", iter([b""])
    if name == "One":
        return bytes(await channel.unary_unary(path)(b"", metadata=metadata))
    if name == "Gather":
        return bytes(await channel.stream_unary(path)(sent, metadata=metadata))
    start = channel.unary_stream(path) if name == "Many" else channel.stream_stream(path)
    answers = start(b"" if name == "Many" else sent, metadata=metadata)  # type: ignore[arg-type]
    return b"".join([answer async for answer in answers])


def check_refused(error: grpc.aio.AioRpcError, case: Case) -> None:
    assert error.code() is CODES[case.status]
    assert case.description in str(error.details())
    trailer = dict(error.trailing_metadata())
    assert trailer.get("www-authenticate") == case.words


@pytest.mark.parametrize("name", CASES)
async def test_the_verdict_is_that_of_the_table(name: str) -> None:
    setting = Setting()
    metadata = setting.headers(CASES[name])
    async with served(setting, scopes=[SCOPE]) as channel:
        if CASES[name].status == 200:
            assert await call(channel, metadata, "One") == OWNER.encode()
            return
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(channel, metadata, "One")
    check_refused(refused.value, CASES[name])


@pytest.mark.parametrize("name", METHODS)
async def test_every_kind_of_method_is_guarded_and_knows_its_token(name: str) -> None:
    setting = Setting()
    async with served(setting) as channel:
        assert await call(channel, [setting.bearer("good")], name) == OWNER.encode()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(channel, [setting.bearer("deleted")], name)
        check_refused(refused.value, CASES["deleted"])


async def test_an_exempt_method_is_anonymous() -> None:
    async with served(Setting(), exempt=["/x.Y/One"]) as channel:
        assert await call(channel, [], "One") == b"nobody"
        with pytest.raises(grpc.aio.AioRpcError):
            await call(channel, [], "Many")


async def test_a_token_of_a_network_is_refused() -> None:
    setting = Setting()
    token = setting.token(networks=["127.0.0.0/8"])
    async with served(setting) as channel:
        with pytest.raises(grpc.aio.AioRpcError, match="from this network"):
            await call(channel, [("authorization", f"Bearer {token}")], "One")


async def test_binary_metadata_does_no_harm() -> None:
    setting = Setting()
    metadata: list[Any] = [setting.bearer("good"), ("trace-bin", b"\xff\x00")]
    async with served(setting) as channel:
        assert await call(channel, metadata, "One") == OWNER.encode()


async def test_calls_at_the_same_time_don_t_mix_their_tokens() -> None:
    setting = Setting()
    token = setting.token(owner="bob")
    metadata = [[setting.bearer("good")], [("authorization", f"Bearer {token}")]] * 10
    async with served(setting) as channel:
        owners = await asyncio.gather(*(call(channel, one, "Echo") for one in metadata))
    assert owners == [OWNER.encode(), b"bob"] * 10


def test_outside_of_a_call_there_is_no_token() -> None:
    with pytest.raises(LookupError):
        current_token()
