"""The rules about a server's settings. Servers that break them: ``test_sql_servers``."""

import pytest

from bearer_guard.errors import ConfigurationError
from bearer_guard.stores._sql_safety import findings, refuse_unsafe

GOOD = {
    "postgresql": {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "default_transaction_use_follower_reads": "off",
        "server_encoding": "UTF8",
    },
    "mysql": {
        "innodb_flush_log_at_trx_commit": "1",
        "innodb_doublewrite": "ON",
        "log_bin": "ON",
        "sync_binlog": "1",
        "binlog_format": "MIXED",
    },
}


@pytest.mark.parametrize("dialect", GOOD)
def test_a_safe_server_passes(dialect: str) -> None:
    assert findings(dialect, GOOD[dialect]) == []


@pytest.mark.parametrize("dialect", GOOD)
def test_what_a_server_does_not_have_is_not_held_against_it(dialect: str) -> None:
    assert findings(dialect, {}) == []


@pytest.mark.parametrize(
    ("dialect", "setting", "value", "level"),
    [
        ("postgresql", "fsync", "off", "error"),
        ("postgresql", "synchronous_commit", "off", "error"),
        ("postgresql", "full_page_writes", "off", "error"),
        ("postgresql", "default_transaction_use_follower_reads", "on", "error"),
        ("postgresql", "server_encoding", "LATIN1", "error"),
        ("mysql", "innodb_flush_log_at_trx_commit", "0", "error"),
        ("mysql", "innodb_flush_log_at_trx_commit", "2", "error"),
        ("mysql", "innodb_doublewrite", "OFF", "error"),
        ("mysql", "binlog_format", "STATEMENT", "error"),
        ("mysql", "sync_binlog", "0", "warning"),
        ("mysql", "sync_binlog", "1000", "warning"),
    ],
)
def test_an_unsafe_setting_is_named_with_its_cure(
    dialect: str, setting: str, value: str, level: str
) -> None:
    found = findings(dialect, GOOD[dialect] | {setting: value})
    assert [finding.level for finding in found] == [level]
    assert found[0].text.startswith(f"{setting} is {value}: ")
    assert "; set " in found[0].text


@pytest.mark.parametrize("value", ["local", "remote_write", "remote_apply"])
def test_other_ways_to_commit_are_durable_too(value: str) -> None:
    assert findings("postgresql", {"synchronous_commit": value}) == []


@pytest.mark.parametrize("setting", ["sync_binlog", "binlog_format"])
def test_without_a_binary_log_its_settings_do_not_matter(setting: str) -> None:
    assert findings("mysql", {"log_bin": "OFF", setting: "STATEMENT"}) == []


def test_only_errors_are_refused_and_the_option_is_named() -> None:
    refuse_unsafe(findings("mysql", GOOD["mysql"] | {"sync_binlog": "0"}))
    with pytest.raises(ConfigurationError, match="unsafe=allow"):
        refuse_unsafe(findings("postgresql", {"fsync": "off"}))
