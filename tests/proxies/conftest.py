"""One world for all tests of proxies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.proxies.world import World, world

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("proxies")) as around:
        yield around
