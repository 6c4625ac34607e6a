"""The rule files: what they say, and what gitleaks itself finds by them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bearer_guard import ConfigurationError, Keyring
from bearer_guard.integrations.scanner_rules import gitleaks_rules, trufflehog_rules
from bearer_guard.testing import a_token
from bearer_guard.token import TokenForm

if TYPE_CHECKING:
    from collections.abc import Callable

RULES: Final = Path(__file__).parents[2] / "rules"
KEYRING: Final = Keyring.generate()
PREFIXES: Final = st.from_regex(r"[a-z][a-z0-9]{0,15}", fullmatch=True)


def of_gitleaks(text: str) -> tuple[str, list[str]]:
    """The pattern and the keywords."""
    (rule,) = tomllib.loads(text)["rules"]
    return rule["regex"], rule["keywords"]


def of_trufflehog(text: str) -> tuple[str, list[str]]:
    (detector,) = yaml.safe_load(text)["detectors"]
    (pattern,) = detector["regex"].values()
    return pattern, detector["keywords"]


READERS: Final = {gitleaks_rules: of_gitleaks, trufflehog_rules: of_trufflehog}
EACH: Final = pytest.mark.parametrize(("write", "read"), READERS.items())


def test_the_files_are_those_of_the_default_prefix() -> None:
    assert (RULES / "gitleaks.toml").read_text() == gitleaks_rules()
    assert (RULES / "trufflehog.yaml").read_text() == trufflehog_rules()


@EACH
@given(prefix=PREFIXES)
def test_every_token_is_found_wherever_it_stands(
    write: Callable[[str], str], read: Callable[[str], tuple[str, list[str]]], prefix: str
) -> None:
    pattern, keywords = read(write(prefix))
    token, _ = a_token(KEYRING, form=TokenForm(prefix))
    for text in (token, f'key = "{token}"', f"Bearer {token}\n", f"https://x:{token}@host/"):
        assert re.findall(pattern, text) == [token]
        assert any(word in text.lower() for word in keywords)


@EACH
def test_what_is_longer_or_shorter_is_not_found(
    write: Callable[[str], str], read: Callable[[str], tuple[str, list[str]]]
) -> None:
    pattern, _ = read(write("bg"))
    token, _ = a_token(KEYRING)
    for text in (token + "a", token[:-1], "a" + token, token.replace("bg_", "bg-"), f"x_{token}"):
        assert not re.search(pattern, text)


@EACH
def test_a_prefix_that_is_none_is_an_error(
    write: Callable[[str], str], read: Callable[[str], object]
) -> None:
    del read
    with pytest.raises(ConfigurationError):
        write("a'''")


@pytest.mark.parametrize("prefix", ["bg", "corp1"])
def test_gitleaks_itself_finds_them_in_files_and_in_history(tmp_path: Path, prefix: str) -> None:
    gitleaks = str(Path(sys.executable).with_name("gitleaks"))  # of the locked packages
    token, _ = a_token(KEYRING, form=TokenForm(prefix))
    (tmp_path / "rules.toml").write_text(gitleaks_rules(prefix))
    folder = tmp_path / "tree"
    folder.mkdir()
    git = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@x.invalid"]
    subprocess.run([*git, "init", "-q"], check=True)
    (folder / "sync.sh").write_text(f"curl -H 'Authorization: Bearer {token}' $URL\n")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "leak"], check=True)
    subprocess.run([*git, "rm", "-q", "sync.sh"], check=True)
    subprocess.run([*git, "commit", "-qm", "hide it"], check=True)
    (folder / "notes.txt").write_text(f"token: {token}, not {token[:-1]}\n")
    for mode, file in [("dir", "notes.txt"), ("git", "sync.sh")]:
        found = scan(gitleaks, mode, folder, tmp_path)
        ours = [row for row in found if row["RuleID"] == "bearer-guard-token"]
        assert [(row["Secret"], Path(row["File"]).name) for row in ours] == [(token, file)]


def scan(gitleaks: str, mode: str, folder: Path, tmp_path: Path) -> list[dict[str, str]]:
    report = tmp_path / f"{mode}.json"
    config = ["--config", str(tmp_path / "rules.toml"), "--report-path", str(report)]
    command = [gitleaks, mode, str(folder), "--no-banner", "--exit-code", "7", *config]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    found: list[dict[str, str]] = json.loads(report.read_text())
    return found
