"""The seams: opening by URL, and telling this process of its own changes."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from bearer_guard import ConfigurationError, Store, open_store
from bearer_guard.store import Announcer
from bearer_guard.stores.memory import MemoryStore


def test_a_url_names_a_store() -> None:
    store = open_store("memory://")
    assert isinstance(store, MemoryStore)
    assert isinstance(store, Store)


def test_an_unknown_scheme_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ConfigurationError, match="postgresql, redis, rediss, sqlite"):
        open_store("mongodb://x")


@pytest.mark.parametrize("url", ["", "tokens.db", "//x", None])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        open_store(url)


@pytest.mark.parametrize("url", ["", "tokens.db", "/var/tokens.db", "./t.db", "u:s3cret@host/db"])
def test_a_path_is_told_how_to_become_a_url_and_is_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_store(url)
    assert ("sqlite:///relative/path" in str(caught.value)) == ("@" not in url)
    assert "tokens.db" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_missing_package_is_named_by_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "bearer_guard.stores.redis", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'bearer-guard\[redis\]'"):
        open_store("rediss://localhost")


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="colour"):
        open_store("memory://", colour="red")


def test_listeners_are_told_when_a_change_is_over_however_it_ends() -> None:
    announcer, told, ids = Announcer(), [], {uuid4()}
    stop = announcer.subscribe(told.append)
    with announcer.changing(ids):
        assert told == []
    with pytest.raises(RuntimeError), announcer.changing():
        raise RuntimeError
    assert told == [ids, None]
    stop()
    with announcer.changing(ids):
        pass
    assert told == [ids, None]


def test_the_documentation_lists_no_other_way_to_an_adapter() -> None:
    """``open_store`` is the only place of the core that imports by name."""
    package = Path(__file__).parents[2] / "bearer_guard"
    users = [path.name for path in package.glob("*.py") if "importlib" in path.read_text()]
    assert users == ["store.py"]
