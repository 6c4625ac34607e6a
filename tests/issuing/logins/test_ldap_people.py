"""`_ldap_people`: what an entry says. How people are found: see `test_ldap`."""

from __future__ import annotations

from typing import Any

import pytest

from bearer_guard.issuing.logins._ldap_link import Entry
from bearer_guard.issuing.logins._ldap_people import disabled, owner_of
from bearer_guard.issuing.logins.ldap import LdapConfig

CONFIG = LdapConfig(url="ldaps://dc.example.com", user_dn="uid={username},dc=x")


def entry(dn: str = "uid=alice,dc=x", **attributes: Any) -> Entry:
    return Entry(dn, {name.lower(): tuple(values) for name, values in attributes.items()})


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, False),
        ({"userAccountControl": ["512"]}, False),
        ({"userAccountControl": ["514"]}, True),
        ({"userAccountControl": ["66050"]}, True),  # and the password never expires
        ({"userAccountControl": ["66048"]}, False),
        ({"userAccountControl": ["x"]}, False),
        ({"nsAccountLock": ["TRUE"]}, True),
        ({"nsAccountLock": ["true"]}, True),
        ({"nsAccountLock": ["FALSE"]}, False),
        ({"pwdAccountLockedTime": ["000001010000Z"]}, True),
        ({"pwdAccountLockedTime": ["20261124140000Z"]}, False),  # for a while: too many tries
    ],
)
def test_each_directory_s_way_to_say_disabled(
    attributes: dict[str, Any], *, expected: bool
) -> None:
    assert disabled(entry(**attributes)) is expected


@pytest.mark.parametrize(
    ("dn", "values", "owner"),
    [
        ("uid=alice,dc=x", ["Alice"], "Alice"),
        ("cn=somebody,dc=x", ["Alice"], "Alice"),
        ("uid=alice,dc=x", ["al", "Alice"], "Alice"),
        ("uid=alice+uid=al,dc=x", ["al", "Alice"], None),
        ("cn=alice,dc=x", ["al", "Alice"], None),
        ("uid=alice,dc=x", [], None),
    ],
)
def test_an_owner_has_one_name(dn: str, values: list[str], owner: str | None) -> None:
    assert owner_of(entry(dn, uid=values), CONFIG) == owner
