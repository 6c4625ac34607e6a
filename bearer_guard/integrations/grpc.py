"""gRPC, ``grpc.aio``: an interceptor, which asks the guard about each call.

    server = grpc.aio.server(interceptors=[BearerGuardInterceptor(store=store, keyring=keyring)])

    current_token().owner     # within a method

Exempt paths are such as ``/package.Service/Method``. Interceptors are not told the peer's address:
a token that is bound to networks is refused.
"""

from __future__ import annotations

import json
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

import grpc

from ._asking import ask, guard_to_ask
from ._behind import token_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Scope

    from bearer_guard.record import TokenInfo

__all__ = ["BearerGuardInterceptor", "current_token"]

_STATUS: Final = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    503: grpc.StatusCode.UNAVAILABLE,
}
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
_token: Final = ContextVar["TokenInfo | None"]("bearer_guard.token")


def current_token() -> TokenInfo | None:
    """The token of the call that is served; ``None``: it is anonymous.

    Raises:
        LookupError: No interceptor stands in front of it.
    """
    return _token.get()


class BearerGuardInterceptor(grpc.aio.ServerInterceptor):
    """Lets a call through if its metadata carries a good token, and ends it otherwise.

    Args:
        options: Those of ``BearerGuard``.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - see there
        self._guard: Final = guard_to_ask(**options)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        """The method's own handler, or one that refuses."""
        scope = _scope_of(handler_call_details)
        answer = await ask(self._guard, scope)
        if answer is None:
            _token.set(token_of(scope))
            return await continuation(handler_call_details)
        status, details = _STATUS[answer.status], json.loads(answer.body)["error_description"]
        trailer = tuple((n.decode(), v) for n, v in answer.headers if n == b"www-authenticate")

        async def refuse(request: object, context: grpc.aio.ServicerContext[Any, Any]) -> NoReturn:
            del request
            await context.abort(status, details, trailer)

        return grpc.unary_unary_rpc_method_handler(refuse)

    async def close(self) -> None:
        """Tell the store what was used last, and close it."""
        await self._guard.verifier.close()


def _scope_of(details: grpc.HandlerCallDetails) -> Scope:
    """The call in the terms of ASGI."""
    headers = [
        (name.encode(), value if isinstance(value, bytes) else value.encode("latin-1", "replace"))
        for name, value in details.invocation_metadata or ()
    ]
    return {"type": "http", "path": details.method, "headers": headers, "client": None}
