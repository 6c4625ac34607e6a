"""Making an adapter from the options that came with a URL."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, TypeVar

from bearer_guard.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["construct"]

A = TypeVar("A")


def construct(adapter: Callable[..., A], *args: object, options: Mapping[str, object]) -> A:
    """``adapter(*args, **options)``.

    Raises:
        ConfigurationError: It has no such option. The message names those that it has.
    """
    signature = inspect.signature(adapter)
    known = [name for name, p in signature.parameters.items() if p.kind is p.KEYWORD_ONLY]
    if unknown := sorted(set(options) - set(known)):
        msg = f"no such store option: {', '.join(unknown)}; there are {', '.join(known)}"
        raise ConfigurationError(msg)
    return adapter(*args, **options)
