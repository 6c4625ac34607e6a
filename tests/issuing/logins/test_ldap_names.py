"""`_ldap_names`: what a person gives is a value, whatever is in it."""

from __future__ import annotations

import pytest
import sansldap
from hypothesis import given
from hypothesis import strategies as st

from bearer_guard.issuing.logins._ldap_names import (
    PLACE,
    attribute_of,
    dn_key,
    fill_dn,
    fill_filter,
    fill_upn,
    parent_of,
)

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(NAMES)
def test_a_name_in_a_filter_is_one_value_whatever_is_in_it(name: str) -> None:
    query = fill_filter("(&(objectClass=user)(|(uid={username})(mail={username})))", name)
    parsed = sansldap.LDAPFilter.from_string(query)
    value = name.encode()
    assert parsed == sansldap.FilterAnd(
        [
            sansldap.FilterEquality("objectClass", b"user"),
            sansldap.FilterOr(
                [
                    sansldap.FilterEquality("uid", value),
                    sansldap.FilterEquality("mail", value),
                ]
            ),
        ]
    )


@given(NAMES)
def test_a_name_in_a_dn_is_one_value_whatever_is_in_it(name: str) -> None:
    assert dn_key(fill_dn("uid={username},ou=people,dc=x", name)) == (
        (("uid", " ".join(name.casefold().split())),),
        (("ou", "people"),),
        (("dc", "x"),),
    )


@given(NAMES)
def test_nothing_but_plain_letters_is_left_of_a_name(name: str) -> None:
    filled = fill_dn(PLACE, name)
    assert filled.isascii()
    assert not set(filled) & set(' ,+"<>;=#\0()*')
    assert filled == fill_filter(PLACE, name)


@given(st.text())
def test_a_user_principal_name_has_the_one_at_sign_of_its_template(name: str) -> None:
    filled = fill_upn("{username}@example.com", name)
    assert filled is None or (filled.count("@") == 1 and filled.startswith(name))


@pytest.mark.parametrize(
    "name", ["a@b", "D\\a", "a*", "a/b", "a b ", " a", "a\tb", "a\ud800", "a,b"]
)
def test_a_user_principal_name_can_not_be_escaped_and_is_refused(name: str) -> None:
    assert fill_upn("{username}@example.com", name) is None


@pytest.mark.parametrize("name", ["alice", "Zo\u00eb", "j.doe-2_x", "o'neil", "mary ann"])
def test_a_user_principal_name_may_be_of_many_kinds(name: str) -> None:
    assert fill_upn("{username}@example.com", name) == f"{name}@example.com"


@pytest.mark.parametrize(
    ("template", "attribute"),
    [
        ("uid={username},ou=people", "uid"),
        ("CN={username},ou=people", "CN"),
        ("(uid={username})", "uid"),
        ("(&(objectClass=user)(sAMAccountName={username}))", "sAMAccountName"),
        ("(|(uid={username})(uid=x{username}))", None),
        ("(|(uid={username})(mail={username}))", None),
        ("(memberOf:1.2.840.113556.1.4.1941:={username})", None),
        ("{username}", None),
    ],
)
def test_the_attribute_that_a_name_stands_for(template: str, attribute: str | None) -> None:
    assert attribute_of(template) == attribute


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cn=a,dc=x", "CN=A,DC=X"),
        ("cn=a,dc=x", "cn=a, dc=x"),
        ("cn=a,dc=x", "cn = a , dc = x"),
        ("cn=a b,dc=x", "cn=a   b,dc=x"),
        ("cn=a+uid=b,dc=x", "uid=b+cn=a,dc=x"),
        ("cn=a\\,b,dc=x", "cn=a\\2cb,dc=x"),
        ("cn=Zo\u00eb,dc=x", "cn=zo\\c3\\ab,dc=x"),
    ],
)
def test_two_spellings_of_one_dn(one: str, other: str) -> None:
    assert dn_key(one) == dn_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cn=a,dc=x", "cn=b,dc=x"),
        ("cn=a,dc=x", "uid=a,dc=x"),
        ("cn=a,dc=x", "cn=a,dc=x,dc=y"),
        ("cn=a,dc=x", "dc=x,cn=a"),
        ("cn=a\\,dc=x", "cn=a,dc=x"),
        ("cn=a\\+uid=b,dc=x", "cn=a+uid=b,dc=x"),
        ("cn=a\\5c,dc=x", "cn=a,dc=x"),
        ("", "dc=x"),
    ],
)
def test_two_dns(one: str, other: str) -> None:
    assert dn_key(one) != dn_key(other)


def test_the_parent_is_what_follows_the_first_step() -> None:
    assert parent_of("uid=a\\,b+cn=c,ou=people,dc=x") == "ou=people,dc=x"
    assert parent_of("dc=x") == ""
