"""What is told of results: on the screen, as JSON, in documents."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks._markdown import fill, markdown
from benchmarks._report import Table, load, tell

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


@dataclass
class Row:
    name: str
    ns: int
    ok: bool


TABLE = Table("times", [Row("guard", 1234, ok=True)], ["one remark"])


def test_results_are_kept_with_the_machine_and_the_date(tmp_path: Path) -> None:
    tell("some", [TABLE], rounds=3, out=tmp_path / "new" / "some.json")
    found = load("some", tmp_path / "new")
    assert found is not None
    assert {"date", "machine", "cpu", "cores", "others", "python", "versions"} <= set(found)
    assert found["versions"]["starlette"]
    assert (found["title"], found["rounds"]) == ("some", 3)
    assert found["tables"][0]["rows"] == [{"name": "guard", "ns": 1234, "ok": True}]
    assert load("other", tmp_path) is None


def test_people_get_a_table_and_programs_json(capsys: pytest.CaptureFixture[str]) -> None:
    tell("some", [TABLE, Table("none", ())], rounds=3)
    shown = capsys.readouterr().out
    assert [part in shown for part in ("1,234", "yes", "one remark", "none")] == [True] * 4
    tell("some", [TABLE], rounds=3, as_json=True)
    assert json.loads(capsys.readouterr().out)["tables"][0]["title"] == "times"


def test_documents_get_the_tables_between_their_marks(tmp_path: Path) -> None:
    tell("some", [TABLE], rounds=3, out=tmp_path / "some.json")
    results = load("some", tmp_path)
    assert results is not None
    marked = "a\n<!-- results: some -->\nold\n<!-- end of results -->\nb\n"
    other = marked.replace("some", "other")
    tables = {"some": markdown(results)}
    once = fill(marked + other, tables)
    assert "| guard | 1,234 | yes |" in once
    assert "old" not in once.partition("b\n")[0]
    assert once.endswith(other)
    assert fill(once, tables) == once
    assert "- one remark" in markdown(results)
