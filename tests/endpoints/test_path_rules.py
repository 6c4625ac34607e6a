"""`_path_rules`: which scopes a path needs, in whatever way it is spelt."""

from __future__ import annotations

import pytest

from bearer_guard import ConfigurationError
from bearer_guard.endpoints._path_rules import PathRules

RULES = PathRules({"/admin/*": ["admin"], "/admin/keys": ["keys"], "/report": ["read", "see"]})


@pytest.mark.parametrize(
    ("path", "needed"),
    [
        ("/", set()),
        ("", set()),
        ("/administration", set()),
        ("/reports", set()),
        ("/report/x", set()),
        ("/report", {"read", "see"}),
        ("/report/", {"read", "see"}),
        ("/report;v=1", {"read", "see"}),
        ("/admin", {"admin"}),
        ("/admin/", {"admin"}),
        ("/admin/x/y", {"admin"}),
        ("/ADMIN/x", {"admin"}),
        ("/admin;v=1/x", {"admin"}),
        ("/admin/keys", {"admin", "keys"}),
        ("/Admin/Keys/", {"admin", "keys"}),
    ],
)
def test_all_rules_that_cover_a_path_count(path: str, needed: set[str]) -> None:
    assert RULES.needed(path) == needed


def test_rules_whose_paths_differ_in_spelling_only_add_up() -> None:
    rules = PathRules({"/a/*": ["x"], "/A/*": ["y"], "/b": ["x"], "/B/": ["y"]})
    assert rules.needed("/a/b") == rules.needed("/b") == {"x", "y"}


def test_a_parameter_may_be_part_of_a_rule() -> None:
    assert PathRules({"/a;v=1": ["x"]}).needed("/a;v=1") == {"x"}


def test_a_rule_for_everything() -> None:
    rules = PathRules({"/*": ["read"]})
    assert {*map(frozenset.__len__, map(rules.needed, ("/", "/a", "/a/b/", "//")))} == {1}


def test_there_may_be_none() -> None:
    assert not PathRules({})
    assert PathRules({}).needed("/a") == set()
    assert RULES


@pytest.mark.parametrize(
    ("path", "scopes", "problem"),
    [
        ("admin", ["a"], "begins with /"),
        ("/a*", ["a"], "only as /\\*"),
        ("/*/a", ["a"], "only as /\\*"),
        ("/a/../b", ["a"], "begins with /"),
        ("/a", [], "needs a list"),
        ("/a", "admin", "needs a list"),
        ("/a", ["ä" + chr(300)], "can't stand in a header"),
    ],
)
def test_what_cannot_be_is_a_configuration_error(
    path: str, scopes: list[str], problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        PathRules({path: scopes})
