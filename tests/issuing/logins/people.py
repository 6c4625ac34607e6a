"""Who is in the directory of the tests."""

from __future__ import annotations

from typing import Final

from tests.issuing.logins.slapd import GROUPS, PEOPLE, group, person

ALICE: Final = f"uid=Alice,{PEOPLE}"
ADMINS: Final = f"cn=admins,{GROUPS}"
MAKERS: Final = f"cn=makers,{GROUPS}"
ODD_NAME: Final = 'o*d)(d, "na=me+\\;<>#'
_ODD_DN: Final = r"uid=o\2ad\29\28d\2c \22na\3dme\2b\5c\3b\3c\3e\23"


def words_of(name: str) -> str:
    """The password of somebody."""
    return f"{name.lower()}'s own words"


# Alice is an administrator by two groups in between, in a circle; Bob may make tokens. Carol and
# Dave are disabled, each in a directory's own way. Eve has two names, and only one of them in her
# DN; Faythe has two, and her DN has neither. Gus has no password. Two people share one address.
PEOPLE_LDIF: Final = "".join(
    (
        person("Alice", words_of("alice"), extra="mail: alice@example.com"),
        person("bob", words_of("bob"), extra="mail: both@example.com"),
        person("carol", words_of("carol"), extra="userAccountControl: 514"),
        person("dave", words_of("dave"), extra="nsAccountLock: TRUE"),
        person("eve", words_of("eve"), extra="uid: evelyn\nmail: both@example.com"),
        person("faythe", words_of("faythe"), rdn="cn=faythe", extra="uid: fay"),
        person("gus", "").replace("userPassword: \n", ""),
        person(ODD_NAME, words_of("odd"), rdn=_ODD_DN),
        group("inner", ALICE),
        group("middle", f"cn=inner,{GROUPS}", ADMINS),
        group("admins", f"cn=middle,{GROUPS}"),
        group("makers", f"uid=bob,{PEOPLE}"),
        group("others", f"uid=bob,{PEOPLE}"),
    )
)
