"""A store whose calls are watched. It has all that the store has, and no more."""

from __future__ import annotations

from functools import wraps
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from bearer_guard.store import TokenReader

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from contextlib import AbstractContextManager

__all__ = ["Watch", "watched"]

S = TypeVar("S", bound=TokenReader)
Watch: TypeAlias = "Callable[[str, tuple[Any, ...]], AbstractContextManager[None]]"
"""Given a call's name and its positional arguments, what the call is made in."""


def watched(store: S, watch: Watch, calls: Collection[str]) -> S:
    """The same store, these of its calls watched where it has them.

    It is of a class made for it: what the store lacks, an account store's half or the short cut of
    an embedded one, this one lacks too.
    """
    names = [name for name in dir(store) if not name.startswith("_")]
    members = {name: _member(store, name, watch if name in calls else None) for name in names}
    return cast("S", type(f"Watched{type(store).__name__}", (), members)())


def _member(store: TokenReader, name: str, watch: Watch | None) -> property | None:
    method = getattr(store, name)
    if method is None:
        return None  # in a class, that is how a Protocol sees that it lacks it
    if watch is None:
        return property(lambda _: getattr(store, name))
    call = _async_call if iscoroutinefunction(method) else _call
    made = call(name, method, watch)
    return property(lambda _: made)


def _call(name: str, method: Callable[..., Any], watch: Watch) -> Callable[..., Any]:
    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the method's own
        with watch(name, args):
            return method(*args, **kwargs)

    return call


def _async_call(name: str, method: Callable[..., Any], watch: Watch) -> Callable[..., Any]:
    @wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the method's own
        with watch(name, args):
            return await method(*args, **kwargs)

    return call
