"""Known attacks on SAML service providers: each makes a document out of a good one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from saml2.saml import NAMEID_FORMAT_TRANSIENT
from saml2.xmldsig import DIGEST_SHA1, DIGEST_SHA256, SIG_RSA_SHA1

from bearer_guard.issuing.logins._saml_filter import Why

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.issuing.logins.idp import Asked, IdentityProvider

_EXC: Final = b"http://www.w3.org/2001/10/xml-exc-c14n#"
_TRANSFORM: Final = b'<ds:Transform Algorithm="' + _EXC + b'"/></ds:Transforms>'


class Providers(NamedTuple):
    """The provider, one of the same name with another key, and one of another name."""

    good: IdentityProvider
    forger: IdentityProvider
    stranger: IdentityProvider


class Attack(NamedTuple):
    """What is tried, and why it fails.

    Attributes:
        make: The document.
        why: The verdict.
        looked_at: Whether the signature was looked at before that.
    """

    make: Callable[[Providers, Asked], bytes]
    why: Why
    looked_at: bool = False


def _good(providers: Providers, asked: Asked, **how: object) -> bytes:
    return providers.good.answer(asked, **how)  # type: ignore[arg-type]


def _swap(old: bytes, new: bytes, count: int = 1) -> Callable[[Providers, Asked], bytes]:
    """The good document with one part replaced."""

    def make(providers: Providers, asked: Asked) -> bytes:
        document = _good(providers, asked)
        assert old in document
        return document.replace(old, new, count)

    return make


def assertion_in(document: bytes) -> bytes:
    found = re.search(rb"<saml:Assertion .*</saml:Assertion>", document, re.DOTALL)
    assert found is not None
    return found[0]


def _unsigned(assertion: bytes) -> bytes:
    return re.sub(rb"<ds:Signature .*</ds:Signature>", b"", assertion, flags=re.DOTALL)


def _forged(assertion: bytes) -> bytes:
    """The assertion, without its signature, about somebody else."""
    return _unsigned(assertion).replace(b">alice<", b">root<")


def _wrap(document: bytes, build: Callable[[bytes, bytes], bytes]) -> bytes:
    signed = assertion_in(document)
    return document.replace(signed, build(signed, _forged(signed)))


def _other_id(assertion: bytes) -> bytes:
    return re.sub(rb' ID="[^"]*"', b' ID="id-forged"', assertion, count=1)


def _extensions(inner: bytes) -> bytes:
    return b"<samlp:Extensions>" + inner + b"</samlp:Extensions>"


def _wrapped_in_extensions(providers: Providers, asked: Asked) -> bytes:
    """The signed one is put away in Extensions, and a forged one with its id takes its place."""
    document = _good(providers, asked)
    return _wrap(document, lambda signed, forged: _extensions(signed) + forged)


def _wrapped_with_another_id(providers: Providers, asked: Asked) -> bytes:
    document = _good(providers, asked)
    return _wrap(document, lambda signed, forged: _extensions(signed) + _other_id(forged))


def _wrapped_in_object(providers: Providers, asked: Asked) -> bytes:
    """The forged one carries the signature, and that carries the signed one in an Object."""

    def build(signed: bytes, forged: bytes) -> bytes:
        signature = re.search(rb"<ds:Signature .*</ds:Signature>", signed, re.DOTALL)
        assert signature is not None
        carrying = signature[0].replace(
            b"</ds:Signature>",
            b"<ds:Object>" + _unsigned(signed) + b"</ds:Object></ds:Signature>",
        )
        return _other_id(forged).replace(b"</saml:Issuer>", b"</saml:Issuer>" + carrying, 1)

    return _wrap(_good(providers, asked), build)


def _wrapped_in_advice(providers: Providers, asked: Asked) -> bytes:
    """The forged one is around the signed one."""

    def build(signed: bytes, forged: bytes) -> bytes:
        advice = b"<saml:Advice>" + signed + b"</saml:Advice>"
        return _other_id(forged).replace(b"</saml:Conditions>", b"</saml:Conditions>" + advice)

    return _wrap(_good(providers, asked), build)


def _signature_over_another(providers: Providers, asked: Asked) -> bytes:
    """The forged one stands alone; its signature is over the response, which has the id."""

    def build(signed: bytes, forged: bytes) -> bytes:
        signature = re.search(rb"<ds:Signature .*</ds:Signature>", signed, re.DOTALL)
        assert signature is not None
        return _other_id(forged).replace(b"</saml:Issuer>", b"</saml:Issuer>" + signature[0], 1)

    return _wrap(_good(providers, asked), build)


def _second_assertion(providers: Providers, asked: Asked) -> bytes:
    document = _good(providers, asked)
    return _wrap(document, lambda signed, forged: signed + _other_id(forged))


def _xslt(providers: Providers, asked: Asked) -> bytes:
    """A style sheet that would write on for ever, run by whoever looks at the signature."""
    sheet = (
        b'<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116">'
        b'<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">'
        b'<xsl:template match="/"><xsl:call-template name="x"/></xsl:template>'
        b'<xsl:template name="x"><xsl:text>x</xsl:text><xsl:call-template name="x"/>'
        b"</xsl:template></xsl:stylesheet></ds:Transform>"
    )
    return _swap(b"<ds:Transforms>", b"<ds:Transforms>" + sheet)(providers, asked)


def _dtd(declarations: bytes, use: bytes) -> Callable[[Providers, Asked], bytes]:
    def make(providers: Providers, asked: Asked) -> bytes:
        document = _swap(b">alice<", b">" + use + b"<")(providers, asked)
        return document.replace(
            b'<?xml version="1.0"?>',
            b'<?xml version="1.0"?><!DOCTYPE x [' + declarations + b"]>",
        )

    return make


_LAUGHS: Final = b'<!ENTITY a0 "ha">' + b"".join(
    b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10)
)


def _padded(providers: Providers, asked: Asked) -> bytes:
    padding = b"<samlp:Extensions>" + b" " * 300_000 + b"</samlp:Extensions>"
    return _swap(b"<samlp:Status>", padding + b"<samlp:Status>")(providers, asked)


def _deep(providers: Providers, asked: Asked) -> bytes:
    nest = b"<samlp:Extensions>" + b"<x>" * 5000 + b"</x>" * 5000 + b"</samlp:Extensions>"
    return _swap(b"<samlp:Status>", nest + b"<samlp:Status>")(providers, asked)


def _many(providers: Providers, asked: Asked) -> bytes:
    many = _extensions(b"<x/>" * 6000)
    return _swap(b"<samlp:Status>", many + b"<samlp:Status>")(providers, asked)


def _utf_16(providers: Providers, asked: Asked) -> bytes:
    document = _good(providers, asked).decode().replace('"1.0"?', '"1.0" encoding="UTF-16"?')
    return document.encode("utf-16")


def _utf_7(providers: Providers, asked: Asked) -> bytes:
    return _swap(b'"1.0"?', b'"1.0" encoding="UTF-7"?')(providers, asked)


def _no_success(providers: Providers, asked: Asked) -> bytes:
    return _swap(b"status:Success", b"status:Responder")(providers, asked)


ATTACKS: Final[dict[str, Attack]] = {
    "assertion unsigned": Attack(lambda p, a: _good(p, a, sign_assertion=False), Why.UNSIGNED),
    "only the response signed": Attack(
        lambda p, a: _good(p, a, sign_assertion=False, sign_response=True), Why.UNSIGNED
    ),
    "signed with another key": Attack(
        lambda p, a: p.forger.answer(a), Why.SIGNATURE, looked_at=True
    ),
    "name changed after signing": Attack(
        _swap(b">alice<", b">root<"), Why.SIGNATURE, looked_at=True
    ),
    "attribute added after signing": Attack(
        _swap(
            b"</saml:AuthnStatement>",
            b'</saml:AuthnStatement><saml:AttributeStatement><saml:Attribute Name="groups">'
            b"<saml:AttributeValue>admins</saml:AttributeValue></saml:Attribute>"
            b"</saml:AttributeStatement>",
        ),
        Why.SIGNATURE,
        looked_at=True,
    ),
    "RSA-SHA1": Attack(
        lambda p, a: _good(p, a, sign_alg=SIG_RSA_SHA1, digest_alg=DIGEST_SHA256), Why.ALGORITHM
    ),
    "SHA-1 digest": Attack(lambda p, a: _good(p, a, digest_alg=DIGEST_SHA1), Why.ALGORITHM),
    "HMAC, with the public key for its key": Attack(
        _swap(b"xmldsig-more#rsa-sha256", b"xmldsig-more#hmac-sha256"), Why.ALGORITHM
    ),
    "inclusive canonicalisation": Attack(
        _swap(_EXC, b"http://www.w3.org/TR/2001/REC-xml-c14n-20010315"), Why.ALGORITHM
    ),
    "XSLT bomb": Attack(_xslt, Why.ALGORITHM),
    "XPath transform": Attack(
        _swap(
            _TRANSFORM,
            b'<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116">'
            b"<ds:XPath>not(//*)</ds:XPath></ds:Transform></ds:Transforms>",
        ),
        Why.ALGORITHM,
    ),
    "something told to a transform": Attack(
        _swap(_TRANSFORM, _TRANSFORM.replace(b"/>", b"><x/></ds:Transform>", 1)), Why.ALGORITHM
    ),
    "key fetched from elsewhere": Attack(
        _swap(
            b"<ds:KeyInfo>",
            b'<ds:KeyInfo><ds:RetrievalMethod URI="http://127.0.0.1:9/key"/>',
        ),
        Why.SIGNATURE_PART,
    ),
    "wrapping: signed one in Extensions, same id": Attack(_wrapped_in_extensions, Why.SAME_ID),
    "wrapping: signed one in Extensions, another id": Attack(
        _wrapped_with_another_id, Why.NOT_ONE_ASSERTION
    ),
    "wrapping: signed one in an Object": Attack(_wrapped_in_object, Why.SIGNATURE_PART),
    "wrapping: signed one in Advice": Attack(_wrapped_in_advice, Why.NOT_ONE_ASSERTION),
    "signature over another element": Attack(_signature_over_another, Why.STRAY_SIGNATURE),
    "signature over the whole document": Attack(
        lambda p, a: re.sub(rb'URI="#[^"]*"', b'URI=""', _good(p, a)), Why.STRAY_SIGNATURE
    ),
    "two references in one signature": Attack(
        lambda p, a: re.sub(
            rb"(<ds:Reference .*</ds:Reference>)", rb"\1\1", _good(p, a), flags=re.DOTALL
        ),
        Why.STRAY_SIGNATURE,
    ),
    "a second assertion, unsigned": Attack(_second_assertion, Why.NOT_ONE_ASSERTION),
    "comment in the name": Attack(_swap(b">alice<", b">ali<!-- x -->ce<"), Why.COMMENT),
    "processing instruction in the name": Attack(_swap(b">alice<", b">ali<?x y?>ce<"), Why.COMMENT),
    "element in the name": Attack(_swap(b">alice<", b">ali<x/>ce<"), Why.FORM),
    "XXE: a file as the name": Attack(
        _dtd(b'<!ENTITY e SYSTEM "file:///etc/passwd">', b"&e;"), Why.DTD
    ),
    "XXE: a DTD from elsewhere": Attack(
        _dtd(b'<!ENTITY % d SYSTEM "http://127.0.0.1:9/x.dtd"> %d;', b"alice"), Why.DTD
    ),
    "billion laughs": Attack(_dtd(_LAUGHS, b"&a9;"), Why.DTD),
    "an empty DTD": Attack(_dtd(b"", b"alice"), Why.DTD),
    "too large": Attack(_padded, Why.TOO_LARGE),
    "too deep": Attack(_deep, Why.TOO_LARGE),
    "too many elements": Attack(_many, Why.TOO_LARGE),
    "UTF-16": Attack(_utf_16, Why.NOT_UTF8),
    "UTF-7 declared": Attack(_utf_7, Why.NOT_UTF8),
    "no XML": Attack(lambda *_: b"SAMLResponse", Why.NOT_XML),
    "not a response": Attack(
        lambda p, a: assertion_in(_good(p, a)).replace(
            b"<saml:Assertion ",
            b'<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" '
            b'xmlns:ds="http://www.w3.org/2000/09/xmldsig#" '
            b'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ',
        ),
        Why.NO_RESPONSE,
    ),
    "encrypted": Attack(
        _swap(
            b"<samlp:Status>",
            b'<samlp:Extensions><x:EncryptedData xmlns:x="http://www.w3.org/2001/04/xmlenc#"/>'
            b"</samlp:Extensions><samlp:Status>",
        ),
        Why.ENCRYPTED,
    ),
    "old": Attack(lambda p, a: _good(p, a, minutes=-2), Why.TOO_LATE),
    "for another service": Attack(
        lambda p, a: _good(p, a, audience="https://other.example.com/saml"), Why.AUDIENCE
    ),
    "sent to another address": Attack(
        lambda p, a: _good(p, a, acs_url="https://other.example.com/acs"), Why.DESTINATION
    ),
    "by another provider": Attack(lambda p, a: p.stranger.answer(a), Why.ISSUER),
    "answer to a question that was not asked": Attack(
        lambda p, a: _good(p, a, in_response_to="id-of-another"), Why.NOT_ASKED
    ),
    "unasked for": Attack(lambda p, a: _good(p, a, in_response_to=None), Why.NOT_ASKED),
    "answered by the response, unasked for by the assertion": Attack(
        lambda p, a: re.sub(
            rb'(<saml:SubjectConfirmationData[^>]*) InResponseTo="[^"]*"', rb"\1", _good(p, a)
        ),
        Why.NOT_ASKED,
    ),
    "the provider says no": Attack(_no_success, Why.STATUS),
    "a name for this once": Attack(
        lambda p, a: _good(p, a, name_format=NAMEID_FORMAT_TRANSIENT), Why.NAME, looked_at=True
    ),
    "a name that no owner may have": Attack(
        lambda p, a: _good(p, a, name="*"), Why.PERSON, looked_at=True
    ),
    "a condition that nobody understands": Attack(
        _swap(b"</saml:Conditions>", b"<saml:Condition/></saml:Conditions>"), Why.FORM
    ),
}
