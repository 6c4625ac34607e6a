"""Reads a table of the configuration file into the dataclass that names its keys."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Final, TypeVar, cast

from bearer_guard.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from dataclasses import Field
    from typing import Any

__all__ = ["read_file", "read_table"]

_T = TypeVar("_T")


def read_table(kind: Callable[..., _T], table: Mapping[str, object], where: str) -> _T:
    """The settings in a table.

    Args:
        kind: A dataclass of texts, flags, numbers and lists of texts, under the keys' names.
        table: As TOML has it.
        where: What the table is called, for messages.

    Raises:
        ConfigurationError: A key is unknown, missing, or of another type.
    """
    known = {item.name: item for item in fields(cast("Any", kind)) if item.init}
    if unknown := sorted(set(table) - set(known)):
        raise ConfigurationError(f"{where} has no {unknown[0]}; its keys are {', '.join(known)}")
    for name, item in known.items():
        needed = item.default is MISSING and item.default_factory is MISSING
        if needed and name not in table:
            raise ConfigurationError(f"{where} needs {name}")
    return kind(**{name: _value(known[name], value, where) for name, value in table.items()})


def read_file(path: str, what: str) -> str:
    """The text of a file that a setting names, without the end of its last line.

    Raises:
        ConfigurationError: It can't be read, or is no UTF-8.
    """
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - the path is the user's own text
            return file.read().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigurationError(f"{what}: {path} can't be read: {reason}") from error


# By the annotation, which is text here: what TOML must give, and how to say so.
_TYPES: Final[dict[str, tuple[tuple[type, ...], str]]] = {
    "str": ((str,), "a text"),
    "str | None": ((str,), "a text"),
    "bool": ((bool,), "true or false"),
    "float": ((int, float), "a number"),
    "tuple[str, ...]": ((list,), "a list of texts"),
}


def _value(item: Field[object], value: object, where: str) -> object:
    types, words = _TYPES[cast("str", item.type)]
    is_flag = isinstance(value, bool) and bool not in types
    if is_flag or not isinstance(value, types):
        raise ConfigurationError(f"{item.name} of {where} must be {words}")
    if not isinstance(value, list):
        return value
    if not all(isinstance(text, str) for text in value):
        raise ConfigurationError(f"{item.name} of {where} must be {words}")
    return tuple(value)
