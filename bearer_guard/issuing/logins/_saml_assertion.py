"""What a SAML response says, and whether it may be believed here and now: values, no I/O.

``read`` takes what ``_saml_filter`` let through. Whether the signature holds is another's to say.
Standards: SAML 2.0 core sections 2 and 3, profiles section 4.1.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from ._saml_filter import ASSERTION, SAML, SAMLP, Rejected, Why

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

__all__ = ["SKEW_MS", "Assertion", "Expected", "judge", "read"]

SKEW_MS: Final = 60_000  # that the provider's clock and ours may differ
_SUCCESS: Final = "urn:oasis:names:tc:SAML:2.0:status:Success"
_BEARER: Final = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
_TRANSIENT: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
# Conditions that are understood: an assertion with another is not valid (core section 2.5.1).
_CONDITIONS: Final = frozenset(
    f"{SAML}{name}" for name in ("AudienceRestriction", "OneTimeUse", "ProxyRestriction")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """What a response and its one assertion say. Times are Unix milliseconds.

    Attributes:
        id: Of the assertion.
        issuers: Of the response, where it names one, and of the assertion.
        destination: Of the response; ``None``: it names none.
        in_response_to: Of the response and of the confirmation; ``None``: nobody asked.
        recipient: Where the bearer may show it.
        audiences: For each restriction, whom it is for.
        not_before_ms: The latest time from which one of its parts is valid.
        not_after_ms: The earliest time from which one of its parts is valid no more.
        name: Of the subject, as it stands; ``None``: it has none that lasts.
        attributes: Each under its name and, where it has one, its friendly name.
    """

    id: str
    issuers: tuple[str, ...]
    destination: str | None
    in_response_to: tuple[str | None, str | None]
    recipient: str
    audiences: tuple[frozenset[str], ...]
    not_before_ms: int
    not_after_ms: int
    name: str | None
    attributes: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a response must say.

    Attributes:
        issuer: The provider's entity id.
        entity_id: Our own.
        acs_url: Where it must have been sent.
        request_id: The request that it answers; ``None``: none.
    """

    issuer: str
    entity_id: str
    acs_url: str
    request_id: str | None


def read(root: Element) -> Assertion:
    """What the response says.

    Raises:
        Rejected: It lacks a part that it needs, has one of another form, or is no success.
    """
    if root.get("Version") != "2.0":
        raise Rejected(Why.FORM)
    code = _only(_only(root, f"{SAMLP}Status"), f"{SAMLP}StatusCode")
    if code.get("Value") != _SUCCESS:
        raise Rejected(Why.STATUS)
    assertion = _only(root, ASSERTION)
    if assertion.get("Version") != "2.0":
        raise Rejected(Why.FORM)
    subject = _only(assertion, f"{SAML}Subject")
    bearer = _bearer(subject)
    conditions = _only(assertion, f"{SAML}Conditions")
    if any(child.tag not in _CONDITIONS for child in conditions):
        raise Rejected(Why.FORM)
    return Assertion(
        id=_attribute(assertion, "ID"),
        issuers=_issuers(root, assertion),
        destination=root.get("Destination"),
        in_response_to=(root.get("InResponseTo"), bearer.get("InResponseTo")),
        recipient=_attribute(bearer, "Recipient"),
        audiences=_audiences(conditions),
        not_before_ms=max(_begins(root, assertion, bearer, conditions)),
        not_after_ms=min(_ends(assertion, bearer, conditions)),
        name=_name(subject),
        attributes=_attributes(assertion),
    )


def judge(assertion: Assertion, expected: Expected, now_ms: int) -> None:
    """Make sure that what it says may be believed here and now.

    Raises:
        Rejected: It may not.
    """
    asked = {expected.request_id}
    for_us = all(expected.entity_id in audience for audience in assertion.audiences)
    wrong = {
        Why.ISSUER: set(assertion.issuers) != {expected.issuer},
        Why.DESTINATION: assertion.recipient != expected.acs_url
        or assertion.destination not in {None, expected.acs_url},
        Why.AUDIENCE: not assertion.audiences or not for_us,
        Why.NOT_ASKED: set(assertion.in_response_to) != asked,
        Why.TOO_EARLY: now_ms < assertion.not_before_ms - SKEW_MS,
        Why.TOO_LATE: now_ms >= assertion.not_after_ms + SKEW_MS,
    }
    for why, is_so in wrong.items():
        if is_so:
            raise Rejected(why)


def _issuers(root: Element, assertion: Element) -> tuple[str, ...]:
    of_response = root.findall(f"{SAML}Issuer")
    return tuple(_text(issuer) for issuer in (*of_response, _only(assertion, f"{SAML}Issuer")))


def _bearer(subject: Element) -> Element:
    """What the one confirmation says that whoever shows the assertion may use it."""
    confirmation = _only(subject, f"{SAML}SubjectConfirmation")
    if confirmation.get("Method") != _BEARER:
        raise Rejected(Why.FORM)
    return _only(confirmation, f"{SAML}SubjectConfirmationData")


def _audiences(conditions: Element) -> tuple[frozenset[str], ...]:
    return tuple(
        frozenset(_text(audience) for audience in restriction.iter(f"{SAML}Audience"))
        for restriction in conditions.iter(f"{SAML}AudienceRestriction")
    )


def _begins(*elements: Element) -> list[int]:
    """When its parts begin to be valid; when the response and the assertion were made, too."""
    named = [element.get(name) for element in elements for name in ("IssueInstant", "NotBefore")]
    return [_ms(text) for text in named if text is not None]


def _ends(assertion: Element, bearer: Element, conditions: Element) -> list[int]:
    statements = assertion.findall(f"{SAML}AuthnStatement")
    if not statements:
        raise Rejected(Why.FORM)
    named = [conditions.get("NotOnOrAfter")]
    named += [statement.get("SessionNotOnOrAfter") for statement in statements]
    required = _attribute(bearer, "NotOnOrAfter")  # profiles section 4.1.4.2
    return [_ms(text) for text in (required, *named) if text is not None]


def _name(subject: Element) -> str | None:
    names = subject.findall(f"{SAML}NameID")
    if len(names) > 1:
        raise Rejected(Why.FORM)
    return next((_text(name) for name in names if name.get("Format") != _TRANSIENT), None)


def _attributes(assertion: Element) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for attribute in assertion.iter(f"{SAML}Attribute"):
        values = tuple(_value(value) for value in attribute.findall(f"{SAML}AttributeValue"))
        for name in {attribute.get("Name"), attribute.get("FriendlyName")} - {None}:
            found[str(name)] = found.get(str(name), ()) + values
    return found


def _value(element: Element) -> str:
    """The text of a value; one with a structure of its own is no text and equals none."""
    return "" if len(element) else element.text or ""


def _only(parent: Element, tag: str) -> Element:
    found = parent.findall(tag)
    if len(found) != 1:
        raise Rejected(Why.FORM)
    return found[0]


def _attribute(element: Element, name: str) -> str:
    value = element.get(name)
    if not value:
        raise Rejected(Why.FORM)
    return value


def _text(element: Element) -> str:
    if len(element):
        raise Rejected(Why.FORM)
    return element.text or ""


def _ms(text: str) -> int:
    """An xs:dateTime in Unix milliseconds; SAML's are in UTC (core section 1.3.3)."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise Rejected(Why.FORM) from error
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return round(at.timestamp() * 1000)
