"""Signatures of those who report leaks: ECDSA over P-256 and SHA-256, as GitHub makes them."""

from __future__ import annotations

import base64
import binascii
import json
import logging
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from bearer_guard.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PublicKeys"]

_log: Final = logging.getLogger("bearer_guard")


class PublicKeys:
    """The keys in a file, which is read again when it has changed.

    It has the form in which GitHub publishes its keys:
    ``{"public_keys": [{"key_identifier": "…", "key": "-----BEGIN PUBLIC KEY-----…"}]}``.

    Args:
        path: Of the file.

    Raises:
        ConfigurationError: It can't be read, or has something else than P-256 keys.
    """

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        try:
            self._keys = _load(path)
            self._version = _version(path)
        except OSError as error:
            raise ConfigurationError(f"{path} can't be read: {error.strerror}") from error

    def signed(self, body: bytes, *, key_id: str, signature: str) -> bool:
        """Whether the owner of this key has signed exactly this.

        Args:
            body: As it came.
            key_id: Which key.
            signature: DER, in base64.
        """
        self._refresh()
        key = self._keys.get(key_id)
        if key is None:
            _log.warning("a leak report is signed with a key that %s does not have", self._path)
            return False
        try:
            key.verify(base64.b64decode(signature, validate=True), body, ECDSA(SHA256()))
        except (binascii.Error, ValueError, InvalidSignature):
            return False
        return True

    def _refresh(self) -> None:
        """Read the file again if it is another one. While it can't be read, the keys stay."""
        try:
            version = _version(self._path)
            if version != self._version:
                self._keys, self._version = _load(self._path), version
        except (OSError, ConfigurationError) as error:
            _log.error("the keys of leak reports stay as they were: %s", error)


def _version(path: Path) -> tuple[int, int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _load(path: Path) -> dict[str, EllipticCurvePublicKey]:
    try:
        rows = json.loads(path.read_bytes())["public_keys"]
        keys = {row["key_identifier"]: load_pem_public_key(row["key"].encode()) for row in rows}
    except (ValueError, KeyError, TypeError, AttributeError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(f"{path} has not the form of GitHub's public keys") from error
    good = {
        key_id: key
        for key_id, key in keys.items()
        if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
    }
    if not good or len(good) < len(keys):
        raise ConfigurationError(f"{path} must have P-256 keys, and nothing else")
    return good
