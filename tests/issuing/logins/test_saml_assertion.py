"""`_saml_assertion`: what a response says, and whether it is for us, here and now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from defusedxml.ElementTree import fromstring

from bearer_guard.issuing.logins._saml_assertion import Assertion, Expected, judge, read
from bearer_guard.issuing.logins._saml_filter import Rejected, Why

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

IDP = "https://idp.example.com/metadata"
US = "https://app.example.com/saml"
ACS = "https://app.example.com/saml/acs"
NOON_MS = 1_795_521_600_000  # 2026-11-24T12:00:00Z
EXPECTED = Expected(issuer=IDP, entity_id=US, acs_url=ACS, request_id="q")

RESPONSE = f"""
<p:Response xmlns:p="urn:oasis:names:tc:SAML:2.0:protocol"
    xmlns:a="urn:oasis:names:tc:SAML:2.0:assertion" ID="r" Version="2.0" InResponseTo="q"
    IssueInstant="2026-11-24T12:00:00.1234567Z" Destination="{ACS}">
  <a:Issuer>{IDP}</a:Issuer>
  <p:Status><p:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></p:Status>
  <a:Assertion ID="a" Version="2.0" IssueInstant="2026-11-24T12:00:00Z">
    <a:Issuer>{IDP}</a:Issuer>
    <a:Subject>
      <a:NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified">alice</a:NameID>
      <a:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">
        <a:SubjectConfirmationData InResponseTo="q" Recipient="{ACS}"
            NotOnOrAfter="2026-11-24T12:05:00Z"/>
      </a:SubjectConfirmation>
    </a:Subject>
    <a:Conditions NotBefore="2026-11-24T11:59:00Z" NotOnOrAfter="2026-11-24T13:00:00+00:00">
      <a:AudienceRestriction><a:Audience>{US}</a:Audience></a:AudienceRestriction>
      <a:OneTimeUse/>
    </a:Conditions>
    <a:AuthnStatement AuthnInstant="2026-11-24T12:00:00Z"/>
    <a:AttributeStatement>
      <a:Attribute Name="urn:x:1" FriendlyName="uid"><a:AttributeValue>al</a:AttributeValue>
      </a:Attribute>
      <a:Attribute Name="groups"><a:AttributeValue>x</a:AttributeValue>
        <a:AttributeValue>y<z/></a:AttributeValue><a:AttributeValue/></a:Attribute>
    </a:AttributeStatement>
  </a:Assertion>
</p:Response>"""


def changed(old: str, new: str) -> Element:
    assert old in RESPONSE
    return fromstring(RESPONSE.replace(old, new, 1))


def test_a_response_says_all_this() -> None:
    assert read(fromstring(RESPONSE)) == Assertion(
        id="a",
        issuers=(IDP, IDP),
        destination=ACS,
        in_response_to=("q", "q"),
        recipient=ACS,
        audiences=(frozenset({US}),),
        not_before_ms=NOON_MS + 123,
        not_after_ms=NOON_MS + 5 * 60_000,
        name="alice",
        attributes={"urn:x:1": ("al",), "uid": ("al",), "groups": ("x", "", "")},
    )


GOOD = read(fromstring(RESPONSE))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('ID="r" Version="2.0"', 'ID="r" Version="1.1"', Why.FORM),
        ('ID="a" Version="2.0"', 'ID="a"', Why.FORM),
        ('ID="a" ', "", Why.FORM),
        ("status:Success", "status:Requester", Why.STATUS),
        ("<p:Status>", "<p:Status/><p:Status>", Why.FORM),
        (f"<a:Issuer>{IDP}</a:Issuer>\n    <a:Subject>", "<a:Subject>", Why.FORM),
        (f"<a:Issuer>{IDP}<", "<a:Issuer><x/><", Why.FORM),
        ("cm:bearer", "cm:holder-of-key", Why.FORM),
        ("cm:bearer", "cm:sender-vouches", Why.FORM),
        ('NotOnOrAfter="2026-11-24T12:05:00Z"', "", Why.FORM),
        (f'Recipient="{ACS}"', "", Why.FORM),
        ("<a:OneTimeUse/>", '<a:Condition type="x"/>', Why.FORM),
        ("<a:AuthnStatement", "<a:AuthzDecisionStatement", Why.FORM),
        ("2026-11-24T11:59:00Z", "yesterday", Why.FORM),
        ("2026-11-24T11:59:00Z", "", Why.FORM),
        ("</a:NameID>", "</a:NameID><a:NameID>root</a:NameID>", Why.FORM),
    ],
)
def test_what_lacks_a_part_is_refused(old: str, new: str, expected: Why) -> None:
    with pytest.raises(Rejected) as refused:
        read(changed(old, new))
    assert refused.value.why is expected


def test_a_name_for_this_once_is_no_name() -> None:
    assert (
        read(changed("1.1:nameid-format:unspecified", "2.0:nameid-format:transient")).name is None
    )


def test_the_shortest_validity_counts() -> None:
    later = read(changed("12:05:00Z", "14:00:00Z"))
    assert later.not_after_ms == NOON_MS + 3_600_000
    session = read(changed('AuthnInstant="', 'SessionNotOnOrAfter="2026-11-24T12:01:00Z" x="'))
    assert session.not_after_ms == NOON_MS + 60_000


def test_the_good_one_is_believed() -> None:
    judge(GOOD, EXPECTED, NOON_MS)
    judge(replace(GOOD, destination=None), EXPECTED, NOON_MS)
    judge(replace(GOOD, issuers=(IDP,)), EXPECTED, NOON_MS)
    unasked = replace(GOOD, in_response_to=(None, None))
    judge(unasked, replace(EXPECTED, request_id=None), NOON_MS)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"issuers": (IDP, "x")}, Why.ISSUER),
        ({"issuers": ("x", IDP)}, Why.ISSUER),
        ({"issuers": (f"{IDP} ",)}, Why.ISSUER),
        ({"destination": f"{ACS}/"}, Why.DESTINATION),
        ({"destination": ""}, Why.DESTINATION),
        ({"recipient": "x"}, Why.DESTINATION),
        ({"audiences": ()}, Why.AUDIENCE),
        ({"audiences": (frozenset(),)}, Why.AUDIENCE),
        ({"audiences": (frozenset({US}), frozenset({"x"}))}, Why.AUDIENCE),
        ({"in_response_to": ("q", None)}, Why.NOT_ASKED),
        ({"in_response_to": (None, "q")}, Why.NOT_ASKED),
        ({"in_response_to": ("x", "x")}, Why.NOT_ASKED),
        ({"in_response_to": (None, None)}, Why.NOT_ASKED),
        ({"not_before_ms": NOON_MS + 60_001}, Why.TOO_EARLY),
        ({"not_after_ms": NOON_MS - 60_000}, Why.TOO_LATE),
    ],
    ids=str,
)
def test_what_is_not_for_us_here_and_now_is_refused(
    change: dict[str, object], expected: Why
) -> None:
    with pytest.raises(Rejected) as refused:
        judge(replace(GOOD, **change), EXPECTED, NOON_MS)  # type: ignore[arg-type]
    assert refused.value.why is expected


def test_an_answer_to_no_question_is_refused_where_one_was_asked() -> None:
    with pytest.raises(Rejected):
        judge(GOOD, replace(EXPECTED, request_id=None), NOON_MS)


@pytest.mark.parametrize(
    "change", [{"not_before_ms": NOON_MS + 60_000}, {"not_after_ms": NOON_MS - 59_999}]
)
def test_clocks_may_differ_by_a_minute(change: dict[str, int]) -> None:
    judge(replace(GOOD, **change), EXPECTED, NOON_MS)  # type: ignore[arg-type]
