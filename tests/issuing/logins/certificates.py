"""A throw-away certificate authority, and what it signs for servers on loopback."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.support import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path

_DAY: Final = timedelta(days=1)
_BITS: Final = 2048


class Files(NamedTuple):
    """A certificate and its key, in PEM."""

    cert: Path
    key: Path


class Authority:
    """Signs certificates; its own is in ``ca_file``."""

    def __init__(self, folder: Path, name: str = "Tests") -> None:
        self._folder: Final = folder
        self._key: Final = rsa.generate_private_key(65537, _BITS)
        self._name: Final = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.ca_file: Final = folder / f"{name}.pem"
        builder = _builder(self._name, self._name, self._key, _DAY)
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        cert = builder.add_extension(constraints, critical=True).sign(self._key, hashes.SHA256())
        self.ca_file.write_bytes(cert.public_bytes(Encoding.PEM))

    def issue(
        self, name: str, *, host: str = LOOPBACK, lifetime: timedelta = _DAY, bits: int = _BITS
    ) -> Files:
        """A certificate for an address, good from two days ago until ``lifetime`` from now."""
        key = rsa.generate_private_key(65537, bits)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(subject, self._name, key, lifetime)
        address = x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))])
        cert = builder.add_extension(address, critical=False).sign(self._key, hashes.SHA256())
        files = Files(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        files.cert.write_bytes(cert.public_bytes(Encoding.PEM))
        files.key.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        )
        return files


def _builder(
    subject: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey, lifetime: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 2 * _DAY)
        .not_valid_after(now + lifetime)
    )
