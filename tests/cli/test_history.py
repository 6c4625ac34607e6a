"""`_history`: every object that git keeps, and where it came in."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from bearer_guard import ConfigurationError
from bearer_guard.cli._history import Part, Place, objects_of, places_of
from tests.cli.repository import Repository

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def contents(repository: Repository) -> dict[bytes, str]:
    """The names of all objects, by what they hold."""
    return {
        b"".join(iter(lambda: part.readline(7), b"")): name  # noqa: B023 - used at once
        for name, part in objects_of(repository.folder)
    }


def test_files_of_all_branches_and_of_none_are_there(repository: Repository) -> None:
    repository.commit("one", a="first\n")
    repository.commit("two", a="second\nand no end", b="")
    repository.git("switch", "--quiet", "--create", "side")
    repository.commit("three", c="third\n")
    repository.git("switch", "--quiet", "main")
    repository.git("branch", "--quiet", "--delete", "--force", "side")
    repository.git("hash-object", "-w", "--stdin", stdin=b"in no commit\n")
    found = contents(repository)
    for text in (b"first\n", b"second\nand no end", b"", b"third\n", b"in no commit\n"):
        assert text in found
    assert any(text.endswith(b"\n\nthree\n") for text in found)  # a commit's words


def test_packed_objects_are_there_too(repository: Repository) -> None:
    repository.commit("one", a="first\n")
    repository.commit("two", a="second\n")
    repository.git("gc", "--quiet")
    assert {b"first\n", b"second\n"} <= contents(repository).keys()


def test_what_nobody_reads_of_an_object_is_skipped(repository: Repository) -> None:
    repository.commit("one", a="first\n" * 1000, b="second\n")
    names = [name for name, _ in objects_of(repository.folder)]
    assert sorted(names) == sorted(contents(repository).values())


def test_a_place_is_where_it_came_in_first(repository: Repository) -> None:
    first = repository.commit("one", a="x\n")
    second = repository.commit("two", **{"b ü\n:c": "x\n", "d": "y\n"})
    (repository.folder / "a").unlink()
    repository.commit("three")
    found = contents(repository)
    lost = repository.git("hash-object", "-w", "--stdin", stdin=b"z\n")
    names = {found[b"x\n"], found[b"y\n"], second, lost}
    assert places_of(repository.folder, names) == {
        found[b"x\n"]: Place(first, "a"),
        found[b"y\n"]: Place(second, "d"),
        second: Place(second, ""),
    }


def test_a_place_in_a_merge_and_in_what_only_the_reflog_knows(repository: Repository) -> None:
    repository.commit("one", a="1\n")
    repository.git("switch", "--quiet", "--create", "side")
    repository.commit("two", b="2\n")
    repository.git("switch", "--quiet", "main")
    repository.commit("three", c="3\n")
    repository.git("merge", "--quiet", "--no-commit", "--no-ff", "side")
    merge = repository.commit("four", evil="4\n")
    gone = repository.commit("five", d="5\n")
    repository.git("reset", "--quiet", "--hard", "HEAD~")
    found = contents(repository)
    places = places_of(repository.folder, set(found.values()))
    assert places[found[b"4\n"]] == Place(merge, "evil")
    assert places[found[b"5\n"]] == Place(gone, "d")


def test_an_empty_repository_has_nothing(repository: Repository) -> None:
    assert contents(repository) == {}
    assert places_of(repository.folder, {"x"}) == {}


def test_what_is_no_repository_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not a git repository"):
        list(objects_of(tmp_path))


def test_without_git_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="git is not installed"):
        list(objects_of(tmp_path))


def test_a_repositorys_own_settings_run_nothing(repository: Repository, tmp_path: Path) -> None:
    repository.commit("one", a="1\n", **{".gitattributes": "* diff=x\n"})
    for name in ("core.fsmonitor", "core.pager", "diff.external", "diff.x.command"):
        repository.git("config", name, f"touch {tmp_path}/run-{name}")
    repository.git("config", "diff.x.textconv", f"touch {tmp_path}/run-textconv")
    places_of(repository.folder, {*contents(repository).values()})
    assert list(tmp_path.glob("run-*")) == []


def test_a_part_ends_where_it_ends() -> None:
    stream = io.BytesIO(b"one\ntwothree")
    part = Part(stream, 7)
    assert [part.readline(100), part.readline(2), part.readline(100)] == [b"one\n", b"tw", b"o"]
    assert part.readline(100) == b""
    assert stream.read() == b"three"
