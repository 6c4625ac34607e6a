"""`_ldap_config`: settings that can't work are told at the start, each in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bearer_guard.errors import ConfigurationError
from bearer_guard.issuing.logins.ldap import LdapConfig

if TYPE_CHECKING:
    from pathlib import Path

GOOD: dict[str, Any] = {
    "url": "ldaps://dc.example.com",
    "user_dn": "uid={username},ou=people,dc=example,dc=com",
    "admin_group": "cn=admins,ou=groups,dc=example,dc=com",
    "generate_group": "cn=api,ou=groups,dc=example,dc=com",
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "ldap://dc.example.com"}, "in the clear"),
        ({"url": "ldaps://dc.example.com", "start_tls": True}, "begins with TLS"),
        ({"url": "https://dc.example.com"}, "ldaps://HOST"),
        ({"url": "dc.example.com"}, "ldaps://HOST"),
        ({"url": "ldaps://"}, "ldaps://HOST"),
        ({"url": "ldaps://me:secret@dc.example.com"}, "ldaps://HOST"),
        ({"url": "ldaps://dc.example.com/dc=example"}, "ldaps://HOST"),
        ({"url": "ldaps://dc.example.com?uid"}, "ldaps://HOST"),
        ({"url": "ldaps://dc.example.com:port"}, "url"),
        ({"url": "ldaps://dc.example.com:99999"}, "url"),
        ({"url": f"ldaps://{'x' * 64}.example"}, "url"),
        ({"ca_file": "/nowhere/ca.pem"}, "ca_file"),
        ({"ca_file": "/dev/null"}, "ca_file"),
        ({"connect_timeout": 0.0}, "connect_timeout"),
        ({"operation_timeout": 4.1}, "operation_timeout"),
        ({"operation_timeout": float("nan")}, "operation_timeout"),
        ({"upn": "{username}@example.com"}, "exactly one"),
        ({"user_dn": None}, "exactly one"),
        ({"user_dn": "uid=alice,dc=x"}, "{username}"),
        ({"user_dn": "uid={user},dc=x"}, "{username}"),
        ({"user_dn": "uid={username},ou={unit}"}, "{username}"),
        ({"user_dn": "{username}"}, "name_attribute"),
        ({"user_dn": None, "search_filter": "(uid={username})"}, "search_base"),
        ({"user_dn": None, "search_filter": "(uid={username}", "search_base": "dc=x"}, "no filter"),
        (
            {
                "user_dn": None,
                "search_filter": "(|(uid={username})(mail={username}))",
                "search_base": "dc=x",
            },
            "name_attribute",
        ),
        ({"bind_dn": "cn=reader,dc=x"}, "go together"),
        ({"bind_password_file": "/nowhere"}, "go together"),
        ({"bind_dn": "cn=reader,dc=x", "bind_password_file": "/nowhere"}, "can't be read"),
        ({"bind_dn": "cn=reader,dc=x", "bind_password_file": "/dev/null"}, "empty"),
        ({"admin_group": "admins"}, "distinguished name"),
        ({"generate_group": "cn=,dc=x"}, "distinguished name"),
    ],
)
def test_what_can_not_work_is_told(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        LdapConfig(**(GOOD | change))


@pytest.mark.parametrize(
    ("change", "attribute"),
    [
        ({}, "uid"),
        ({"name_attribute": "mail"}, "mail"),
        ({"user_dn": None, "upn": "{username}@example.com"}, "userPrincipalName"),
        (
            {
                "user_dn": None,
                "search_base": "dc=x",
                "search_filter": "(sAMAccountName={username})",
            },
            "sAMAccountName",
        ),
        ({"url": "ldap://dc.example.com", "start_tls": True}, "uid"),
        ({"url": "ldap://dc.example.com", "allow_plaintext": True}, "uid"),
        ({"url": "ldaps://[::1]:1636/"}, "uid"),
    ],
)
def test_what_can_work_names_the_owner_s_attribute(change: dict[str, Any], attribute: str) -> None:
    assert LdapConfig(**(GOOD | change)).owner_attribute == attribute


def test_certificates_are_checked_unless_there_is_no_tls() -> None:
    secure = LdapConfig(**GOOD).server.tls
    assert secure is not None
    assert secure.check_hostname
    assert secure.verify_mode.name == "CERT_REQUIRED"
    bare = LdapConfig(**(GOOD | {"url": "ldap://localhost", "allow_plaintext": True}))
    assert bare.server.tls is None


def test_the_reader_s_password_is_shown_nowhere(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("reader's own words\r\n")
    table = GOOD | {"bind_dn": "cn=reader,dc=x", "bind_password_file": str(file)}
    config = LdapConfig.from_table(table)
    assert config.bind_password == "reader's own words"
    assert "own words" not in repr(config)


def test_a_key_that_is_none_is_told() -> None:
    with pytest.raises(ConfigurationError, match="no start_ssl"):
        LdapConfig.from_table(GOOD | {"start_ssl": True})
