"""Which groups a person is in, those that are only in a group of theirs included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ._ldap_link import Scope
from ._ldap_names import dn_key, fill_filter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._ldap_link import Entry, Link
    from ._ldap_names import DnKey

__all__ = ["ANYTHING", "MEMBER_OF", "groups_of"]

ANYTHING: Final = "(objectClass=*)"
MEMBER_OF: Final = "memberOf"
_DEEPEST: Final = 10  # groups in groups in groups; a circle ends by itself
_MOST: Final = 500  # groups looked at for one person: half a second on a near server
# LDAP_MATCHING_RULE_IN_CHAIN: Active Directory walks up by itself, [MS-ADTS] 3.1.1.3.4.4.3.
_IN_CHAIN: Final = "({member_of}:1.2.840.113556.1.4.1941:={{username}})"


async def groups_of(
    link: Link, entry: Entry, wanted: Sequence[str], *, in_chain: bool
) -> frozenset[str]:
    """Those of the wanted groups that the person is in.

    Args:
        link: Logged in as somebody who may read ``memberOf``.
        entry: The person's, with ``memberOf``.
        wanted: Distinguished names.
        in_chain: The directory is Active Directory.

    Raises:
        DirectoryUnavailable: No answer in time.
    """
    if not wanted:
        return frozenset()
    if in_chain:
        return frozenset([group for group in wanted if await _is_in(link, entry, group)])
    found = await _walk(link, entry, {dn_key(group) for group in wanted})
    return frozenset(group for group in wanted if dn_key(group) in found)


async def _is_in(link: Link, entry: Entry, group: str) -> bool:
    query = fill_filter(_IN_CHAIN.format(member_of=MEMBER_OF), group)
    return bool(await link.search(entry.dn, Scope.BASE, query, ["1.1"]))


async def _walk(link: Link, entry: Entry, wanted: set[DnKey]) -> set[DnKey]:
    """The groups above, level by level, until the wanted ones are all found."""
    seen: dict[DnKey, str] = {}
    level = _new(entry, seen)
    for _ in range(_DEEPEST):
        if not level or wanted <= set(seen):
            break
        above: list[str] = []
        for group in level[:_MOST]:
            for found in await link.search(group, Scope.BASE, ANYTHING, [MEMBER_OF]):
                above += _new(found, seen)
        level = above if len(seen) < _MOST else []
    return set(seen)


def _new(entry: Entry, seen: dict[DnKey, str]) -> list[str]:
    """The groups that the entry is in and that were not seen before; they have been then."""
    fresh = {dn_key(group): group for group in entry.values(MEMBER_OF)}
    fresh = {key: group for key, group in fresh.items() if key not in seen}
    seen.update(fresh)
    return list(fresh.values())
