"""Nodes of clusters. Whole clusters of three were looked at by hand: docs/stores.md."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest

from bearer_guard.errors import StoreUnavailable
from bearer_guard.testing import a_record
from tests.stores.servers import Database, Mysql, a_mariadb
from tests.stores.sql_support import PATIENCE, opened, outcome, until_it_answers
from tests.support import LOOPBACK, free_port, missing

_PROVIDER: Final = Path("/usr/lib/galera/libgalera_smm.so")


@pytest.fixture
def node() -> Iterator[Database]:
    """The only one of a Galera cluster, set up to answer reads also when it is cut off."""
    if Mysql.program:
        pytest.skip("MySQL has no Galera")
    if not _PROVIDER.exists():
        missing("Galera is not installed: apt-get install galera-4")
    provider = {
        "gmcast.listen_addr": f"tcp://{LOOPBACK}:{free_port()}",
        "ist.recv_addr": f"{LOOPBACK}:{free_port()}",
        "pc.announce_timeout": "PT0.1S",
        "pc.wait_prim": "no",
    }
    options = ";".join(f"{name}={value}" for name, value in provider.items())
    with a_mariadb(
        "--wsrep-on",
        f"--wsrep-provider={_PROVIDER}",
        f"--wsrep-provider-options={options}",
        f"--wsrep-node-address={LOOPBACK}",
        "--wsrep-cluster-address=gcomm://",
        "--wsrep-dirty-reads",
        "--binlog-format=ROW",
    ) as server:
        yield Database(server, "own")


async def test_a_node_that_is_cut_off_is_not_believed(node: Database) -> None:
    async with opened(node.url()) as store:
        record = a_record()
        await store.add(record)
        cursor = (await store.changes(None)).cursor
        node.sql(f"SET GLOBAL wsrep_cluster_address = 'gcomm://{LOOPBACK}:1'")
        calls = {
            "fetch": store.fetch([record.id]),
            "fetch an unknown one": store.fetch([uuid4()]),
            "fetch many": store.fetch([record.id, uuid4()]),
            "changes": store.changes(None),
            "changes since": store.changes(cursor),
            "account": store.account("alice"),
            "end": store.end(record.id, 5),
        }
        outcomes = {name: (await outcome(call))[0] for name, call in calls.items()}
        assert outcomes == dict.fromkeys(calls, StoreUnavailable)
        node.sql("SET GLOBAL wsrep_cluster_address = 'gcomm://'")
        await until_it_answers(lambda: store.end(record.id, 5), PATIENCE)
        assert (await store.fetch([record.id]))[record.id].ended_ms == 5


@pytest.mark.skipif(not Mysql.program, reason="MariaDB has no Group Replication")
async def test_a_member_of_a_group_answers_when_the_group_does() -> None:
    group = [
        "--plugin-load-add=group_replication.so",
        f"--loose-group-replication-group-name={uuid4()}",
        f"--loose-group-replication-local-address={LOOPBACK}:{free_port()}",
        "--loose-group-replication-start-on-boot=OFF",
    ]
    begin = "SET GLOBAL group_replication_bootstrap_group = ON; START GROUP_REPLICATION"
    with a_mariadb(*group) as server:
        database = Database(server, "own")
        async with opened(database.url()) as store:
            await store.add(a_record())  # as any server, until the group is there
            await asyncio.to_thread(server.sql, begin)
            await until_it_answers(lambda: store.add(a_record()), PATIENCE)
            rows = await store._gateway.rows("SELECT @@group_replication_consistency", ())
    assert [tuple(row) for row in rows] == [("BEFORE",)]
