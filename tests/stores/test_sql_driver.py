"""Drivers by the scheme of a URL."""

import builtins
import sys
from types import ModuleType

import pytest
from sqlalchemy import make_url

from bearer_guard.errors import ConfigurationError
from bearer_guard.stores._sql_driver import driver_for


@pytest.mark.parametrize(
    ("scheme", "dialect"),
    [
        ("postgresql", "postgresql+bearer_guard_asyncpg"),
        ("postgresql+psycopg", "postgresql+bearer_guard_psycopg"),
        ("mysql", "mysql+asyncmy"),
        ("mariadb", "mysql+asyncmy"),
    ],
)
def test_a_scheme_has_its_driver(scheme: str, dialect: str) -> None:
    driver = driver_for(make_url(f"{scheme}://u@h/d"), statement_cache_size=None)
    assert driver.dialect == dialect


def test_other_drivers_are_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"postgresql\+psycopg://"):
        driver_for(make_url("postgresql+pg8000://u@h/d"), statement_cache_size=None)


@pytest.mark.parametrize(
    ("package", "url", "install"),
    [
        ("asyncpg", "postgresql://u@h/d", r"bearer-guard\[postgresql\]"),
        ("psycopg", "postgresql+psycopg://u@h/d", r"psycopg\[binary\]"),
        ("asyncmy", "mysql://u@h/d", r"bearer-guard\[mysql\]"),
    ],
)
def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, package: str, url: str, install: str
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: object) -> ModuleType:
        if name.split(".", maxsplit=1)[0] == package:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return real(name, *rest)  # type: ignore[arg-type]

    monkeypatch.delitem(sys.modules, f"bearer_guard.stores._sql_{package}", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigurationError, match=install):
        driver_for(make_url(url), statement_cache_size=None)
