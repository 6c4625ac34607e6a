"""What the page on faults says is what is seen."""

import pytest

from tests.stores.fault_table import measure, read, render
from tests.stores.servers import Mariadb, Mysql, Postgresql


@pytest.mark.skipif(bool(Mysql.program), reason="the page tells of MariaDB")
async def test_stores_fail_as_the_page_says(postgresql: Postgresql, mariadb: Mariadb) -> None:
    rows = await measure(postgresql, mariadb)
    assert render(rows) == render(read())
    assert "TOO LONG" not in render(rows)
