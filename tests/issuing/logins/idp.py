"""A SAML identity provider: pysaml2's, in this process."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit
from xml.etree.ElementTree import register_namespace

from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.config import IdPConfig
from saml2.metadata import create_metadata_string
from saml2.saml import NAMEID_FORMAT_PERSISTENT, NameID
from saml2.server import Server
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

from tests.support import require

if TYPE_CHECKING:
    from pathlib import Path

    from tests.issuing.logins.certificates import Authority

IDP: Final = "https://idp.example.com/metadata"
SSO: Final = "https://idp.example.com/sso"
_AUTHN: Final = {"class_ref": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"}
# pysaml2 writes by ElementTree, whose prefixes depend on what was written and read before.
for _prefix, _namespace in (
    ("samlp", "urn:oasis:names:tc:SAML:2.0:protocol"),
    ("saml", "urn:oasis:names:tc:SAML:2.0:assertion"),
    ("ds", "http://www.w3.org/2000/09/xmldsig#"),
):
    register_namespace(_prefix, _namespace)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a log-in, as the provider reads it."""

    id: str
    acs_url: str
    issuer: str
    signed: bool


class IdentityProvider:
    """Answers requests; each part of the answer can be another than it should be."""

    def __init__(
        self, folder: Path, authority: Authority, *, name: str = "idp", entity_id: str = IDP
    ) -> None:
        files = authority.issue(name)
        config: dict[str, Any] = {
            "entityid": entity_id,
            "xmlsec_binary": require("xmlsec1", "xmlsec1"),
            "key_file": str(files.key),
            "cert_file": str(files.cert),
            "service": {
                "idp": {
                    "endpoints": {
                        "single_sign_on_service": [
                            (SSO, BINDING_HTTP_REDIRECT),
                            (SSO, BINDING_HTTP_POST),
                        ]
                    },
                    "policy": {"default": {"lifetime": {"minutes": 5}}},
                }
            },
        }
        self.entity_id: Final = entity_id
        self.folder: Final = folder
        self.config: Final = config
        self._server: Server | None = None
        self._known = b""
        self.metadata_file: Final = folder / f"{name}-metadata.xml"
        metadata = create_metadata_string(None, config=IdPConfig().load(dict(config)))
        self.metadata_file.write_bytes(metadata)

    def learn(self, service_metadata: bytes) -> None:
        """Get to know a service provider."""
        if service_metadata == self._known:
            return
        self._known = service_metadata
        config = {**self.config, "metadata": {"inline": [service_metadata.decode()]}}
        self._server = Server(config=IdPConfig().load(config))

    @property
    def server(self) -> Server:
        assert self._server is not None, "the provider knows no service yet"
        return self._server

    def read(self, url: str) -> Asked:
        """The request in the address that the browser was sent to."""
        assert url.startswith(SSO + "?")
        query = parse_qs(urlsplit(url).query)
        request = self.server.parse_authn_request(query["SAMLRequest"][0], BINDING_HTTP_REDIRECT)
        message = request.message
        return Asked(
            message.id,
            message.assertion_consumer_service_url,
            message.issuer.text,
            "Signature" in query,
        )

    def answer(
        self,
        asked: Asked,
        name: str = "alice",
        *,
        attributes: dict[str, list[str]] | None = None,
        name_format: str = NAMEID_FORMAT_PERSISTENT,
        in_response_to: str | None = "",
        acs_url: str | None = None,
        audience: str | None = None,
        sign_response: bool = False,
        sign_assertion: bool = True,
        sign_alg: str = SIG_RSA_SHA256,
        digest_alg: str = DIGEST_SHA256,
        minutes: int = 5,
    ) -> bytes:
        """The document that it answers with."""
        self.server.config.getattr("policy", "idp")._restrictions["default"]["lifetime"] = {
            "minutes": minutes
        }
        return str(
            self.server.create_authn_response(
                identity=attributes or {},
                in_response_to=asked.id if in_response_to == "" else in_response_to,
                destination=acs_url or asked.acs_url,
                sp_entity_id=audience or asked.issuer,
                name_id=NameID(format=name_format, text=name),
                authn=_AUTHN,
                sign_response=sign_response,
                sign_assertion=sign_assertion,
                sign_alg=sign_alg,
                digest_alg=digest_alg,
            )
        ).encode()


def form(document: bytes) -> dict[str, str]:
    """What the browser posts."""
    return {"SAMLResponse": base64.b64encode(document).decode(), "RelayState": secrets.token_hex(4)}
