"""`_settings`: tables of the configuration file, with their mistakes told."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from bearer_guard.errors import ConfigurationError
from bearer_guard.issuing.logins._settings import read_file, read_table
from bearer_guard.issuing.logins.ldap import LdapConfig
from bearer_guard.issuing.logins.oidc import OidcConfig
from bearer_guard.issuing.logins.saml import SamlConfig

if TYPE_CHECKING:
    from tests.issuing.logins.certificates import Authority


@dataclass(frozen=True, kw_only=True)
class Settings:
    url: str
    file: str | None = None
    on: bool = False
    wait: float = 1.0
    words: tuple[str, ...] = ("a",)
    made: str = field(init=False, default="")


def test_a_table_becomes_settings() -> None:
    table = {"url": "x", "file": "y", "on": True, "wait": 2, "words": ["b", "c"]}
    expected = Settings(url="x", file="y", on=True, wait=2, words=("b", "c"))
    assert read_table(Settings, table, "[x]") == expected


def test_what_is_left_out_stays_as_it_is() -> None:
    assert read_table(Settings, {"url": "x"}, "[x]") == Settings(url="x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"uri": "x"}, r"\[x\] has no uri; its keys are url, file, on, wait, words"),
        ({"made": "x"}, r"\[x\] has no made"),
        ({"url": 1}, r"url of \[x\] must be a text"),
        ({"file": True}, "must be a text"),
        ({"on": 1}, "must be true or false"),
        ({"on": "true"}, "must be true or false"),
        ({"wait": True}, "must be a number"),
        ({"wait": "1"}, "must be a number"),
        ({"words": "b"}, "must be a list of texts"),
        ({"words": ["b", 1]}, "must be a list of texts"),
    ],
)
def test_a_mistake_is_told(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_table(Settings, {"url": "x"} | change, "[x]")


def test_what_is_needed_and_missing_is_told() -> None:
    with pytest.raises(ConfigurationError, match=r"\[x\] needs url"):
        read_table(Settings, {}, "[x]")


def test_a_file_is_read_without_the_end_of_its_line(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b" a secret \r\n")
    assert read_file(str(file), "x") == " a secret "


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        read_file(str(file), "x")
    with pytest.raises(ConfigurationError, match="No such file"):
        read_file(str(tmp_path / "nothing"), "x")


# The documented examples


DOCS: Final = Path(__file__).resolve().parents[3] / "docs" / "logins.md"
CONFIGS: Final[dict[str, type[LdapConfig | SamlConfig | OidcConfig]]] = {
    "ldap": LdapConfig,
    "saml": SamlConfig,
    "oidc": OidcConfig,
}


def documented() -> list[str]:
    return re.findall(r"```toml\n(.*?)```", DOCS.read_text(), re.DOTALL)


@pytest.mark.parametrize("text", documented())
def test_a_documented_example_works(text: str, tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "ca.pem").write_bytes(authority.ca_file.read_bytes())
    for name in ("ldap-password", "oidc-secret"):
        (tmp_path / name).write_text("made up")
    tables = tomllib.loads(text.replace("/etc/bearer-guard", str(tmp_path)))["logins"]
    ((kind, table),) = tables.items()
    CONFIGS[kind].from_table(table)


def test_every_way_to_log_in_has_an_example() -> None:
    for kind in CONFIGS:
        assert any(f"[logins.{kind}]" in text for text in documented())


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_key_is_in_the_docs(kind: str) -> None:
    rows = re.findall(r"^\| (`.*?) \|", DOCS.read_text(), re.MULTILINE)
    names = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert {item.name for item in fields(CONFIGS[kind]) if item.init} <= names
