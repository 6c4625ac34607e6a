"""URLs of SQL stores."""

import pytest

from bearer_guard import open_store
from bearer_guard.errors import ConfigurationError
from bearer_guard.stores._sql_url import split, whereabouts
from bearer_guard.stores.sql import SqlStore


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@h/d",
        "postgres://u@h/d",
        "postgresql+asyncpg://u@h/d",
        "postgresql+psycopg://u@h/d",
        "mysql://u@h/d",
        "mysql+asyncmy://u@h/d",
        "mariadb://u@h/d",
        "mariadb+asyncmy://u@h/d",
    ],
)
def test_each_scheme_opens_an_sql_store(url: str) -> None:
    assert isinstance(open_store(url), SqlStore)


def test_our_options_are_taken_out_and_the_rest_is_the_drivers() -> None:
    url, options = split(
        "postgresql://u:p%40@h:5/d?pool_size=3&sslmode=require&poll_interval=0.08&unsafe=allow"
        "&statement_cache_size=0"
    )
    assert dict(url.query) == {"sslmode": "require"}
    assert url.password == "p@"
    assert options == {
        "pool_size": 3,
        "poll_interval": 0.08,
        "unsafe": "allow",
        "statement_cache_size": 0,
    }


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@h/d?pool_size=many",
        "postgresql://u@h/d?pool_size=0",
        "postgresql://u@h/d?poll_interval=-1",
        "postgresql://u@h/d?unsafe=perhaps",
        "postgresql+pg8000://u@h/d",
        "mysql+aiomysql://u@h/d",
        "mysql://u@h",
        "mysql://u@h/d?sslmode=require",
        "mysql://u@h/d?ssl=perhaps",
        "postgresql://u:s3cret@h:port/d",
    ],
)
def test_what_can_not_be_right_is_refused_without_telling_the_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        open_store(url)
    assert "s3cret" not in f"{raised.value} {raised.value.__cause__}"


def test_an_unknown_keyword_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="poll_interval"):
        open_store("postgresql://u@h/d", speed="high")


def test_keywords_go_over_the_url() -> None:
    store = SqlStore.from_url("postgresql://u@h/d?poll_interval=5", poll_interval=2.0)
    assert store.poll_interval == 2.0
    assert SqlStore.from_url("mysql://u@h/d").poll_interval is None
    assert SqlStore.from_url("mysql://u@h/d?poll_interval=0.08").poll_interval == 0.08


def test_a_database_is_called_by_its_place_alone() -> None:
    url, _ = split("postgresql+psycopg://user:s3cret@h:5/d?sslmode=require&application_name=s3cret")
    assert whereabouts(url) == "postgresql://h:5/d"
    assert whereabouts(split("mysql://u:p@/d?unix_socket=/s")[0]) == "mysql:///d"
