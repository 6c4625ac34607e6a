"""Is the server set up to keep what it has acknowledged? An end that is lost gives a token back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from bearer_guard.errors import ConfigurationError
from bearer_guard.store import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["findings", "refuse_unsafe", "server_settings"]


@dataclass(frozen=True, slots=True)
class _Rule:
    """A setting, and what is wrong with it.

    Attributes:
        setting: Its name on the server.
        bad: Values that are wrong; where it is empty, all but ``good``.
        why: What is lost then.
        fix: What to set.
    """

    setting: str
    why: str
    fix: str
    bad: Collection[str] = ()
    good: Collection[str] = ()
    level: str = "error"
    only_with: tuple[str, str] | None = None

    def broken(self, found: Mapping[str, str]) -> bool:
        value = found.get(self.setting)
        if value is None or (self.only_with and found.get(self.only_with[0]) != self.only_with[1]):
            return False
        return value in self.bad if self.bad else value not in self.good

    def sentence(self, found: Mapping[str, str]) -> str:
        return f"{self.setting} is {found[self.setting]}: {self.why}; set {self.fix}"


_POSTGRESQL: Final = (
    _Rule("fsync", "a power cut can corrupt the database", "fsync = on", bad=["off"]),
    _Rule(
        "synchronous_commit",
        "a crash undoes revocations that were acknowledged",
        "synchronous_commit = on",
        bad=["off"],
    ),
    _Rule(
        "full_page_writes",
        "a power cut can leave pages half written",
        "full_page_writes = on",
        bad=["off"],
    ),
    _Rule(  # CockroachDB's
        "default_transaction_use_follower_reads",
        "answers are some seconds old, and ended tokens good for as long",
        "default_transaction_use_follower_reads = off",
        bad=["on"],
    ),
    _Rule(
        "server_encoding",
        "names and descriptions of most languages can't be kept",
        "ENCODING 'UTF8' when the database is created",
        good=["UTF8"],
    ),
)
_MARIADB: Final = (
    _Rule(
        "innodb_flush_log_at_trx_commit",
        "a crash undoes revocations that were acknowledged",
        "innodb_flush_log_at_trx_commit = 1",
        good=["1"],
    ),
    _Rule(
        "innodb_doublewrite",
        "a power cut can leave pages half written",
        "innodb_doublewrite = ON",
        bad=["OFF", "0", "DETECT_ONLY"],
    ),
    _Rule(
        "binlog_format",
        "transactions that read what is committed can't be logged",
        "binlog_format = ROW",
        bad=["STATEMENT"],
        only_with=("log_bin", "ON"),
    ),
    _Rule(
        "sync_binlog",
        "a power cut can undo revocations that were acknowledged",
        "sync_binlog = 1",
        good=["1"],
        level="warning",
        only_with=("log_bin", "ON"),
    ),
)
_RULES: Final = {"postgresql": _POSTGRESQL, "mysql": _MARIADB, "mariadb": _MARIADB}
_QUERIES: Final = {
    "postgresql": "SELECT name, setting FROM pg_settings WHERE name IN ({names})",
    "mysql": "SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})",
}


async def server_settings(connection: AsyncConnection) -> dict[str, str]:
    """What the rules are about, as the server tells it; what it has not is left out."""
    rules = _RULES[connection.dialect.name]
    names = {rule.setting for rule in rules} | {"log_bin"}
    query = _QUERIES["postgresql" if rules is _POSTGRESQL else "mysql"]
    quoted = ", ".join(f"'{name}'" for name in sorted(names))
    rows = await connection.execute(text(query.format(names=quoted)))
    return {str(name): str(value) for name, value in rows}


def findings(dialect: str, found: Mapping[str, str]) -> list[Finding]:
    """What an administrator should know of the server's settings."""
    broken = [rule for rule in _RULES[dialect] if rule.broken(found)]
    return [Finding(rule.level, rule.sentence(found)) for rule in broken]


def refuse_unsafe(found: Collection[Finding]) -> None:
    """Let no server pass that could lose a revocation.

    Raises:
        ConfigurationError: It could. The message names the settings, and what to set.
    """
    if errors := [finding.text for finding in found if finding.level == "error"]:
        allow = "To accept that, open the store with the option unsafe=allow"
        raise ConfigurationError(f"unsafe database server: {'. '.join(errors)}. {allow}")
