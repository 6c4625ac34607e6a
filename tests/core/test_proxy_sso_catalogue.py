"""The catalogue's data: well-formed, without contradictions, with its sources."""

import re
from typing import Final

from bearer_guard._proxy_sso_catalogue import ENTRIES, NEAR_MISSES, OPTIONAL, ORDINARY

ALL: Final = (*ENTRIES, *OPTIONAL)
NAMES: Final = [(entry.kind, name) for entry in ALL for name in entry.headers.split()]


def fold(name: str) -> str:
    """A second opinion on when two names are one, shorter and slower than the code's."""
    return re.sub("[^a-z0-9*]", "-", name.lower())


def test_every_name_is_a_token_with_a_star_at_its_end_at_most() -> None:
    assert [name for _, name in NAMES if not re.fullmatch(r"[A-Za-z0-9_-]+\*?", name)] == []


def test_every_prefix_has_a_star_and_no_exact_name_has() -> None:
    starred = {name for kind, name in NAMES if kind == "prefix" and not name.endswith("*")}
    assert starred | {name for kind, name in NAMES if kind == "exact" and "*" in name} == set()


def test_no_name_stands_twice() -> None:
    folded = [(kind, fold(name)) for kind, name in NAMES]
    assert sorted(set(folded)) == sorted(folded)


def test_no_group_is_both_on_and_off_by_default() -> None:
    assert {entry.group for entry in ENTRIES} & {entry.group for entry in OPTIONAL} == set()


def test_a_group_is_a_word_for_the_command_line() -> None:
    assert [entry.group for entry in ALL if not re.fullmatch("[a-z0-9-]+", entry.group)] == []


def test_names_are_shared_with_groups_that_exist() -> None:
    assert {group for e in ALL for group in e.also} - {entry.group for entry in ENTRIES} == set()


def test_only_what_is_unverified_has_no_source() -> None:
    odd = [entry for entry in ALL if (entry.source == "") != (entry.certainty == "unverified")]
    assert odd == []


def test_every_exception_lies_below_a_prefix() -> None:
    stems = tuple(fold(name).removesuffix("*") for kind, name in NAMES if kind == "prefix")
    exceptions = [fold(name) for kind, name in NAMES if kind == "except"]
    assert [name for name in exceptions if not name.startswith(stems)] == []


def test_ordinary_names_and_near_misses_are_apart() -> None:
    assert set(ORDINARY.lower().split()) & set(NEAR_MISSES.lower().split()) == set()


def test_no_name_is_long() -> None:
    """The code relies on it where it cuts a header's name."""
    assert max(len(name) for _, name in NAMES) < 64
