"""What counts as an identity asserted by a reverse proxy, name by name."""

import copy
import dataclasses
import json
import pickle
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import pytest

from bearer_guard.errors import ConfigurationError
from bearer_guard.proxy_sso import (
    DEFAULT_GROUPS,
    HARMLESS,
    OPTIONAL_GROUPS,
    CatalogueRow,
    ProxySso,
)

ROOT: Final = Path(__file__).resolve().parents[2]
VECTORS: Final[dict[str, Any]] = json.loads(
    (ROOT / "tests" / "vectors" / "proxy_sso.json").read_text(encoding="utf-8")
)
PAGE: Final = (ROOT / "docs" / "proxy-sso.md").read_text(encoding="utf-8")

DEFAULT: Final = ProxySso.default()
HEADINGS: Final = ("Header", "Kind", "Group", "Sent by", "How sure", "Source")


def latin(text: str) -> bytes:
    return text.encode("latin-1")


def identities(names: Iterable[str], *, value: bytes = b"alice") -> dict[str, str | None]:
    """What each name alone makes of a request."""
    return {name: DEFAULT.identity_in([(latin(name), value)]) for name in names}


def table(rows: Iterable[CatalogueRow]) -> list[str]:
    """The rows as lines of Markdown; neighbours that differ in their name only share a line."""

    def line(*cells: str) -> str:
        return "| " + " | ".join(cells) + " |"

    def told(row: CatalogueRow) -> tuple[str, ...]:
        return row.kind, row.group, row.product, row.certainty, row.source

    lines = [line(*HEADINGS), "|" + "---|" * len(HEADINGS)]
    for (kind, group, *rest), members in groupby(rows, told):
        headers = " ".join(f"`{row.header}`" for row in members)
        lines.append(line(headers, kind, f"`{group}`", *rest))
    return lines


def section(heading: str) -> list[str]:
    """The table below a heading of the page."""
    text = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [line for line in text.splitlines() if line.startswith("|")]


@pytest.mark.parametrize("row", VECTORS["refused"], ids=lambda row: row["name"])
def test_an_identity_header_is_known_in_every_spelling(row: dict[str, Any]) -> None:
    assert identities(row["spellings"]) == dict.fromkeys(row["spellings"], row["folded"])


@pytest.mark.parametrize("row", VECTORS["refused"], ids=lambda row: row["name"])
def test_a_blank_identity_header_is_no_identity(row: dict[str, Any]) -> None:
    assert {
        blank: found
        for blank in VECTORS["values"]["blank"]
        if (found := DEFAULT.identity_in([(latin(row["name"]), latin(blank))]))
    } == {}


@pytest.mark.parametrize("family", VECTORS["passes"], ids=lambda family: family["family"])
def test_a_near_miss_passes_in_every_spelling(family: dict[str, Any]) -> None:
    spellings = [spelling for row in family["names"].values() for spelling in row]
    assert identities(spellings) == dict.fromkeys(spellings)


def test_the_corpus_has_at_least_250_refused_spellings() -> None:
    assert len({name for row in VECTORS["refused"] for name in row["spellings"]}) >= 250


def test_the_corpus_has_every_exact_name_of_the_catalogue() -> None:
    named = {row["folded"] for row in VECTORS["refused"]}
    assert {row.name for row in DEFAULT.rows() if row.kind == "exact"} - named == set()


def test_the_corpus_has_a_name_below_every_prefix_of_the_catalogue() -> None:
    stems = [row.name.removesuffix("*") for row in DEFAULT.rows() if row.kind == "prefix"]
    named = [row["folded"] for row in VECTORS["refused"]]
    assert [s for s in stems if not any(n.startswith(s) and n != s for n in named)] == []


def test_a_row_of_the_corpus_is_known_by_its_group_alone() -> None:
    missed = [
        row["name"]
        for row in VECTORS["refused"]
        if not ProxySso.only(row["group"]).matches(latin(row["name"]))
    ]
    assert missed == []


def test_a_row_of_the_corpus_passes_without_its_group() -> None:
    kept = [
        row["name"]
        for row in VECTORS["refused"]
        if ProxySso(without=[row["group"]]).matches(latin(row["name"]))
    ]
    assert kept == []


@pytest.mark.parametrize("value", VECTORS["values"]["present"])
def test_every_value_that_is_not_blank_is_an_identity(value: str) -> None:
    assert DEFAULT.identity_in([(b"x-remote-user", latin(value))]) == "x-remote-user"


def test_a_request_without_headers_carries_no_identity() -> None:
    assert DEFAULT.identity_in([]) is None


def test_a_second_line_of_a_blank_header_is_looked_at() -> None:
    headers = [(b"remote-user", b""), (b"remote-user", b" "), (b"remote-user", b"alice")]
    assert DEFAULT.identity_in(headers) == "remote-user"


def test_the_first_identity_is_named() -> None:
    headers = [(b"host", b"a"), (b"X_USER", b"\t"), (b"GAP_Auth", b"a"), (b"remote-user", b"b")]
    assert DEFAULT.identity_in(headers) == "gap-auth"


def test_white_space_around_a_name_is_no_part_of_it() -> None:
    assert DEFAULT.matches(b"\t Remote-User \t")


def test_white_space_within_a_name_is_folded() -> None:
    assert DEFAULT.matches(b"Remote User")


def test_a_prefix_needs_something_after_it() -> None:
    stems = [row.name.removesuffix("*") for row in DEFAULT.rows() if row.kind == "prefix"]
    assert [stem for stem in stems if DEFAULT.matches(stem.encode())] == []


def test_an_exception_wins_over_its_prefix() -> None:
    names = (b"X-authentik-meta-app", b"x_authentik_meta_jwks", b"Shib-Handler")
    assert [name for name in names if DEFAULT.matches(name)] == []


def test_an_exception_spares_no_name_that_only_begins_like_it() -> None:
    assert DEFAULT.matches(b"X-authentik-metadata")


def test_what_follows_a_prefix_may_be_no_ascii() -> None:
    name = "OIDC_CLAIM_prénom".encode("latin-1")
    assert DEFAULT.identity_in([(name, b"x")]) == "oidc-claim-pr-nom"


def test_a_name_of_no_ascii_at_all_passes() -> None:
    assert not DEFAULT.matches(bytes(range(128, 256)))


def test_letters_are_lowered_as_ascii_only() -> None:
    """U+212A, the Kelvin sign, lowers to a plain k where Unicode decides."""
    assert not ProxySso(extra=["X-Kind"]).matches("X-\u212aind".encode())


def test_a_long_name_below_a_prefix_is_an_identity_with_a_short_name() -> None:
    found = DEFAULT.identity_in([(b"X-Remote-Extra-" + b"a" * 100_000, b"x")])
    assert found == "x-remote-extra-".ljust(256, "a")


def test_a_long_name_that_begins_with_a_listed_one_passes() -> None:
    assert not DEFAULT.matches(b"Remote-User" + b"-" * 100_000)


def test_an_extra_name_of_full_length_is_known_behind_a_cgi_mark() -> None:
    name = "X-" + "a" * 126
    assert ProxySso(extra=[name]).matches(f"HTTP_{name}".encode())


def test_the_doubled_cgi_mark_changes_nothing() -> None:
    assert DEFAULT.matches(b"HTTP_HTTP_REMOTE_USER")


@pytest.mark.parametrize("case", VECTORS["environ"]["refused"], ids=lambda case: case["folded"])
def test_a_variable_that_the_server_set_is_an_identity(case: dict[str, Any]) -> None:
    assert DEFAULT.identity_in_environ(case["variables"]) == case["folded"]


@pytest.mark.parametrize("variables", VECTORS["environ"]["passes"], ids="+".join)
def test_variables_without_an_identity_pass(variables: dict[str, object]) -> None:
    assert DEFAULT.identity_in_environ(variables) is None


@pytest.mark.parametrize("value", [None, "", " \t", b"", b" "])
def test_a_blank_variable_is_no_identity(value: object) -> None:
    assert DEFAULT.identity_in_environ({"REMOTE_USER": value}) is None


@pytest.mark.parametrize("value", ["alice", b"alice", 0, object()])
def test_a_variable_that_is_not_blank_is_an_identity(value: object) -> None:
    assert DEFAULT.identity_in_environ({"REMOTE_USER": value}) == "remote-user"


def test_a_variable_beyond_latin_1_is_no_error() -> None:
    assert DEFAULT.identity_in_environ({"OIDC_CLAIM_\u540d": "x"}) == "oidc-claim--"


def test_an_allowed_variable_passes() -> None:
    allowed = ProxySso(allow=["REMOTE_USER", "LOGON_USER"])
    assert allowed.identity_in_environ({"REMOTE_USER": "a", "LOGON_USER": "a"}) is None


def test_the_servers_own_variables_are_a_group() -> None:
    assert ProxySso(without=["cgi"]).identity_in_environ({"LOGON_USER": "a"}) is None


def test_a_variable_is_no_header() -> None:
    assert not DEFAULT.matches(b"Logon-User")


def test_an_extra_name_is_known_in_every_spelling() -> None:
    mine = ProxySso(extra=["X-Corp-User"])
    assert mine.matches(b"x_corp.USER")


def test_an_extra_name_may_be_written_as_a_cgi_variable() -> None:
    assert ProxySso(extra=["HTTP_X_CORP_USER"]).matches(b"X-Corp-User")


def test_an_extra_star_makes_a_prefix() -> None:
    mine = ProxySso(extra=["X-Corp-Claim-*"])
    assert [mine.matches(b"x-corp-claim-mail"), mine.matches(b"x-corp-claim-")] == [True, False]


def test_an_extra_name_wins_over_the_catalogues_exception() -> None:
    mine = ProxySso(extra=["Shib-Handler", "X-authentik-meta-*"])
    assert [mine.matches(b"Shib-Handler"), mine.matches(b"X-authentik-meta-app")] == [True, True]


def test_a_shorter_prefix_covers_what_a_longer_one_equals() -> None:
    assert ProxySso(extra=["X-authen*"]).matches(b"X-authentik-")


@pytest.mark.parametrize("allow", ["X-Corp-User", "x_corp_*", "X-Corp-U*", "HTTP_X_CORP_USER"])
def test_what_is_allowed_wins_over_everything(allow: str) -> None:
    assert not ProxySso(extra=["X-Corp-User", "X-Corp-*"], allow=[allow]).matches(b"X-Corp-User")


def test_allowing_one_name_leaves_its_neighbours() -> None:
    mine = ProxySso(allow=["X-User"])
    assert [mine.matches(b"X-User"), mine.matches(b"X-Email")] == [False, True]


def test_groups_off_by_default_pass() -> None:
    names = (b"X-Forwarded-Client-Cert", b"Impersonate-User", b"X-Auth-Token", b"X-User-Id")
    assert [name for name in names if DEFAULT.matches(name)] == []


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("client-certificate", b"X-Forwarded-Client-Cert"),
        ("client-certificate", b"ssl-client-subject-dn"),
        ("client-certificate", b"X-Amzn-Mtls-Clientcert-Leaf"),
        ("client-certificate", b"X-Amzn-Mtls-Clientcert"),
        ("client-certificate", b"X-Client-Certificate"),
        ("impersonation", b"Impersonate-Extra-scopes"),
        ("foreign-credentials", b"X-Auth-Token"),
        ("generic", b"X-User-Id"),
    ],
)
def test_a_group_can_be_turned_on(group: str, name: bytes) -> None:
    assert ProxySso.default().with_groups(group).matches(name)


def test_turning_a_group_on_keeps_the_rest() -> None:
    mine = ProxySso(extra=["X-Corp-User"], allow=["X-User"], without=["aws"])
    more = mine.with_groups("generic")
    assert (more.extra, more.allow, more.groups) == (
        mine.extra,
        mine.allow,
        mine.groups | {"generic"},
    )


def test_turning_a_group_on_leaves_the_original_alone() -> None:
    mine = ProxySso()
    mine.with_groups("generic")
    assert mine == ProxySso.default()


def test_turning_a_group_on_where_none_is_turns_on_no_other() -> None:
    assert ProxySso(groups=()).with_groups("generic").groups == {"generic"}


def test_a_group_off_by_default_joins_the_default_ones() -> None:
    assert ProxySso(groups=["generic"]).groups == DEFAULT_GROUPS | {"generic"}


def test_a_default_group_named_stands_for_itself() -> None:
    assert ProxySso(groups=["nifi", "generic"]).groups == {"nifi", "generic"}


def test_no_groups_leave_the_extra_names_only() -> None:
    mine = ProxySso(extra=["X-Corp-User"], groups=())
    assert [mine.matches(b"X-Corp-User"), mine.matches(b"Remote-User")] == [True, False]


def test_a_product_can_be_used_alone() -> None:
    one = ProxySso.only("oauth2-proxy", extra=["X-Corp-User"], allow=["GAP-Auth"])
    names = (b"X-Forwarded-User", b"X-Corp-User", b"GAP-Auth", b"X-Webauth-User", b"Remote-User")
    assert [one.matches(name) for name in names] == [True, True, False, False, False]


@pytest.mark.parametrize("group", sorted(DEFAULT_GROUPS | OPTIONAL_GROUPS))
def test_every_group_can_be_used_alone(group: str) -> None:
    assert ProxySso.only(group).groups == {group, "cgi"}


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("authelia", b"Remote-User"),
        ("kubernetes", b"X-Remote-User"),
        ("manageiq", b"X-Remote-User"),
        ("jenkins", b"X-Forwarded-User"),
        ("oauth2-proxy", b"X-User"),
    ],
)
def test_a_product_alone_brings_the_names_that_it_shares(group: str, name: bytes) -> None:
    assert ProxySso.only(group).matches(name)


def test_a_product_alone_keeps_the_servers_variables() -> None:
    assert ProxySso.only("shibboleth").identity_in_environ({"REMOTE_USER": "a"}) == "remote-user"


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "*",
        "X-*",
        "ab*",
        "HTTP_*",
        "HTTP_X_*",
        "X-Us*er",
        "X-**",
        "X User",
        " X-User",
        "X-User:",
        "X-Üser",
        "X-User\n",
        "X-\udcff",
        "HTTP_",
        "---",
        "___*",
        "a" * 129,
    ],
)
@pytest.mark.parametrize("option", ["extra", "allow"])
def test_a_name_that_cannot_work_is_a_configuration_error(option: str, bad: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{option}: "):
        ProxySso(**{option: [bad]})


@pytest.mark.parametrize(
    "bad",
    [
        "Authorization",
        "cookie",
        "User_Agent",
        "Host",
        "X-Request-ID",
        "HTTP_X_CSRF_TOKEN",
        "traceparent",
        "Sec-Fetch-User",
        "Sec-Anything",
        "Sec-*",
        "Sec-Fetch-*",
        "sec*",
        "User-*",
        "auth*",
        "X-Req*",
        "cookie*",
    ],
)
def test_what_ordinary_clients_send_cannot_be_an_extra_name(bad: str) -> None:
    with pytest.raises(ConfigurationError, match="every request would be refused"):
        ProxySso(extra=[bad])


def test_what_ordinary_clients_send_may_be_allowed() -> None:
    assert ProxySso(allow=["User-Agent"]).allow == ("user-agent",)


@pytest.mark.parametrize("option", ["without", "groups"])
def test_an_unknown_group_is_a_configuration_error_that_lists_the_known(option: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        ProxySso(**{option: ["oauth2proxy"]})
    known = ", ".join(sorted(DEFAULT_GROUPS | OPTIONAL_GROUPS))
    assert str(error.value) == f"{option}: unknown 'oauth2proxy'; the groups are: {known}"


def test_an_unknown_group_cannot_be_turned_on() -> None:
    with pytest.raises(ConfigurationError, match=r"the groups are: .*client-certificate"):
        DEFAULT.with_groups("client-certificates")


def test_an_unknown_group_cannot_be_used_alone() -> None:
    with pytest.raises(ConfigurationError, match=r"the groups are: .*authelia"):
        ProxySso.only("Authelia")


def test_alone_needs_a_group() -> None:
    with pytest.raises(ConfigurationError, match=r"the groups are: .*authelia"):
        ProxySso.only()


@pytest.mark.parametrize("option", ["extra", "allow", "without", "groups"])
@pytest.mark.parametrize("bad", ["X-Corp-User", b"X-Corp-User", [b"X-Corp-User"], [None]])
def test_a_single_text_is_not_taken_for_its_letters(option: str, bad: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"^{option} takes a sequence of texts"):
        ProxySso(**{option: bad})


def test_names_may_come_from_a_generator() -> None:
    assert ProxySso(extra=(name for name in ["X-Corp-User"])).extra == ("x-corp-user",)


def test_it_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        DEFAULT.extra = ("x-corp-user",)  # type: ignore[misc]


def test_two_made_alike_are_equal() -> None:
    one = ProxySso(extra=["X_CORP_USER", "X-Corp-User"], without=["aws"])
    other = ProxySso(extra=["x-corp-user"], groups=DEFAULT_GROUPS - {"aws"})
    assert (one, hash(one)) == (other, hash(other))


def test_two_made_otherwise_are_not_equal() -> None:
    assert ProxySso(allow=["X-User"]) != DEFAULT


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])  # noqa: S301 - our own
def test_a_copy_judges_alike(clone: Any) -> None:
    assert clone(DEFAULT).identity_in([(b"REMOTE_USER", b"a")]) == "remote-user"


def test_no_harmless_name_asserts_an_identity() -> None:
    assert [name for name in HARMLESS if DEFAULT.matches(name)] == []


def test_harmless_names_are_in_lower_case() -> None:
    assert {name.lower().strip() for name in HARMLESS} == HARMLESS


def test_authorization_is_not_harmless() -> None:
    """Whoever skips the harmless names counts that one."""
    assert b"authorization" not in HARMLESS


def test_the_near_misses_of_the_corpus_are_harmless() -> None:
    families = [family for family in VECTORS["passes"] if "ordinary" not in family["family"]]
    names = {latin(name.lower()) for family in families[:-2] for name in family["names"]}
    assert names - HARMLESS == set()


def test_the_default_leaves_all_harmless_names() -> None:
    assert DEFAULT.harmless() == HARMLESS


def test_an_extra_name_is_no_longer_harmless() -> None:
    mine = ProxySso(extra=["X-Citrix-*", "X-Real-IP"])
    assert HARMLESS - mine.harmless() == {b"x-citrix-via", b"x-citrix-gateway", b"x-real-ip"}


def test_a_group_turned_on_is_no_longer_harmless() -> None:
    mine = DEFAULT.with_groups("foreign-credentials")
    assert HARMLESS - mine.harmless() == {b"x-auth-token"}


def test_the_rows_are_those_of_the_groups_in_force() -> None:
    assert {row.group for row in ProxySso(without=["aws"]).rows()} == DEFAULT_GROUPS - {"aws"}


def test_the_default_has_so_many_rows() -> None:
    kinds = [row.kind for row in DEFAULT.rows()]
    counts = {kind: kinds.count(kind) for kind in ("exact", "prefix", "except", "environ")}
    assert counts == {"exact": 132, "prefix": 21, "except": 4, "environ": 2}


def test_a_prefix_has_a_star_in_its_row() -> None:
    assert all(row.name.endswith("*") for row in DEFAULT.rows() if row.kind == "prefix")


def test_an_extra_name_has_a_row() -> None:
    assert ProxySso(extra=["X_Corp_*"], groups=()).rows() == [
        CatalogueRow("x-corp-*", "x-corp-*", "prefix", "extra", "", "configured", "")
    ]


def test_an_extra_name_that_the_catalogue_knows_keeps_its_product() -> None:
    (row,) = ProxySso(extra=["x_user_id"], groups=()).rows()
    assert (row.header, row.group) == ("X-User-Id", "generic")


def test_an_extra_name_that_is_in_force_has_one_row() -> None:
    assert ProxySso(extra=["Remote-User"]).rows() == DEFAULT.rows()


def test_an_allowed_name_takes_the_place_of_what_it_covers() -> None:
    mine = ProxySso(allow=["Osso-*"], groups=["oracle"], extra=["Osso-Other"])
    ours = [row for row in mine.rows() if "osso" in row.name]
    assert ours == [CatalogueRow("osso-*", "osso-*", "allow", "allow", "", "configured", "")]


def test_every_unverified_row_says_so() -> None:
    rows = DEFAULT.with_groups(*OPTIONAL_GROUPS).rows()
    assert [row for row in rows if (row.certainty == "unverified") != (row.source == "")] == []


def test_the_page_shows_the_list_in_force() -> None:
    expected = table(DEFAULT.rows())
    assert section("The list") == expected, "the table should be:\n" + "\n".join(expected)


def test_the_page_shows_what_is_off_by_default() -> None:
    rows = [row for row in ProxySso.only(*OPTIONAL_GROUPS).rows() if row.group in OPTIONAL_GROUPS]
    expected = table(rows)
    assert section("Off by default") == expected, "the table should be:\n" + "\n".join(expected)


def test_the_pages_examples_run() -> None:
    code = [block.partition("```")[0] for block in PAGE.split("```python\n")[1:]]
    exec("\n".join(code), {})  # noqa: S102 - our own page
