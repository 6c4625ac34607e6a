"""Looks at a SAML response before anything else does, and lets only the plainest kind through.

Whoever can reach the page can post a document. What verifies signatures would first run whatever
*transforms* the document asks for, XSLT among them; what reads it could be shown another part than
the one that is signed. So before any signature is looked at:

* it is small, UTF-8, without DTD, entities, comments or processing instructions;
* each algorithm that it names is on a short list;
* it has one assertion, in the one place where that belongs, and the assertion carries a signature
  over itself: what is signed and what is read can't be two things.

Standards: SAML 2.0 core section 5.4 (signatures), XML-Signature section 4.
"""

from __future__ import annotations

import base64
import binascii
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from xml.etree.ElementTree import ParseError, TreeBuilder

from bearer_guard.errors import ConfigurationError

try:
    from defusedxml.common import DefusedXmlException  # type: ignore[import-untyped] # has none
    from defusedxml.ElementTree import DefusedXMLParser  # type: ignore[import-untyped] # likewise
except ModuleNotFoundError as missing:
    needed = "SAML log-ins need a package more: pip install 'bearer-guard[saml]'"
    raise ConfigurationError(needed) from missing

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["ASSERTION", "SAML", "SAMLP", "Rejected", "Why", "decode", "sift"]

SAMLP: Final = "{urn:oasis:names:tc:SAML:2.0:protocol}"
SAML: Final = "{urn:oasis:names:tc:SAML:2.0:assertion}"
ASSERTION: Final = f"{SAML}Assertion"
_DS: Final = "{http://www.w3.org/2000/09/xmldsig#}"
_SIGNATURE: Final = f"{_DS}Signature"
_XENC: Final = "{http://www.w3.org/2001/04/xmlenc#}"
_EXC_C14N: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"

_MOST_BYTES: Final = 256 << 10  # twenty times what providers send
_MOST_ELEMENTS: Final = 5000
_DEEPEST: Final = 32
_DECLARED: Final = re.compile(rb"<\?xml[^>]*?encoding\s*=\s*[\"']([^\"']*)")

_MORE: Final = "http://www.w3.org/2001/04/xmldsig-more#"
_ENC: Final = "http://www.w3.org/2001/04/xmlenc#"
_HASHES: Final = ("sha256", "sha384", "sha512")
# What an element may name in its Algorithm: RFC 9231 lists all there are.
_ALGORITHMS: Final[dict[str, frozenset[str]]] = {
    f"{_DS}CanonicalizationMethod": frozenset({_EXC_C14N}),
    f"{_DS}Transform": frozenset({_EXC_C14N, f"{_DS[1:-1]}enveloped-signature"}),
    f"{_DS}SignatureMethod": frozenset(
        f"{_MORE}{kind}-{name}" for kind in ("rsa", "ecdsa") for name in _HASHES
    ),
    f"{_DS}DigestMethod": frozenset({f"{_ENC}sha256", f"{_MORE}sha384", f"{_ENC}sha512"}),
}
_PREFIXES: Final = f"{{{_EXC_C14N}}}InclusiveNamespaces"  # the one thing an algorithm may be told
# All of XML-Signature that a signature over its own parent needs. What is not here, such as Object,
# Manifest and RetrievalMethod, can carry or fetch other content.
_DS_NAMES: Final = frozenset(
    f"{_DS}{name}"
    for name in (
        "Signature",
        "SignedInfo",
        "CanonicalizationMethod",
        "SignatureMethod",
        "Reference",
        "Transforms",
        "Transform",
        "DigestMethod",
        "DigestValue",
        "SignatureValue",
        "KeyInfo",
        "KeyName",
        "KeyValue",
        "RSAKeyValue",
        "Modulus",
        "Exponent",
        "X509Data",
        "X509Certificate",
        "X509SubjectName",
        "X509IssuerSerial",
        "X509IssuerName",
        "X509SerialNumber",
        "X509SKI",
    )
)


class Why(StrEnum):
    """Why a response is refused: for the log and the tests. The person is told none of it."""

    NOT_BASE64 = "it is no base64"
    TOO_LARGE = "it is too large"
    NOT_UTF8 = "it is no UTF-8"
    NOT_XML = "it is no XML"
    DTD = "it has a DTD, or entities"
    COMMENT = "it has a comment or a processing instruction"
    NO_RESPONSE = "it is no Response"
    ENCRYPTED = "it is encrypted"
    ALGORITHM = "it names an algorithm that is not allowed"
    SIGNATURE_PART = "a signature has a part that is not allowed"
    STRAY_SIGNATURE = "a signature is not where it belongs, or not over its own parent"
    SAME_ID = "two of its elements have the same id"
    NOT_ONE_ASSERTION = "it has not exactly one assertion, in its place"
    UNSIGNED = "its assertion is not signed"
    STATUS = "the provider did not log the person in"
    FORM = "it lacks a part, or has one of another form"
    ISSUER = "another provider made it"
    DESTINATION = "it is meant for another address"
    AUDIENCE = "it is meant for another service"
    NOT_ASKED = "this browser did not ask for it, or has had it already"
    TOO_EARLY = "it is not valid yet"
    TOO_LATE = "it is valid no more"
    REPLAY = "it was used before"
    SIGNATURE = "its signature does not hold"
    NAME = "it has not exactly one name that an owner could have"
    PERSON = "the person is disabled here, or the name is a native account's"


class Rejected(Exception):
    """A response is refused."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.value)
        self.why: Final = why


def decode(text: str) -> bytes:
    """The document in a form's field: base64, in lines or not.

    Raises:
        Rejected: It is none, or too large.
    """
    if len(text) > 2 * _MOST_BYTES:
        raise Rejected(Why.TOO_LARGE)
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:  # ValueError: letters beyond ASCII
        raise Rejected(Why.NOT_BASE64) from error


def sift(document: bytes) -> Element:
    """The root of a response that is as it should be, for all that can be told without keys.

    Raises:
        Rejected: It isn't.
    """
    root = _parse(document)
    if root.tag != f"{SAMLP}Response":
        raise Rejected(Why.NO_RESPONSE)
    elements = list(root.iter())
    if any(element.tag.startswith(_XENC) for element in elements):
        raise Rejected(Why.ENCRYPTED)
    _check_algorithms(elements)
    _check_ids(elements)
    assertions = [element for element in elements if element.tag == ASSERTION]
    if len(assertions) != 1 or assertions[0] not in list(root):
        raise Rejected(Why.NOT_ONE_ASSERTION)
    _check_signatures(elements, [root, assertions[0]])
    if assertions[0].find(_SIGNATURE) is None:
        raise Rejected(Why.UNSIGNED)
    return root


def _parse(document: bytes) -> Element:
    if len(document) > _MOST_BYTES:
        raise Rejected(Why.TOO_LARGE)
    declared = _DECLARED.match(document)
    if declared is not None and declared[1].lower() != b"utf-8":
        raise Rejected(Why.NOT_UTF8)
    try:
        document.decode()
        parser = DefusedXMLParser(target=_Plain(), forbid_dtd=True)
        parser.feed(document)
        root: Element = parser.close()
    except UnicodeDecodeError as error:
        raise Rejected(Why.NOT_UTF8) from error
    except DefusedXmlException as error:
        raise Rejected(Why.DTD) from error
    except (ParseError, ValueError) as error:
        raise Rejected(Why.NOT_XML) from error
    return root


class _Plain(TreeBuilder):
    """Builds a tree of elements, not too many and not too deep, and of nothing else.

    A comment within a name is passed over by some readers and cuts the name short for others, and
    no signature tells (CERT VU#475445). So there are none.
    """

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0
        self._count = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        self._depth += 1
        self._count += 1
        if self._depth > _DEEPEST or self._count > _MOST_ELEMENTS:
            raise Rejected(Why.TOO_LARGE)
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag)

    def comment(self, _text: str | None, /) -> Element:
        raise Rejected(Why.COMMENT)

    def pi(self, _target: str, _text: str | None = None, /) -> Element:
        raise Rejected(Why.COMMENT)


def _check_algorithms(elements: list[Element]) -> None:
    """Whatever names an algorithm names a good one, and tells it nothing."""
    for element in elements:
        if element.tag.startswith(_DS) and element.tag not in _DS_NAMES:
            raise Rejected(Why.SIGNATURE_PART)
        allowed = _ALGORITHMS.get(element.tag)
        if allowed is None:
            continue
        if element.get("Algorithm") not in allowed or any(
            child.tag != _PREFIXES for child in element
        ):
            raise Rejected(Why.ALGORITHM)


def _check_ids(elements: list[Element]) -> None:
    """No two elements have the same id, in whatever spelling of the attribute."""
    ids = [
        value
        for element in elements
        for name, value in element.attrib.items()
        if name.rpartition("}")[2].lower() == "id"
    ]
    if len(set(ids)) != len(ids):
        raise Rejected(Why.SAME_ID)


def _check_signatures(elements: list[Element], parents: list[Element]) -> None:
    """Each signature is a child of one of the parents, its only one, and is over just that."""
    signatures = [element for element in elements if element.tag == _SIGNATURE]
    placed = 0
    for parent in parents:
        own = parent.findall(_SIGNATURE)
        references = [reference for one in own for reference in one.iter(f"{_DS}Reference")]
        placed += len(own)
        if own and (len(own) != 1 or _uris(references) != [f"#{parent.get('ID')}"]):
            raise Rejected(Why.STRAY_SIGNATURE)
    if placed != len(signatures):
        raise Rejected(Why.STRAY_SIGNATURE)


def _uris(references: list[Element]) -> list[str | None]:
    return [reference.get("URI") for reference in references]
