"""The port to a SAML library, and its one adapter, pysaml2.

The library writes requests and our metadata, reads the provider's, and says whether a signature
holds; it makes SAML's own checks, too, in addition to ours. It runs ``xmlsec1`` for each response,
and reads files: so all of it happens in a thread.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from bearer_guard.errors import ConfigurationError

from ._people import DirectoryUnavailable
from ._saml_filter import Rejected, Why

try:
    from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT, SAMLError
    from saml2.client import Saml2Client
    from saml2.config import SPConfig
    from saml2.metadata import entity_descriptor
    from saml2.sigver import SigverError, get_xmlsec_binary
    from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256
except ModuleNotFoundError as missing:
    needed = "SAML log-ins need a package more: pip install 'bearer-guard[saml]'"
    raise ConfigurationError(needed) from missing

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PySaml2", "SamlLibrary"]

_T = TypeVar("_T")

_LOGGER: Final = logging.getLogger("bearer_guard")
# xmlsec1 takes a processor for a twentieth of a second.
_POOL: Final = ThreadPoolExecutor(2, thread_name_prefix="saml")
_SECONDS: Final = 4.0
_SKEW_SECONDS: Final = 60


class SamlLibrary(Protocol):
    """What log-ins by SAML ask of a library."""

    @property
    def provider(self) -> str:
        """The entity id of the one provider."""
        ...

    async def request(self) -> tuple[str, str]:
        """The id of a new request for a log-in, and the address that takes it to the provider."""
        ...

    async def verify(self, document: bytes, request_id: str | None) -> str:
        """Make sure that the provider's signature over the assertion holds.

        Args:
            document: That ``_saml_filter`` let through.
            request_id: What it answers; ``None``: nothing.

        Returns:
            The id of the assertion that the signature is over.

        Raises:
            Rejected: It doesn't hold.
            DirectoryUnavailable: It could not be looked at in time.
        """
        ...

    def metadata(self) -> bytes:
        """What a provider has to know of us."""
        ...


class PySaml2:
    """pysaml2 behind the port.

    Args:
        entity_id: Ours.
        acs_url: Where the provider has to send browsers back to.
        idp_metadata: The file with what is to be known of the provider.
        key_file: Signs requests; ``None``: they are not signed.
        cert_file: The certificate of that key.
        unsolicited: Whether responses that nobody asked for are looked at.

    Raises:
        ConfigurationError: A file can't be used, or ``xmlsec1`` is missing.
    """

    def __init__(
        self,
        *,
        entity_id: str,
        acs_url: str,
        idp_metadata: str,
        key_file: str | None,
        cert_file: str | None,
        unsolicited: bool,
    ) -> None:
        settings: dict[str, Any] = {
            "entityid": entity_id,
            "xmlsec_binary": _xmlsec(),
            "metadata": {"local": [idp_metadata]},
            "allow_unknown_attributes": True,
            "accepted_time_diff": _SKEW_SECONDS,
            "signing_algorithm": SIG_RSA_SHA256,
            "digest_algorithm": DIGEST_SHA256,
            "key_file": key_file,
            "cert_file": cert_file,
            "service": {
                "sp": {
                    "endpoints": {"assertion_consumer_service": [(acs_url, BINDING_HTTP_POST)]},
                    "allow_unsolicited": unsolicited,
                    "authn_requests_signed": key_file is not None,
                    "want_assertions_signed": True,
                    "want_response_signed": False,
                }
            },
        }
        self._config: Final[Any] = _load(settings, idp_metadata)
        self._signed: Final = key_file is not None
        self.provider: Final = self._one_provider(idp_metadata)
        self._metadata: Final = self._describe()
        self._try(idp_metadata)

    async def request(self) -> tuple[str, str]:
        """The id of a new request for a log-in, and the address that takes it to the provider."""
        return await self._off_the_loop(self._make_request)

    async def verify(self, document: bytes, request_id: str | None) -> str:
        """Make sure that the provider's signature over the assertion holds."""
        return await self._off_the_loop(lambda: self._verify(document, request_id))

    def metadata(self) -> bytes:
        """What a provider has to know of us."""
        return self._metadata

    def _make_request(self) -> tuple[str, str]:
        client: Any = Saml2Client(config=self._config)
        request_id, info = client.prepare_for_authenticate(
            entityid=self.provider,
            binding=BINDING_HTTP_REDIRECT,
            response_binding=BINDING_HTTP_POST,
            sign=self._signed,
            sigalg=SIG_RSA_SHA256 if self._signed else None,
        )
        return str(request_id), str(dict(info["headers"])["Location"])

    def _verify(self, document: bytes, request_id: str | None) -> str:
        client: Any = Saml2Client(config=self._config)  # a new one: it remembers whom it has seen
        try:
            response = client.parse_authn_request_response(
                base64.b64encode(document).decode(),
                BINDING_HTTP_POST,
                outstanding={} if request_id is None else {request_id: "/"},
            )
            assertion_id = str(response.assertion.id)
        except Exception as error:  # whatever it is, the document is not proved; many are bare
            _LOGGER.info("pysaml2 refuses a response: %s", type(error).__name__)
            raise Rejected(Why.SIGNATURE) from error
        return assertion_id

    def _one_provider(self, idp_metadata: str) -> str:
        found = list(self._config.metadata.identity_providers())
        if len(found) != 1:
            raise ConfigurationError(f"idp_metadata: {idp_metadata} has {len(found)} providers")
        return str(found[0])

    def _try(self, idp_metadata: str) -> None:
        """Make a request, to see that the keys and the provider's address can be used."""
        try:
            self._make_request()
        except (OSError, SAMLError, ValueError) as error:
            raise ConfigurationError(
                f"idp_metadata: {idp_metadata} or key_file: {error}"
            ) from error

    def _describe(self) -> bytes:
        descriptor = entity_descriptor(self._config)
        descriptor.extensions = None  # a list of algorithms, SHA-1 among them, that we refuse
        return b'<?xml version="1.0" encoding="UTF-8"?>\n' + str(descriptor).encode()

    async def _off_the_loop(self, work: Callable[[], _T]) -> _T:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_SECONDS):
                return await loop.run_in_executor(_POOL, work)
        except TimeoutError as error:
            raise DirectoryUnavailable("SAML: too much to do at once") from error


def _xmlsec() -> str:
    try:
        return str(get_xmlsec_binary())
    except SigverError as error:
        raise ConfigurationError("SAML log-ins need xmlsec1: apt-get install xmlsec1") from error


def _load(settings: dict[str, Any], idp_metadata: str) -> SPConfig:
    try:
        return SPConfig().load(settings)
    except (OSError, SAMLError, SyntaxError, ValueError) as error:
        raise ConfigurationError(f"idp_metadata: {idp_metadata} can't be used: {error}") from error
