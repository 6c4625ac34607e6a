"""Records and tokens to play with."""

from bearer_guard.keyring import Keyring
from bearer_guard.testing import a_record, a_token
from bearer_guard.token import TokenForm


def test_no_two_records_are_the_same() -> None:
    one, other = a_record(), a_record()
    assert one.id != other.id
    assert one.digest != other.digest


def test_a_record_begins_its_own_family_unless_it_is_told_otherwise() -> None:
    first = a_record()
    child = a_record(family=first.family, parent=first.id)
    assert (first.family, child.family) == (first.id, first.id)


def test_scopes_come_in_any_order() -> None:
    assert a_record(scopes=["b", "a"]).scopes == ("a", "b")


def test_a_token_is_genuine() -> None:
    keyring = Keyring.generate()
    form = TokenForm("acme")
    text, record = a_token(keyring, a_record(owner="bob"), form)
    parts = form.parse(text.encode())
    assert parts is not None
    assert (parts.id, record.owner) == (record.id, "bob")
    assert keyring.vouches(parts.tagged, parts.tag)
    assert keyring.matches(record.key_id, record.digest, text.encode())
    assert keyring.sealed(record)
