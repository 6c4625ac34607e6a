"""What the audit is told: plain JSON, and never a secret."""

from __future__ import annotations

import json
import logging
from dataclasses import FrozenInstanceError, fields
from typing import TYPE_CHECKING, Final
from uuid import UUID

import pytest

from bearer_guard import events
from bearer_guard.events import (
    AccountChanged,
    Event,
    LogInFailed,
    LogInSucceeded,
    RequestRefused,
    SettingsChanged,
    TokenCreated,
    TokenEnded,
    TokensEnded,
    emit,
    log_event,
)
from bearer_guard.keyring import Keyring
from bearer_guard.testing import a_record, a_token
from bearer_guard.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

AT: Final = 1_795_528_800_007
ID: Final = UUID("0bc1d49f-5475-4c62-a0ba-6ad269389ada")
EVENTS: Final[list[Event]] = [
    TokenCreated(
        at_ms=AT,
        token_id=ID,
        owner="alice",
        proven_by="password",
        expires_ms=None,
        scopes=("read",),
        parent=ID,
    ),
    TokenEnded(at_ms=AT, token_id=ID, owner="alice", by="root", reason="deleted", ended_ms=AT),
    TokensEnded(at_ms=AT, owner="alice", by="root", reason="deleted", count=3),
    RequestRefused(at_ms=AT, reason=Reason.ENDED.value, token_id=ID, owner="alice", client="::1"),
    SettingsChanged(at_ms=AT, by="root", settings={"enabled": False}),
    AccountChanged(at_ms=AT, account="alice", by="root", changes={"disabled": True}),
    LogInSucceeded(at_ms=AT, account="alice", method="password", client="::1"),
    LogInFailed(at_ms=AT, account="alice", method="ldap", limited=True),
]
KINDS: Final = [
    value
    for value in vars(events).values()
    if isinstance(value, type) and issubclass(value, Event) and value is not Event
]


def kind(event: Event) -> str:
    return type(event).__name__


@pytest.fixture
def audit(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, "bearer_guard.audit"):
        yield caplog


def test_every_kind_of_event_is_tried_here() -> None:
    assert {type(event) for event in EVENTS} == set(KINDS)


def test_every_kind_of_event_has_a_name_of_its_own() -> None:
    names = [cls.name for cls in KINDS]
    assert len(set(names)) == len(names)
    assert Event.name not in names


@pytest.mark.parametrize("event", EVENTS, ids=kind)
def test_an_event_can_not_be_changed(event: Event) -> None:
    with pytest.raises(FrozenInstanceError):
        event.at_ms = 0  # type: ignore[misc]


@pytest.mark.parametrize("event", EVENTS, ids=kind)
def test_an_event_is_plain_json_with_its_name_and_time(event: Event) -> None:
    told = json.loads(json.dumps(event.fields()))
    assert (told.pop("event"), told.pop("at")) == (event.name, "2026-11-24T14:00:00.007Z")
    assert set(told) == {field.name for field in fields(event)} - {"at_ms"}


@pytest.mark.parametrize(
    ("at_ms", "told"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (AT + 992, "2026-11-24T14:00:00.999Z"),
        (AT + 993, "2026-11-24T14:00:01.000Z"),
    ],
)
def test_the_time_of_an_event_is_exact_to_the_millisecond(at_ms: int, told: str) -> None:
    assert TokensEnded(at_ms=at_ms, owner="", by="", reason="", count=0).fields()["at"] == told


def test_ids_are_told_in_their_usual_form() -> None:
    assert EVENTS[0].fields() == {
        "event": "token.created",
        "at": "2026-11-24T14:00:00.007Z",
        "token_id": str(ID),
        "owner": "alice",
        "proven_by": "password",
        "expires_ms": None,
        "scopes": ("read",),
        "parent": str(ID),
    }


@pytest.mark.parametrize("event", EVENTS, ids=kind)
def test_an_event_is_logged_as_one_line_of_json(
    event: Event, audit: pytest.LogCaptureFixture
) -> None:
    log_event(event)
    (record,) = audit.records
    assert json.loads(record.getMessage()) == json.loads(json.dumps(event.fields()))


def test_refusals_and_failed_log_ins_are_warnings(audit: pytest.LogCaptureFixture) -> None:
    for event in EVENTS:
        log_event(event)
    warned = {json.loads(r.getMessage())["event"] for r in audit.records if r.levelname != "INFO"}
    assert warned == {"request.refused", "login.failed"}


def test_a_name_with_line_breaks_makes_no_line_of_its_own(audit: pytest.LogCaptureFixture) -> None:
    name = 'eve\n{"event": "login.succeeded"}\r\u2028\x1b[2J'
    log_event(LogInFailed(at_ms=AT, account=name, method="password"))
    line = audit.records[0].getMessage()
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["account"] == name


def test_what_nobody_listens_to_is_not_written_out(caplog: pytest.LogCaptureFixture) -> None:
    class Unwritable(Event):
        def fields(self) -> dict[str, object]:
            pytest.fail("nobody listens")

    with caplog.at_level(logging.ERROR, "bearer_guard.audit"):
        log_event(Unwritable(at_ms=AT))
    assert caplog.records == []


def test_everyone_is_told() -> None:
    one: list[Event] = []
    other: list[Event] = []
    emit([one.append, other.append], EVENTS[0])
    assert one == other == [EVENTS[0]]


def test_a_listener_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    told: list[Event] = []

    def broken(_event: Event) -> None:
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR, "bearer_guard"):
        emit([told.append, broken, told.append], EVENTS[0])
    assert told == [EVENTS[0], EVENTS[0]]
    assert [record.getMessage() for record in caplog.records] == ["an audit listener failed"]


def test_invariant_12_an_event_of_a_token_holds_no_part_of_it() -> None:
    """All that an event can take of a record is what anyone may see."""
    keyring = Keyring.generate()
    text, record = a_token(keyring, a_record(description="a secret of the owner's"))
    event = TokenCreated(
        at_ms=AT,
        token_id=record.id,
        owner=record.owner,
        proven_by="password",
        expires_ms=record.expires_ms,
        scopes=record.scopes,
        parent=record.parent,
    )
    for shown in (repr(event), json.dumps(event.fields())):
        secrets = [text[25:58], text[58:68], record.digest.hex(), record.seal.hex()]
        assert not [secret for secret in secrets if secret in shown]


@pytest.mark.parametrize("cls", KINDS, ids=lambda cls: cls.__name__)
def test_invariant_12_no_event_has_a_field_for_a_secret(cls: type[Event]) -> None:
    words = {"token", "value", "password", "password_hash", "key", "digest", "seal", "headers"}
    assert words & {field.name for field in fields(cls)} == set()
