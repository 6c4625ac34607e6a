"""`_saml_filter`: only the plainest kind of response gets through. Attacks: see `test_saml`."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bearer_guard.issuing.logins._saml_filter import SAML, Rejected, Why, decode, sift

HEAD = (
    '<p:Response xmlns:p="urn:oasis:names:tc:SAML:2.0:protocol"'
    ' xmlns:a="urn:oasis:names:tc:SAML:2.0:assertion"'
    ' xmlns:d="http://www.w3.org/2000/09/xmldsig#" ID="r">'
)
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
ENC = "http://www.w3.org/2001/04/xmlenc#"
EXC = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"


def signature(
    *,
    over: str = "#a",
    signing: str = f"{MORE}rsa-sha256",
    digest: str = f"{ENC}sha256",
    canonical: str = EXC,
    transform: str = EXC,
    more: str = "",
) -> str:
    return (
        f'<d:Signature><d:SignedInfo><d:CanonicalizationMethod Algorithm="{canonical}"/>'
        f'<d:SignatureMethod Algorithm="{signing}"/><d:Reference URI="{over}"><d:Transforms>'
        f'<d:Transform Algorithm="{ENVELOPED}"/><d:Transform Algorithm="{transform}"/>'
        f'</d:Transforms><d:DigestMethod Algorithm="{digest}"/></d:Reference></d:SignedInfo>'
        f"{more}</d:Signature>"
    )


def response(inner: str | None = None, *, before: str = "", declaration: str = "") -> bytes:
    inner = f'<a:Assertion ID="a">{signature()}</a:Assertion>' if inner is None else inner
    return f"{declaration}{HEAD}{before}{inner}</p:Response>".encode()


def why(document: bytes) -> Why:
    with pytest.raises(Rejected) as refused:
        sift(document)
    return refused.value.why


def test_a_plain_signed_response_gets_through() -> None:
    assert sift(response()).find(f"{SAML}Assertion") is not None


@pytest.mark.parametrize(
    "declaration", ['<?xml version="1.0"?>', '<?xml version="1.0" encoding="utf-8"?>']
)
def test_it_may_say_that_it_is_utf_8(declaration: str) -> None:
    sift(response(declaration=declaration))


@pytest.mark.parametrize("name", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_good_algorithms_get_through(kind: str, name: str) -> None:
    digest = f"{MORE}sha384" if name == "sha384" else f"{ENC}{name}"
    signed = signature(signing=f"{MORE}{kind}-{name}", digest=digest)
    sift(response(f'<a:Assertion ID="a">{signed}</a:Assertion>'))


@pytest.mark.parametrize(
    "change",
    [
        {"signing": "http://www.w3.org/2000/09/xmldsig#rsa-sha1"},
        {"signing": "http://www.w3.org/2000/09/xmldsig#dsa-sha1"},
        {"signing": f"{MORE}rsa-md5"},
        {"signing": f"{MORE}hmac-sha256"},
        {"signing": ""},
        {"signing": f" {MORE}rsa-sha256"},
        {"digest": "http://www.w3.org/2000/09/xmldsig#sha1"},
        {"digest": f"{MORE}md5"},
        {"canonical": "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"},
        {"canonical": f"{EXC}WithComments"},
        {"transform": "http://www.w3.org/TR/1999/REC-xslt-19991116"},
        {"transform": "http://www.w3.org/2002/06/xmldsig-filter2"},
        {"transform": "http://www.w3.org/2000/09/xmldsig#base64"},
        {"transform": ""},
    ],
    ids=str,
)
def test_every_other_algorithm_is_refused(change: dict[str, str]) -> None:
    signed = signature(**change)
    assert why(response(f'<a:Assertion ID="a">{signed}</a:Assertion>')) is Why.ALGORITHM


def test_an_algorithm_without_a_name_is_refused() -> None:
    signed = signature().replace(f' Algorithm="{ENC}sha256"', "")
    assert why(response(f'<a:Assertion ID="a">{signed}</a:Assertion>')) is Why.ALGORITHM


def test_canonicalisation_may_be_told_of_prefixes() -> None:
    told = f'<x:InclusiveNamespaces xmlns:x="{EXC}" PrefixList="xs"/></d:Transform>'
    signed = signature().replace(
        f'<d:Transform Algorithm="{EXC}"/>', f'<d:Transform Algorithm="{EXC}">{told}'
    )
    sift(response(f'<a:Assertion ID="a">{signed}</a:Assertion>'))


@pytest.mark.parametrize(
    "part", ["Object", "Manifest", "RetrievalMethod", "XPath", "PGPData", "SPKIData", "x"]
)
def test_a_signature_carries_nothing_else(part: str) -> None:
    signed = signature(more=f"<d:{part}/>")
    assert why(response(f'<a:Assertion ID="a">{signed}</a:Assertion>')) is Why.SIGNATURE_PART


def test_the_key_may_be_shown() -> None:
    shown = (
        "<d:KeyInfo><d:X509Data><d:X509Certificate>x</d:X509Certificate></d:X509Data></d:KeyInfo>"
    )
    sift(response(f'<a:Assertion ID="a">{signature(more=shown)}</a:Assertion>'))


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("", Why.NOT_ONE_ASSERTION),
        (f'<a:Assertion ID="a">{signature()}</a:Assertion>' * 2, Why.SAME_ID),
        (
            f'<a:Assertion ID="a">{signature()}</a:Assertion><a:Assertion ID="b"/>',
            Why.NOT_ONE_ASSERTION,
        ),
        (f'<x><a:Assertion ID="a">{signature()}</a:Assertion></x>', Why.NOT_ONE_ASSERTION),
        ('<a:Assertion ID="a"/>', Why.UNSIGNED),
        (f'<a:Assertion ID="a"><x>{signature()}</x></a:Assertion>', Why.STRAY_SIGNATURE),
        (f'<a:Assertion ID="a">{signature()}{signature()}</a:Assertion>', Why.STRAY_SIGNATURE),
        (f'<a:Assertion ID="a">{signature(over="#r")}</a:Assertion>', Why.STRAY_SIGNATURE),
        (f'<a:Assertion ID="a">{signature(over="")}</a:Assertion>', Why.STRAY_SIGNATURE),
        (f"<a:Assertion>{signature()}</a:Assertion>", Why.STRAY_SIGNATURE),
        (
            f'{signature(over="#a")}<a:Assertion ID="a">{signature()}</a:Assertion>',
            Why.STRAY_SIGNATURE,
        ),
        (f'<a:Assertion ID="r">{signature(over="#r")}</a:Assertion>', Why.SAME_ID),
        (f'<x Id="a"/><a:Assertion ID="a">{signature()}</a:Assertion>', Why.SAME_ID),
        (f'<x xml:id="a"/><a:Assertion ID="a">{signature()}</a:Assertion>', Why.SAME_ID),
        (f'<a:Assertion ID="a">{signature(over="#A")}</a:Assertion>', Why.STRAY_SIGNATURE),
    ],
)
def test_one_assertion_and_its_own_signature(inner: str, expected: Why) -> None:
    assert why(response(inner)) is expected


def test_the_response_may_be_signed_too() -> None:
    inner = f'{signature(over="#r")}<a:Assertion ID="a">{signature()}</a:Assertion>'
    sift(response(inner))


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (response(before="<!-- x -->"), Why.COMMENT),
        (response() + b"<!-- x -->", Why.COMMENT),
        (response(declaration="<!-- x -->"), Why.COMMENT),
        (response(before="<?x y?>"), Why.COMMENT),
        (response(declaration='<?xml-stylesheet href="x"?>'), Why.COMMENT),
        (response(declaration="<!DOCTYPE x>"), Why.DTD),
        (response(declaration='<!DOCTYPE x SYSTEM "http://127.0.0.1:9/">'), Why.DTD),
        (response(declaration='<?xml version="1.0" encoding="latin-1"?>'), Why.NOT_UTF8),
        (response(declaration="<?xml version='1.0'\n encoding = 'UTF-16'?>"), Why.NOT_UTF8),
        (response().replace(b'"r"', b'"\xff"'), Why.NOT_UTF8),
        (b"\xef\xbb\xbf" * 2 + response(), Why.NOT_XML),
        (response() + b"x", Why.NOT_XML),
        (response() * 2, Why.NOT_XML),
        (response(before="<a b='1' b='2'/>"), Why.NOT_XML),
        (response(before="&x;"), Why.NOT_XML),
        (b"", Why.NOT_XML),
        (b"\x00", Why.NOT_XML),
        (response(before=" " * 300_000), Why.TOO_LARGE),
        (response(before="<x>" * 40 + "</x>" * 40), Why.TOO_LARGE),
        (response(before="<x/>" * 6000), Why.TOO_LARGE),
    ],
)
def test_what_is_not_plain_is_refused(document: bytes, expected: Why) -> None:
    assert why(document) is expected


@given(st.binary(max_size=200))
def test_whatever_comes_is_refused_and_nothing_else_happens(junk: bytes) -> None:
    for document in (junk, response() + junk.strip() + b"<", HEAD.encode() + junk):
        with pytest.raises(Rejected):
            sift(document)


@given(st.binary(max_size=200))
def test_base64_comes_back_as_it_was(document: bytes) -> None:
    assert decode(base64.encodebytes(document).decode()) == document


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", Why.NOT_BASE64),
        ("====", Why.NOT_BASE64),
        ("\u00e9", Why.NOT_BASE64),
        ("A" * 600_000, Why.TOO_LARGE),
    ],
)
def test_what_is_no_base64_is_refused(text: str, expected: Why) -> None:
    with pytest.raises(Rejected) as refused:
        decode(text)
    assert refused.value.why is expected
