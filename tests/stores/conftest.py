"""Fixtures for the tests of several adapters; a server is started when it is first asked for."""

from tests.stores.servers import mariadb, postgresql
from tests.stores.sql_support import database

__all__ = ["database", "mariadb", "postgresql"]
