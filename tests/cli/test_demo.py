"""`demo`: the whole service on one machine, and lines to paste that do what they say."""

import base64
import json
import re
import signal
import subprocess
from pathlib import Path
from urllib.request import urlopen

from tests.cli.support import Cli, ask, serving
from tests.support import Running, free_port, require


def pasted(log: str) -> str:
    """The lines to paste, as they were printed."""
    return log.partition("Paste these into another terminal.\n")[2].partition("Stop with Ctrl-C")[0]


def passwords(child: Running) -> dict[str, str]:
    return dict(re.findall(r"^  (?:administrator|user) +(\w+) +(\S+)$", child.log(), re.MULTILINE))


def test_the_lines_cover_the_whole_life_of_a_token(bare: Cli) -> None:
    require("curl", "curl")
    with serving(bare.folder, "demo", env={"TMPDIR": str(bare.folder)}) as (_, child):
        script = pasted(child.log())
        done = subprocess.run(
            ["bash", "-eu", "-c", script], capture_output=True, text=True, timeout=60, check=True
        )
        (made, user, job, status, listed, refused) = re.split(
            r"\n(?!\n|\r)", done.stdout.strip(), maxsplit=5
        )
        token = json.loads(made)
        assert json.loads(user)["user"] == "alice"
        assert json.loads(job) == {"id": 1}
        assert json.loads(status) == "Complete"
        assert [row["tokenId"] for row in json.loads(listed)["data"]] == [
            token["tokenInfo"]["tokenId"]
        ]
        assert refused.startswith("HTTP/1.1 401 Unauthorized")
        assert "The access token was deleted" in refused
        assert token["tokenValue"] not in child.log()


def test_the_lines_can_be_pasted_into_any_shell(bare: Cli) -> None:
    """In zsh a comment is a command, and an apostrophe in it would open a text."""
    with serving(bare.folder, "demo", env={"TMPDIR": str(bare.folder)}) as (_, child):
        comments = re.findall(r"^#.*$", pasted(child.log()), re.MULTILINE)
    assert comments
    assert not [comment for comment in comments if re.search(r"[\"'`$;&|<>()]", comment)]


def test_the_page_is_there(bare: Cli) -> None:
    with serving(bare.folder, "demo", env={"TMPDIR": str(bare.folder)}) as (port, child):
        assert f"The Access Tokens page: http://127.0.0.1:{port}/access-tokens" in child.log()
        with urlopen(f"http://127.0.0.1:{port}/login") as answer:
            assert b"Access Tokens" in answer.read()


def test_everything_is_gone_with_it(bare: Cli) -> None:
    with serving(bare.folder, "demo", env={"TMPDIR": str(bare.folder)}) as (port, child):
        (folder,) = Path(bare.folder).iterdir()
        assert {file.name for file in folder.iterdir()} >= {"demo.db", "bearer-guard.keys"}
        assert ask(port, "/")[0] == 200
        assert ask(port, "/whoami")[0] == 401
        child.process.send_signal(signal.SIGTERM)
        assert child.process.wait(30) == 0
    assert list(Path(bare.folder).iterdir()) == []


def test_a_folder_is_kept_and_its_passwords_are_new_each_time(bare: Cli) -> None:
    first = {}
    for _ in range(2):
        with serving(bare.folder, "demo", "--dir", "kept folder") as (port, child):
            known = passwords(child)
            assert set(known) == {"admin", "alice"}
            assert all(len(password) >= 16 for password in known.values())
            assert known.items().isdisjoint(first.items())
            first = known
            for name, password in known.items():
                assert flags_seen_by(port, name, password) == (200 if name == "admin" else 403)
    assert Path("kept folder/demo.db").exists()


def flags_seen_by(port: int, name: str, password: str) -> int:
    """The status with which the list of accounts, which is for administrators, is answered."""

    credentials = base64.b64encode(f"{name}:{password}".encode()).decode()
    return ask(port, "/v4/users", headers={"authorization": f"Basic {credentials}"})[0]


def test_what_stands_in_the_working_directory_is_not_the_demos(bare: Cli) -> None:
    (bare.folder / "bearer-guard.toml").write_text(
        '[serve]\nprefix = "/other"\n[logins.password]\nenabled = false\n'
    )
    with serving(bare.folder, "demo", env={"TMPDIR": str(bare.folder)}) as (port, child):
        assert flags_seen_by(port, "admin", passwords(child)["admin"]) == 200


def test_a_folder_that_cannot_be_made_is_said(bare: Cli) -> None:
    Path("file").touch()
    result = bare("demo", "--port", str(free_port()), "--dir", "file/folder")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "file/folder can't be made: Not a directory" in result.stderr
