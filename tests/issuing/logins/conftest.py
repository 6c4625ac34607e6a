"""Servers that the tests of several log-ins share: started once, when the first test asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.issuing.logins import samba
from tests.issuing.logins.certificates import Authority
from tests.issuing.logins.people import PEOPLE_LDIF
from tests.issuing.logins.slapd import slapd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.issuing.logins.samba import DomainController
    from tests.issuing.logins.slapd import Slapd


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def directory(authority: Authority) -> Iterator[Slapd]:
    """OpenLDAP with the people of ``people``. Tests may add to it, and change what they added."""
    with slapd(authority=authority) as server:
        server.add(PEOPLE_LDIF)
        yield server


@pytest.fixture(scope="session")
def domain(authority: Authority) -> Iterator[DomainController]:
    """Active Directory, of Samba, with four people and two groups."""
    with samba.domain_controller(authority) as controller:
        controller.add(
            samba.user("alice", "alice's W0rds", cn="Alice Smith")
            + samba.user("bob", "bob's W0rds")
            + samba.user("carol", "carol's W0rds", control=514)
            + samba.user("dave", "dave's W0rds", upn="dave@elsewhere.example")
            + samba.group("inner", "Alice Smith")
            + samba.group("outer", "inner")
        )
        yield controller
