"""`_extras`: what is not installed is named, all of it, before anything is begun."""

import sys
from pathlib import Path

import pytest

from bearer_guard import ConfigurationError
from bearer_guard.cli._extras import check_extras
from tests.cli.support import Cli


def without(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)


@pytest.mark.parametrize(
    ("url", "missing", "named"),
    [
        ("sqlite:///tokens.db", ("uvicorn", "jinja2"), "server,page"),
        ("rediss://host", ("redis", "uvicorn"), "server,redis"),
        ("postgres://host", ("asyncpg",), "postgresql"),
        ("mariadb://host", ("sqlalchemy", "python_multipart"), "page,mysql"),
    ],
)
def test_all_that_is_missing_is_named_at_once(
    url: str, missing: tuple[str, ...], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, *missing)
    with pytest.raises(ConfigurationError) as caught:
        check_extras(url, "server", "page")
    assert str(caught.value).endswith(f"pip install 'bearer-guard[{named}]'")


def test_what_is_not_asked_for_need_not_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "jinja2", "prometheus_client", "redis")
    check_extras("sqlite:///tokens.db", "server")


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (("serve", "nosuch:app", "--metrics"), "server,page,metrics"),
        (("demo", "--dir", "new"), "server,page"),
        (("forward-auth",), "server"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_service_does_not_begin_without(
    args: tuple[str, ...], named: str, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "uvicorn", "jinja2", "prometheus_client")
    result = cli(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"'bearer-guard[{named}]'" in result.stderr
    assert not Path("new").exists()
