"""Paths that need no token, and that no trick makes more of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from .errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Exempt"]


_ODD: Final = re.compile(r"[\\;%\x00-\x1f\x7f]")


class Exempt:
    """A set of paths.

    Args:
        paths: Each an exact path, or a prefix that ends in ``/*``.

    Raises:
        ConfigurationError: One does not begin with ``/``, or has a ``*`` elsewhere.
    """

    def __init__(self, paths: Collection[str]) -> None:
        if isinstance(paths, str):
            raise ConfigurationError("exempt is a list of paths, not one string")
        self._paths: Final = tuple(paths)
        for path in self._paths:
            if not path.startswith("/") or "*" in path.removesuffix("/*"):
                msg = f"an exempt path begins with / and has * only as /* at its end: {path!r}"
                raise ConfigurationError(msg)
        self._exact: Final = frozenset(path for path in self._paths if not path.endswith("/*"))
        self._prefixes: Final = tuple(path[:-1] for path in self._paths if path.endswith("/*"))

    def __bool__(self) -> bool:
        return bool(self._paths)

    def __or__(self, other: Exempt) -> Exempt:
        return Exempt((*self._paths, *other._paths))

    def __contains__(self, path: str) -> bool:
        """Whether a request for this path needs no token.

        Below a prefix, a path with a ``.``, ``..`` or empty segment does, or with a backslash, a
        semicolon, a percent sign or a control character: another reader may take it for a path
        outside.
        """
        if path in self._exact:
            return True
        return path.startswith(self._prefixes) and _plain(path)

    def is_none(self, path: str) -> bool:
        """Whether this is surely none of the paths. It is quick, and errs on the side of no."""
        return path not in self._exact and not path.startswith(self._prefixes)


def _plain(path: str) -> bool:
    return not _ODD.search(path) and not {"", ".", ".."} & set(path.split("/")[1:])
