"""Signatures of leak reports: GitHub's own sample, and everything that is not quite it."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA512

from bearer_guard import ConfigurationError
from bearer_guard.endpoints._signatures import PublicKeys
from tests.endpoints.support_keys import BODY, KEY, KEY_ID, SIGNATURE, pem, published, sign

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    path.write_bytes(published({KEY_ID: KEY}))
    return path


def test_githubs_own_sample_is_signed(path: Path) -> None:
    assert PublicKeys(path).signed(BODY, key_id=KEY_ID, signature=SIGNATURE)


@pytest.mark.parametrize(
    ("body", "key_id", "signature"),
    [
        (BODY + b" ", KEY_ID, SIGNATURE),
        (BODY.replace(b":", b": "), KEY_ID, SIGNATURE),
        (b"", KEY_ID, SIGNATURE),
        (BODY, KEY_ID[:-1], SIGNATURE),
        (BODY, "", SIGNATURE),
        (BODY, KEY_ID.upper(), SIGNATURE),
        (BODY, KEY_ID, ""),
        (BODY, KEY_ID, SIGNATURE[:-4]),
        (BODY, KEY_ID, "!" + SIGNATURE),
        (BODY, KEY_ID, SIGNATURE.replace("M", "N", 1)),
        (BODY, KEY_ID, "é"),
        (BODY, KEY_ID, base64.b64encode(b"\x30\x06\x02\x01\x00\x02\x01\x00").decode()),
    ],
)
def test_whatever_is_not_quite_it_is_not(
    path: Path, body: bytes, key_id: str, signature: str
) -> None:
    assert not PublicKeys(path).signed(body, key_id=key_id, signature=signature)


def test_another_key_or_another_hash_is_not_it(path: Path) -> None:
    mine = ec.generate_private_key(ec.SECP256R1())
    keys = PublicKeys(path)
    assert not keys.signed(BODY, key_id=KEY_ID, signature=sign(mine, BODY))
    path.write_bytes(published({"mine": pem(mine)}))
    assert keys.signed(BODY, key_id="mine", signature=sign(mine, BODY))
    other = base64.b64encode(mine.sign(BODY, ec.ECDSA(SHA512()))).decode()
    assert not keys.signed(BODY, key_id="mine", signature=other)


def test_a_file_that_was_replaced_is_read_again(path: Path) -> None:
    mine = ec.generate_private_key(ec.SECP256R1())
    keys = PublicKeys(path)
    new = path.with_suffix(".new")
    new.write_bytes(published({"mine": pem(mine)}))
    new.replace(path)
    assert keys.signed(BODY, key_id="mine", signature=sign(mine, BODY))
    assert not keys.signed(BODY, key_id=KEY_ID, signature=SIGNATURE)  # it was taken away


@pytest.mark.parametrize("content", [None, b"{", b"[]"])
def test_a_file_that_was_spoilt_changes_nothing(
    path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    keys = PublicKeys(path)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert keys.signed(BODY, key_id=KEY_ID, signature=SIGNATURE)
    assert "stay as they were" in caplog.text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"public_keys": []}',
        b'{"public_keys": [1]}',
        b'{"public_keys": [{"key_identifier": "a", "key": 1}]}',
        b'{"public_keys": [{"key_identifier": "a", "key": "PEM"}]}',
        published({"a": pem(ec.generate_private_key(ec.SECP384R1()))}),
        published({"a": pem(ed25519.Ed25519PrivateKey.generate())}),
        published({"a": KEY, "b": pem(ec.generate_private_key(ec.SECP256K1()))}),
    ],
)
def test_a_file_without_such_keys_is_an_error_at_the_start(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"keys\.json"):
        PublicKeys(path)


def test_a_file_that_is_not_there_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        PublicKeys(tmp_path / "keys.json")


def test_the_same_file_is_not_read_twice(path: Path) -> None:
    keys = PublicKeys(path)
    before = path.stat()
    path.write_bytes(b"x" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert keys.signed(BODY, key_id=KEY_ID, signature=SIGNATURE)
