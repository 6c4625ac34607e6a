"""Hints by LISTEN and NOTIFY, and where they do not arrive."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from bearer_guard.errors import StoreUnavailable
from bearer_guard.stores._sql_hints import payloads
from bearer_guard.stores.sql import SqlStore
from bearer_guard.testing import a_record
from tests.faults import Fault, faulty_proxy
from tests.stores.servers import (
    DRIVERS,
    NOBODY,
    Database,
    Mariadb,
    Postgresql,
    a_database,
    an_imitation,
    scratch,
)
from tests.stores.sql_support import add_all, in_haste, opened, until_it_answers
from tests.support import LOOPBACK, free_port, require, running


@pytest.fixture(scope="module", params=["asyncpg", "psycopg"])
def database(request: pytest.FixtureRequest, postgresql: Postgresql) -> Iterator[Database]:
    with a_database(postgresql, DRIVERS[request.param]) as database:
        yield database


@pytest.fixture
async def store(database: Database) -> AsyncIterator[SqlStore]:
    async with opened(database.url()) as store:
        database.wipe()
        yield store


class Listening:
    """What a store hears, in the background."""

    def __init__(self, store: SqlStore) -> None:
        self.heard = asyncio.Queue[Collection[UUID]]()
        self.broke = asyncio.Event()
        self.task = asyncio.create_task(self._listen(store))

    async def _listen(self, store: SqlStore) -> None:
        hints = store.hints()
        assert hints is not None
        try:
            async for ids in hints:
                self.heard.put_nowait(ids)
        except StoreUnavailable:
            self.broke.set()

    async def next(self) -> set[UUID]:
        async with asyncio.timeout(5):
            return set(await self.heard.get())


@asynccontextmanager
async def listening(store: SqlStore, database: Database) -> AsyncIterator[Listening]:
    ear = Listening(store)
    mark = uuid4()
    async with asyncio.timeout(5):
        while ear.heard.empty():  # until it is known to listen
            database.sql(f"NOTIFY bearer_guard, '{mark.hex}'")
            await asyncio.sleep(0.02)
    try:
        yield ear
    finally:
        ear.task.cancel()
        await asyncio.gather(ear.task, return_exceptions=True)


async def drained(ear: Listening) -> None:
    await asyncio.sleep(0.05)
    while not ear.heard.empty():
        ear.heard.get_nowait()


async def test_an_end_is_heard_elsewhere(store: SqlStore, database: Database) -> None:
    record = a_record()
    await store.add(record)
    async with opened(database.url()) as other, listening(other, database) as ear:
        await drained(ear)
        await store.end(record.id, 5)
        assert await ear.next() == {record.id}


async def test_many_ends_are_heard_in_parts(store: SqlStore, database: Database) -> None:
    records = [a_record() for _ in range(450)]
    await add_all(store, records)
    async with opened(database.url()) as other, listening(other, database) as ear:
        await drained(ear)
        await store.end_all("alice", 5)
        heard = set[UUID]()
        while len(heard) < len(records):
            heard |= await ear.next()
    assert heard == {record.id for record in records}


async def test_what_is_no_id_is_no_hint(store: SqlStore, database: Database) -> None:
    async with listening(store, database) as ear:
        await drained(ear)
        for payload in ("", "nonsense", "probe", "probe 1234", "0" * 31, "G" * 32):
            database.sql(f"NOTIFY bearer_guard, '{payload}'")
        mark = uuid4()
        database.sql(f"NOTIFY bearer_guard, '{mark.hex}'")
        while mark not in (ids := await ear.next()):
            assert ids == set()


async def test_a_broken_connection_is_told_and_another_one_heard(
    store: SqlStore, database: Database
) -> None:
    async with listening(store, database) as ear:
        database.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        async with asyncio.timeout(5):
            await ear.broke.wait()
    await until_it_answers(lambda: store.fetch([uuid4()]))
    async with listening(store, database) as ear:
        assert not ear.broke.is_set()


async def test_silence_is_noticed(database: Database) -> None:
    async with (
        faulty_proxy(database.server.port) as proxy,
        opened(database.url(port=proxy.port)) as store,
        listening(in_haste(store), database) as ear,
    ):
        await proxy.become(Fault.BLACK_HOLE)
        async with asyncio.timeout(5):
            await ear.broke.wait()


async def test_who_stops_listening_leaves_no_connection(
    store: SqlStore, database: Database
) -> None:
    query = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
    async with listening(store, database):
        pass
    await until_it_answers(partial(nothing_is_found, database, query))


async def nothing_is_found(database: Database, query: str) -> None:
    if database.sql(query):
        raise StoreUnavailable("it is still there")


async def test_an_end_does_not_depend_on_its_hint(database: Database) -> None:
    """NOTIFY is forbidden here; it could as well find its queue full."""
    role = f"r{database.name}"
    database.sql(f"CREATE ROLE {role} LOGIN")
    database.sql(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
    database.sql("REVOKE EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text) FROM PUBLIC")
    try:
        async with opened(database.url().replace("//bg@", f"//{role}@")) as store:
            record = a_record()
            await store.add(record)
            await store.end(record.id, 5)
            assert (await store.fetch([record.id]))[record.id].ended_ms == 5
    finally:
        database.sql("GRANT EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text) TO PUBLIC")
        database.sql(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_payload_is_shorter_than_the_server_takes() -> None:
    texts = payloads([uuid4().bytes for _ in range(1_000)])
    assert max(len(text) for text in texts) < 8_000
    assert len(texts) == 5


async def test_mariadb_has_no_hints(mariadb: Mariadb) -> None:
    with a_database(mariadb) as database:
        async with opened(database.url()) as store:
            assert store.hints() is None


# On servers that speak PostgreSQL's protocol and have no channels


async def test_a_server_without_listen_is_asked_once(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    driver = store._gateway.driver

    async def listen(connection: object, *_: object) -> AsyncIterator[str | None]:
        await driver.rows(connection, "LISTEN, of which it knows nothing", ())
        yield None

    monkeypatch.setattr(driver, "listen", listen)
    hints = store.hints()
    assert hints is not None
    assert [ids async for ids in hints] == []
    assert store.hints() is None
    assert "has no LISTEN" in caplog.text


async def test_a_server_without_pg_notify_is_told_once(postgresql: Postgresql) -> None:
    with an_imitation(postgresql, DRIVERS["asyncpg"]) as database:
        async with opened(database.url()) as store:
            records = [a_record(), a_record()]
            await add_all(store, records)
            connections = dict(store._gateway._current()._open)
            await store.end(records[0].id, 5)
            assert store.hints() is None
            database.sql("DROP FUNCTION public.pg_notify")  # what is behind it would be reached
            await store.end(records[1].id, 5)
            assert store._gateway._current()._open == connections


# Behind a pooler that gives each transaction another connection


@contextmanager
def pgbouncer(server: Postgresql) -> Iterator[int]:
    """The port of a PgBouncer in transaction mode."""
    with scratch() as folder:
        port = free_port()
        settings = folder / "pgbouncer.ini"
        settings.write_text(
            f"""
            [databases]
            * = host={LOOPBACK} port={server.port} user=bg
            [pgbouncer]
            listen_addr = {LOOPBACK}
            listen_port = {port}
            unix_socket_dir =
            auth_type = any
            pool_mode = transaction
            default_pool_size = 4
            min_pool_size = 4
            server_round_robin = 1
            """.replace("            ", "")
        )
        bouncer = require("pgbouncer", "pgbouncer")
        with running(
            [bouncer, settings], ready=lambda: _answers(server, port), user=NOBODY, cwd=Path("/")
        ):
            yield port


def _answers(server: Postgresql, port: int) -> bool:
    try:
        psycopg.connect(server.url(port=port)).close()
    except psycopg.OperationalError:
        return False
    return True


async def test_behind_a_pooler_all_works_but_hints_which_is_said_once(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    assert isinstance(database.server, Postgresql)
    with pgbouncer(database.server) as port:
        url = database.url(port=port, tail="?statement_cache_size=0")
        async with opened(url) as store, opened(url) as other:
            database.wipe()
            hints = store.hints()
            assert hints is not None
            listener = asyncio.create_task(anext(hints, None))
            cursor = (await other.changes(None)).cursor
            records = [a_record() for _ in range(40)]
            await asyncio.gather(*(store.add(record) for record in records[:20]))
            await asyncio.gather(*(other.add(record) for record in records[20:]))
            await asyncio.gather(*(store.end(record.id, 5) for record in records[:5]))
            ends = {record.id for record in records[:5]}
            assert (await other.changes(cursor)).ids == ends
            found = await asyncio.gather(*(other.fetch([record.id]) for record in records))
            assert {id for page in found for id, r in page.items() if r.ended_ms} == ends
            assert len(await store.fetch([record.id for record in records])) == len(records)
            assert await listener is None
            assert store.hints() is None
    assert [r for r in caplog.records if "hints do not arrive" in r.message][1:] == []
    assert "hints do not arrive" in caplog.text
