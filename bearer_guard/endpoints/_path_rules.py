"""Which scopes which paths need, however a server reads a path.

Case, ``;`` parameters and a slash at the end make no difference: a rule must not be got around
by a spelling. All rules that cover a path count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bearer_guard.errors import ConfigurationError
from bearer_guard.verdict import Reason, render

from ._forwarded import is_plain

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["PathRules"]

_NOTHING: Final[frozenset[str]] = frozenset()


class PathRules:
    """A set of rules.

    Args:
        rules: Scopes by path: an exact path, or a prefix that ends in ``/*``, which covers the
            path before it too.

    Raises:
        ConfigurationError: A path that no request can have, or scopes that can't be.
    """

    def __init__(self, rules: Mapping[str, Collection[str]]) -> None:
        self._exact: Final[dict[str, frozenset[str]]] = {}
        self._prefixes: Final[dict[str, frozenset[str]]] = {}  # with a slash at the end
        for path, scopes in rules.items():
            needed = _scopes(path, scopes)
            bare = path.removesuffix("/*")
            if not (path.startswith("/") and "*" not in bare and (not bare or is_plain(bare))):
                msg = f"a rule's path begins with / and has * only as /* at its end: {path!r}"
                raise ConfigurationError(msg)
            where, key = self._exact, _wide(bare)
            if path.endswith("/*"):
                where, key = self._prefixes, f"{key}/"
            where[key] = where.get(key, _NOTHING) | needed  # it may be there in another case

    def __bool__(self) -> bool:
        return bool(self._exact or self._prefixes)

    def needed(self, path: str) -> frozenset[str]:
        """Of all rules that cover a path, read in any way a server might read it."""
        found = self._covering(_wide(path))
        if ";" in path:
            found |= self._covering(_wide(_without_parameters(path)))
        return found

    def _covering(self, way: str) -> frozenset[str]:
        found, below = self._exact.get(way, _NOTHING), f"{way}/"
        for prefix, scopes in self._prefixes.items():
            if below.startswith(prefix):
                found |= scopes
        return found


def _scopes(path: str, scopes: Collection[str]) -> frozenset[str]:
    if isinstance(scopes, str) or not scopes:
        raise ConfigurationError(f"the rule for {path} needs a list of scopes")
    try:
        render(Reason.SCOPE, realm="", scopes=scopes)
    except ValueError as error:
        raise ConfigurationError(f"the rule for {path}: {error}") from error
    return frozenset(scopes)


def _wide(path: str) -> str:
    return path.casefold().rstrip("/")


def _without_parameters(path: str) -> str:
    return "/".join(segment.partition(";")[0] for segment in path.split("/"))
