"""`scan`: finds tokens that leaked into files."""

import io
import json
import os
from pathlib import Path
from uuid import uuid4

import pytest

from bearer_guard import Keyring
from bearer_guard.cli import scan
from bearer_guard.cli.scan import Leak, files_below, leaks_in
from bearer_guard.testing import a_token
from bearer_guard.token import TokenForm
from tests.cli.repository import Repository
from tests.cli.support import ROOT, Cli

TOKEN, RECORD = a_token(Keyring.generate())


def found(text: str) -> list[Leak]:
    return list(leaks_in(io.BytesIO(text.encode())))


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        (TOKEN, 1, 1),
        (f"token = '{TOKEN}'\n", 1, 10),
        (f"\n\r\nAuthorization: Bearer {TOKEN}\r\n", 3, 23),
        (f"https://host/?t={TOKEN}&x=1", 1, 17),
        (f"ü {TOKEN}", 1, 4),
    ],
    ids=["alone", "quoted", "header", "query", "after two bytes"],
)
def test_a_token_is_found_where_it_stands(text: str, line: int, column: int) -> None:
    assert found(text) == [Leak(line, column, RECORD.id)]


def test_tokens_of_all_keys_and_several_on_a_line_are_found() -> None:
    other, record = a_token(Keyring.generate())
    assert found(f"{TOKEN},{other}") == [
        Leak(1, 1, RECORD.id),
        Leak(1, len(TOKEN) + 2, record.id),
    ]


@pytest.mark.parametrize(
    "text",
    [
        TOKEN[:-1],
        TOKEN + "x",
        "x" + TOKEN,
        TOKEN[:-1] + ("a" if TOKEN[-1] != "a" else "b"),
        TOKEN.swapcase(),
        TokenForm("other").mint(uuid4(), Keyring.generate().tag),
        TOKEN[:40] + "\n" + TOKEN[40:],
    ],
    ids=["shorter", "longer", "inside", "altered", "other case", "other prefix", "broken"],
)
def test_what_only_looks_like_one_is_not_found(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize("at", range(0, 300, 7))
def test_a_token_in_a_very_long_line_is_found_once(
    at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the pieces end that are looked at together."""
    monkeypatch.setattr(scan, "_PIECE", 100)
    text = f"{'-' * at}{TOKEN}{'-' * (400 - at)}\n{TOKEN}\n"
    assert found(text) == [Leak(1, at + 1, RECORD.id), Leak(2, 1, RECORD.id)]


def test_files_are_gone_through_in_order_and_version_control_is_left_out(tmp_path: Path) -> None:
    for name in ("b/z", "b/a", "a", ".git/config", ".env"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "link").symlink_to("a")
    names = [str(file.relative_to(tmp_path)) for file in files_below(tmp_path)]
    assert names == [".env", "a", "b/a", "b/z"]
    assert list(files_below(tmp_path / "a")) == [tmp_path / "a"]


def test_it_prints_where_and_which_and_never_the_token(bare: Cli) -> None:
    Path("notes").mkdir()
    Path("notes/todo.txt").write_text(f"one\nuse {TOKEN}\n")
    result = bare("scan", ".")
    assert result.exit_code == 1
    assert result.stdout == f"notes/todo.txt:2:5 {RECORD.id}\n"
    assert "`bearer-guard token delete ID`" in result.stderr
    assert "has ended already" in result.stderr
    assert TOKEN not in result.output
    assert TOKEN not in bare("scan", ".", "--json").output


def test_the_json_of_it(bare: Cli) -> None:
    Path("a.txt").write_text(TOKEN)
    Path("b.bin").write_bytes(b"\0" + TOKEN.encode())
    assert json.loads(bare("scan", ".", "--json").stdout) == {
        "data": [{"path": "a.txt", "line": 1, "column": 1, "tokenId": str(RECORD.id)}],
        "files": 2,
        "skipped": 1,
        "unread": [],
    }


def test_a_name_writes_no_line_of_its_own_and_commands_no_terminal(bare: Cli) -> None:
    name = "a\n\x1b[31mb.txt"
    Path(name).write_text(TOKEN)
    Path(os.fsdecode(b"\xff.txt")).write_text(TOKEN)
    printed = bare("scan", ".").stdout
    assert printed == f"a\\n\\x1b[31mb.txt:1:1 {RECORD.id}\n\ufffd.txt:1:1 {RECORD.id}\n"
    found = json.loads(bare("scan", ".", "--json").stdout)["data"]
    assert [leak["path"] for leak in found] == [name, "\ufffd.txt"]


def test_without_tokens_it_is_done(bare: Cli) -> None:
    Path("a.txt").write_text("nothing")
    result = bare("scan", ".")
    assert (result.exit_code, result.stdout) == (0, "")


def test_a_path_that_is_not_there_is_a_usage_error(bare: Cli) -> None:
    assert bare("scan", "nosuch").exit_code == 2


def test_a_pipe_is_left_out(bare: Cli) -> None:
    os.mkfifo("pipe")
    assert bare.json("scan", ".")["skipped"] == 1


def test_a_file_that_cannot_be_read_is_no_clean_one(
    bare: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "files_below", lambda path: [path / "gone"])
    result = bare("scan", ".")
    assert result.exit_code == 2
    assert "gone can't be read." in result.stderr
    assert "nobody knows" in result.stderr


def test_the_whole_history_of_git_is_looked_through(bare: Cli) -> None:
    """A token that was taken out again, one in a deleted branch, one in a message, one lost."""
    texts, records = zip(*(a_token(Keyring.generate()) for _ in range(4)), strict=True)
    repository = Repository(bare.folder)
    first = repository.commit("one", **{"settings.py": f"# ours\ntoken = '{texts[0]}'\n"})
    repository.commit("two", **{"settings.py": f"# ours, too\ntoken = '{texts[0]}'\n"})
    repository.commit("three", **{"settings.py": "# ours\n"})
    repository.git("switch", "--quiet", "--create", "side")
    side = repository.commit("four", notes=texts[1])
    repository.git("switch", "--quiet", "main")
    repository.git("branch", "--quiet", "--delete", "--force", "side")
    told = repository.commit(f"try {texts[2]}", empty="")
    lost = repository.git("hash-object", "-w", "--stdin", stdin=texts[3].encode())
    assert bare("scan", ".").exit_code == 0
    result = bare("scan", "--history", ".")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert set(lines) == {
        f"{first}:settings.py:2:10 {records[0].id}",
        f"{side}:notes:1:1 {records[1].id}",
        f"{told}:{message_line(repository, told)}:5 {records[2].id}",
        f"{lost}:1:1 {records[3].id}",
    }
    assert len(lines) == 4
    assert not any(text in result.output for text in texts)
    rows = json.loads(bare("scan", "--history", ".", "--json").stdout)["data"]
    assert {row["tokenId"]: (row["commit"], row["path"]) for row in rows} == {
        str(records[0].id): (first, "settings.py"),
        str(records[1].id): (side, "notes"),
        str(records[2].id): (told, None),
        str(records[3].id): (lost, None),
    }


def message_line(repository: Repository, commit: str) -> int:
    """Which line of a commit as git keeps it is the first of its message."""
    head, _, _ = repository.git("cat-file", "commit", commit).partition("\n\n")
    return head.count("\n") + 3


def test_a_history_that_is_none_is_an_error(bare: Cli) -> None:
    result = bare("scan", "--history", ".")
    assert result.exit_code == 2
    assert "not a git repository" in result.stderr


@pytest.mark.parametrize("scanner", ["gitleaks", "trufflehog"])
def test_the_rules_for_another_scanner_are_printed_as_they_are_checked_in(
    scanner: str, bare: Cli
) -> None:
    (file,) = (ROOT / "rules").glob(f"{scanner}.*")
    result = bare("scan", "--rules", scanner)
    assert (result.exit_code, result.stdout) == (0, file.read_text())


def test_without_a_path_and_with_rules_of_nobody_it_is_a_usage_error(bare: Cli) -> None:
    assert bare("scan").exit_code == 2
    assert bare("scan", "--rules", "nosuch").exit_code == 2


def test_what_was_done_is_counted_in_words(bare: Cli) -> None:
    Path("a").write_text(f"{TOKEN}\n{TOKEN}\n")
    alone = bare("scan", "a").stderr
    assert "Scanned 1 file." in alone
    assert "1 token found" in alone
    Path("b").write_bytes(b"\0")
    assert (
        "Scanned 2 files, 1 of them binary or special, and so left out." in bare("scan", ".").stderr
    )
