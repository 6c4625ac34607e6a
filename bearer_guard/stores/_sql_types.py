"""Columns that behave alike on every server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BINARY, VARBINARY, LargeBinary, String, Text, TypeDecorator
from sqlalchemy.dialects.mysql import MEDIUMBLOB, MEDIUMTEXT

from ._sql_dialect import is_cockroachdb

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect
    from sqlalchemy.types import TypeEngine

__all__ = ["MYSQL", "Exact", "fixed_bytes", "long_bytes", "long_text", "plain", "some_bytes"]

MYSQL: Final = ("mysql", "mariadb")
_UTF8_BYTES: Final = 4  # of one character, at most


class Exact(TypeDecorator[str]):
    """Text that is compared, and sorted, by its bytes.

    So ``alice``, ``Alice`` and ``alice `` are three, and the order is that of code points. MySQL
    and MariaDB have no collation in common that does not pad with spaces: bytes have none.

    Args:
        characters: At most so many; PostgreSQL does not count.
    """

    impl = String
    cache_ok = True

    def __init__(self, characters: int) -> None:
        super().__init__()
        self.characters: Final = characters

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The column's type on this server."""
        if dialect.name in MYSQL:
            return dialect.type_descriptor(VARBINARY(self.characters * _UTF8_BYTES))
        return dialect.type_descriptor(String(collation=None if is_cockroachdb(dialect) else "C"))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | bytes | None:
        """What the driver is given."""
        return value.encode() if value is not None and dialect.name in MYSQL else value

    def process_result_value(self, value: object, dialect: Dialect) -> str | None:  # noqa: ARG002
        """What the driver gave."""
        return plain(value)  # type: ignore[return-value] # not text where somebody broke it


def plain(value: object) -> object:
    """Text that came as bytes, as text; bytes that are no text stay, and no record has them."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    return value


def fixed_bytes(length: int) -> TypeEngine[bytes]:
    """Exactly so many bytes; PostgreSQL does not count."""
    return LargeBinary().with_variant(BINARY(length), *MYSQL)


def some_bytes(length: int) -> TypeEngine[bytes]:
    """At most so many bytes; PostgreSQL does not count."""
    return LargeBinary().with_variant(VARBINARY(length), *MYSQL)


def long_bytes() -> TypeEngine[bytes]:
    """Bytes that are never looked for: at most 16 MiB on MySQL and MariaDB."""
    return LargeBinary().with_variant(MEDIUMBLOB(), *MYSQL)


def long_text() -> TypeEngine[str]:
    """Text that is never looked for: at most 16 MiB on MySQL and MariaDB."""
    return Text().with_variant(MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), *MYSQL)
