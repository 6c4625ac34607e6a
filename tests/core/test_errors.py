"""The exceptions: one tree, as it is drawn."""

from __future__ import annotations

import inspect
import re

import pytest

from bearer_guard import errors
from bearer_guard.errors import (
    BearerGuardError,
    FeatureOff,
    IssueRefused,
    LifetimeTooLong,
    StoreUnavailable,
)

CLASSES = [
    value
    for _, value in inspect.getmembers(errors, inspect.isclass)
    if value.__module__ == errors.__name__
]


def drawn() -> dict[str, str | None]:
    """Each name of the picture at the module's top, and the one that it hangs on."""
    above: list[str] = []
    tree: dict[str, str | None] = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ((?:[ │├└─]{4})*)(\w+)", line)
        if found is not None:
            depth = len(found[1]) // 4
            tree[found[2]] = above[depth - 1] if depth else None
            above[depth:] = [found[2]]
    return tree


def test_the_picture_shows_every_exception_where_it_hangs() -> None:
    assert drawn() == {
        cls.__name__: None if cls is BearerGuardError else cls.__bases__[0].__name__
        for cls in CLASSES
    }


def test_every_exception_is_public() -> None:
    assert sorted(errors.__all__) == sorted(cls.__name__ for cls in CLASSES)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_exception_says_when_it_comes(cls: type[Exception]) -> None:
    assert cls.__doc__


def test_a_limit_is_an_invalid_request_and_a_feature_off_a_thing_not_allowed() -> None:
    assert [base.__name__ for base in LifetimeTooLong.__mro__[1:4]] == [
        "InvalidRequest",
        "IssueRefused",
        "BearerGuardError",
    ]
    assert issubclass(FeatureOff, IssueRefused)


def test_a_store_without_an_answer_is_no_refusal() -> None:
    assert not issubclass(StoreUnavailable, IssueRefused)
