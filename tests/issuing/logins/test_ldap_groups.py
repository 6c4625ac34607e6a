"""`_ldap_groups`: groups in groups, and an end to them. Real directories: see `test_ldap`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bearer_guard.issuing.logins._ldap_groups import groups_of
from bearer_guard.issuing.logins._ldap_link import Entry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bearer_guard.issuing.logins._ldap_link import Scope

TOP = "cn=top,dc=x"


class Tree:
    """A directory of groups, each with what it is a member of."""

    def __init__(self, above: Mapping[str, Sequence[str]]) -> None:
        self.above = above
        self.asked = 0

    async def bind(self, name: str, password: str) -> bool:
        raise NotImplementedError

    async def whoami(self) -> str | None:
        raise NotImplementedError

    async def search(
        self, base: str, scope: Scope, query: str, attributes: Sequence[str], *, most: int = 0
    ) -> list[Entry]:
        del scope, query, attributes, most
        self.asked += 1
        return [Entry(base, {"memberof": tuple(self.above[base])})] if base in self.above else []


def somebody(*groups: str) -> Entry:
    return Entry("uid=alice,dc=x", {"memberof": groups})


def chain(length: int) -> Tree:
    """The group 0 in the group 1 in the group 2…, and the last in the top one."""
    names = [f"cn={number},dc=x" for number in range(length)]
    return Tree(dict(zip(names, [[name] for name in [*names[1:], TOP]], strict=True)))


async def test_groups_in_groups_count() -> None:
    tree = chain(5)
    found = await groups_of(tree, somebody("cn=0,dc=x"), [TOP, "cn=z,dc=x"], in_chain=False)
    assert found == {TOP}


async def test_a_group_is_known_in_any_spelling_and_named_in_ours() -> None:
    found = await groups_of(Tree({}), somebody("CN=Top, DC=X"), [TOP], in_chain=False)
    assert found == {TOP}


async def test_the_walk_ends_when_all_are_found() -> None:
    tree = chain(5)
    assert await groups_of(tree, somebody("cn=0,dc=x", TOP), [TOP], in_chain=False) == {TOP}
    assert tree.asked == 0


async def test_nobody_is_asked_where_no_group_counts() -> None:
    tree = chain(5)
    assert await groups_of(tree, somebody("cn=0,dc=x"), [], in_chain=False) == set()
    assert tree.asked == 0


async def test_a_circle_ends() -> None:
    tree = Tree({"cn=a,dc=x": ["cn=b,dc=x"], "cn=b,dc=x": ["cn=a,dc=x", "cn=b,dc=x"]})
    assert await groups_of(tree, somebody("cn=a,dc=x"), [TOP], in_chain=False) == set()
    assert tree.asked == 2


async def test_the_walk_goes_only_so_deep() -> None:
    tree = chain(1000)
    assert await groups_of(tree, somebody("cn=0,dc=x"), [TOP], in_chain=False) == set()
    assert tree.asked == 10


async def test_the_walk_goes_only_so_wide() -> None:
    many = [f"cn={number},dc=x" for number in range(2000)]
    tree = Tree({name: [TOP] for name in many})
    assert await groups_of(tree, somebody(*many), ["cn=z,dc=x"], in_chain=False) == set()
    assert tree.asked == 500


async def test_a_group_that_may_not_be_read_leads_nowhere() -> None:
    assert await groups_of(Tree({}), somebody("cn=a,dc=x"), [TOP], in_chain=False) == set()
