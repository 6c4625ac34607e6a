"""Whole servers that stop, fall back, fill up or are set up badly; one of its own for each test."""

import asyncio
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import pytest

from bearer_guard.errors import ConfigurationError, StoreUnavailable
from bearer_guard.stores.sql import SqlStore
from bearer_guard.testing import a_record
from tests.issuing.logins.certificates import Authority
from tests.stores.servers import (
    NOBODY,
    Database,
    a_database_of,
    a_mariadb,
    a_postgresql,
    scratch,
)
from tests.stores.sql_support import opened, outcome, until_it_answers
from tests.support import LOOPBACK

ROOT: Final = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["postgresql", "mariadb"])
def own(request: pytest.FixtureRequest) -> Iterator[Database]:
    server = a_mariadb() if request.param == "mariadb" else a_postgresql()
    with a_database_of(server) as database:
        yield database


WRITER: Final = """
import asyncio, sys
from uuid import UUID
from bearer_guard.errors import StoreUnavailable
from bearer_guard.stores.sql import SqlStore
from bearer_guard.testing import a_record

async def main():
    store = SqlStore.from_url(sys.argv[1])
    await store.open()
    print("ready", flush=True)
    try:
        while True:
            record = a_record()
            await store.add(record)
            print("added", record.id, flush=True)
            await store.end(record.id, 5)
            print("ended", record.id, flush=True)
    except StoreUnavailable:
        pass

asyncio.run(main())
"""


async def test_nothing_acknowledged_is_lost_when_the_server_is_killed(own: Database) -> None:
    async with opened(own.url()):
        pass
    writers = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", WRITER, own.url()), cwd=ROOT, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    told: list[str] = []
    for writer in writers:
        assert writer.stdout is not None
        told += [(await writer.stdout.readline()).decode() for _ in range(100)]
    own.server.kill()
    for writer in writers:
        rest, _ = await writer.communicate()
        told += rest.decode().splitlines()
    own.server.start()
    words = [line.split() for line in told if line.strip() != "ready"]
    added = {UUID(id) for word, id in words if word == "added"}
    ended = {UUID(id) for word, id in words if word == "ended"}
    async with opened(own.url()) as store:
        found = await store.fetch(added)
    assert len(added) > 50
    assert set(found) == added
    assert {id for id, record in found.items() if record.ended_ms == 5} >= ended


async def test_a_standby_is_refused_and_its_connections_are_not_kept() -> None:
    with a_postgresql() as primary, scratch() as folder:
        database = Database(primary, "own")
        async with opened(database.url()) as store:
            record = a_record()
            await store.add(record)
        standby = primary.standby(folder)
        standby.start()
        try:
            with pytest.raises(StoreUnavailable, match="primary"):
                await SqlStore.from_url(standby.url("own")).open()
            standby.promote()
            async with opened(standby.url("own")) as store:
                await store.end(record.id, 5)
                assert (await store.fetch([record.id]))[record.id].ended_ms == 5
        finally:
            standby.stop()


async def test_an_old_primary_is_not_believed() -> None:
    """It became a standby of another under a store that is open: same address, older answers."""
    with a_database_of(a_postgresql()) as database:
        async with opened(database.url()) as store:
            record = a_record()
            await store.add(record)
            cursor = (await store.changes(None)).cursor
            database.server.stop()
            (database.server.folder / "data" / "standby.signal").touch()
            database.server.start()
            calls = {
                "fetch": store.fetch([record.id]),
                "fetch an unknown one": store.fetch([uuid4()]),
                "fetch many": store.fetch([record.id, uuid4()]),
                "changes": store.changes(None),
                "changes since": store.changes(cursor),
                "policy": store.policy(),
                "account": store.account("alice"),
                "accounts": store.accounts(),
                "page": store.page(None, None, 5),
                "note": store.note("key", 5),
                "end": store.end(record.id, 5),
            }
            outcomes = {name: (await outcome(call))[0] for name, call in calls.items()}
            assert {name for name, error in outcomes.items() if error is None} == set()
            (database.server.folder / "data" / "standby.signal").unlink()
            database.server.stop()
            database.server.start()
            await until_it_answers(lambda: store.fetch([record.id]))


async def test_a_mariadb_that_is_read_only_is_not_believed() -> None:
    with a_database_of(a_mariadb()) as database:
        async with opened(database.url()) as store:
            record = a_record()
            await store.add(record)
            cursor = (await store.changes(None)).cursor
            database.sql("SET GLOBAL read_only = 1")
            for call in (
                store.fetch([uuid4()]),
                store.fetch([record.id, uuid4()]),
                store.changes(None),
                store.changes(cursor),
                store.policy(),
                store.end(record.id, 5),
            ):
                assert (await outcome(call))[0] is StoreUnavailable
            database.sql("SET GLOBAL read_only = 0")
            await store.end(record.id, 5)


async def test_a_database_that_takes_no_writes_still_answers_reads() -> None:
    """A full disk is often handled so; there is no other primary, and what is read is true."""
    with a_database_of(a_postgresql()) as database:
        async with opened(database.url()) as store:
            record = a_record()
            await store.add(record)
        database.sql("ALTER DATABASE own SET default_transaction_read_only = on")
        async with opened(database.url()) as store:
            assert (await outcome(store.end(record.id, 5)))[0] is StoreUnavailable
            assert await store.fetch([record.id]) == {record.id: record}


async def test_a_full_server_is_store_unavailable(own: Database) -> None:
    async with opened(own.url(), pool_size=1):
        pass  # the tables are there
    setting = "max_connections=15" if own.is_mariadb else "max_connections=8"
    own.server.stop()
    own.server.options = [f"--{setting}" if own.is_mariadb else setting]
    own.server.start()
    stores = [SqlStore.from_url(own.url()) for _ in range(8)]
    outcomes = [await open_and_ask(store) for store in stores]
    assert set[object]().union(*outcomes) == {None, StoreUnavailable}
    for store in stores:
        await store.close()
    async with opened(own.url()):
        pass


async def open_and_ask(store: SqlStore) -> set[type[BaseException] | None]:
    """How it went, with five connections at once."""
    error, seconds = await outcome(store.open())
    assert seconds < 1
    if error is not None:
        return {error}
    calls = (outcome(store.fetch([uuid4()])) for _ in range(5))
    return {error for error, _ in await asyncio.gather(*calls)}


@pytest.mark.parametrize(
    ("setting", "fix"),
    [
        ("fsync=off", "fsync = on"),
        ("synchronous_commit=off", "synchronous_commit = on"),
        ("full_page_writes=off", "full_page_writes = on"),
    ],
)
async def test_a_postgresql_that_may_lose_revocations_is_refused(
    setting: str, fix: str, caplog: pytest.LogCaptureFixture
) -> None:
    with a_database_of(a_postgresql(setting)) as database:
        with pytest.raises(ConfigurationError, match=fix):
            await SqlStore.from_url(database.url()).open()
        async with opened(database.url(tail="?unsafe=allow")) as store:
            await store.add(a_record())
            assert "error" in {finding.level for finding in await store.diagnose()}
        assert fix in caplog.text


async def test_a_mariadb_that_may_lose_revocations_is_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with a_database_of(
        a_mariadb("--log-bin", "--binlog-format=MIXED", "--sync-binlog=0")
    ) as database:
        async with opened(database.url()) as store:
            await store.add(a_record())
        assert "set sync_binlog = 1" in caplog.text
        database.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
        with pytest.raises(ConfigurationError, match="innodb_flush_log_at_trx_commit = 1"):
            await SqlStore.from_url(database.url()).open()
        async with opened(database.url(), unsafe="allow"):
            pass


async def test_a_mariadb_with_bad_habits_is_made_to_behave() -> None:
    """Snapshots pinned from the start, values cut to fit, another isolation level."""
    habits = [
        "--init-connect=SET autocommit=0",
        "--sql-mode=",
        "--transaction-isolation=SERIALIZABLE",
        "--default-storage-engine=MyISAM",
        "--character-set-server=latin1",
        "--collation-server=latin1_swedish_ci",
    ]
    with a_database_of(a_mariadb(*habits)) as database:
        async with opened(database.url()) as store, opened(database.url()) as other:
            record = a_record(owner="a" * 256, description="\U0001f511")
            await store.add(record)
            for at_ms in (9, 8, 7):
                assert (await other.changes(None)).cursor == (await store.changes(None)).cursor
                await store.end(record.id, at_ms)
                assert (await other.fetch([record.id]))[record.id].ended_ms == at_ms
            with pytest.raises(Exception, match="too long"):
                await store.add(a_record(owner="a" * 1025))
            tables = database.sql("SHOW TABLE STATUS")
            assert {row[1] for row in tables} == {"InnoDB"}


# TLS, with a certificate authority of one's own


@pytest.fixture(scope="module")
def authorities() -> Iterator[list[Authority]]:
    """The one that signs, and one that has signed nothing."""
    with scratch() as folder:
        yield [Authority(folder, "ours"), Authority(folder, "others")]


@pytest.fixture(scope="module")
def secure(authorities: list[Authority]) -> Iterator[Database]:
    """A database on a MariaDB that has a certificate."""
    with scratch() as folder:
        cert, key = authorities[0].issue("mariadb")
        own_key = folder / "key"
        own_key.write_bytes(key.read_bytes())
        own_key.chmod(0o600)
        cert.chmod(0o644)
        if os.geteuid() == 0:
            account = pwd.getpwnam(NOBODY)
            os.chown(own_key, account.pw_uid, account.pw_gid)
        options = (f"--ssl-cert={cert}", f"--ssl-key={own_key}")
        with a_database_of(a_mariadb(*options)) as database:
            yield database


def secure_url(database: Database, authority: Authority, host: str = LOOPBACK) -> str:
    url = database.url(tail=f"?ssl_ca={authority.ca_file}")
    return url.replace(f"@{LOOPBACK}:", f"@{host}:")


async def test_tls_is_spoken_with_a_server_that_the_right_authority_vouches_for(
    secure: Database, authorities: list[Authority]
) -> None:
    async with opened(secure_url(secure, authorities[0])) as store:
        async with store._gateway.reading() as connection:
            row = (await connection.exec_driver_sql("SHOW STATUS LIKE 'Ssl_version'")).one()
        assert "TLSv1" in str(row)


async def test_another_authority_or_another_name_is_refused_and_said(
    secure: Database, authorities: list[Authority]
) -> None:
    ours, others = authorities
    for url in (secure_url(secure, others), secure_url(secure, ours, "localhost")):
        with pytest.raises(StoreUnavailable, match="certificate verify failed"):
            await SqlStore.from_url(url).open()
