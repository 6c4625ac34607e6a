"""Proxy identities in odd header lists: a model, and what no spelling may change."""

import re
from typing import Final

from hypothesis import assume, example, given
from hypothesis import strategies as st

from bearer_guard.proxy_sso import DEFAULT_GROUPS, HARMLESS, OPTIONAL_GROUPS, ProxySso

DEFAULT: Final = ProxySso.default()
ROWS: Final = DEFAULT.rows()
EXACT: Final = [row.name for row in ROWS if row.kind == "exact"]
PREFIXES: Final = [row.name.removesuffix("*") for row in ROWS if row.kind == "prefix"]
EXCEPTIONS: Final = [row.name for row in ROWS if row.kind == "except"]
LETTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
# Whatever folds to "-". At either end of a name, white space is no part of it.
SEPARATORS: Final = [chr(code) for code in range(256) if chr(code) not in LETTERS + LETTERS.upper()]
AT_END: Final = [sign for sign in SEPARATORS if sign not in " \t"]


def fold(name: bytes) -> str:
    text = name.decode("latin-1").strip(" \t")[:256]
    lowered = "".join(char.lower() if char.isascii() else "-" for char in text)
    return re.sub("^(http-)+", "", re.sub("[^a-z0-9]", "-", lowered))


def model(name: bytes) -> bool:
    """The rules of matching as prose has them: slow, and sharing no line with the code."""
    folded = fold(name)
    below = any(folded.startswith(stem) and len(folded) > len(stem) for stem in PREFIXES)
    excepted = any(re.fullmatch(row.replace("*", ".+"), folded) for row in EXCEPTIONS)
    return folded in EXACT or (below and not excepted)


@st.composite
def respelled(draw: st.DrawFn, name: str) -> bytes:
    """The folded name in some spelling: any case, any separators, white space around it."""
    case = draw(st.lists(st.booleans(), min_size=len(name), max_size=len(name)))
    cased = "".join(char.upper() if up else char for char, up in zip(name, case, strict=True))
    spelled = "".join(
        draw(st.sampled_from(SEPARATORS if 0 < at < len(name) - 1 else AT_END))
        if char == "-"
        else char
        for at, char in enumerate(cased)
    )
    mark = draw(st.sampled_from(["", "", "HTTP_", "http-"]))
    around = st.text(" \t", max_size=2)
    return (draw(around) + mark + spelled + draw(around)).encode("latin-1")


SUFFIXES: Final = st.text(LETTERS, min_size=1, max_size=12)
IDENTITIES: Final = st.one_of(
    st.sampled_from(EXACT),
    st.builds(str.__add__, st.sampled_from(PREFIXES), SUFFIXES),
).filter(lambda name: model(name.encode()))
SPELLED: Final = IDENTITIES.flatmap(respelled)
NEAR: Final = (
    st.sampled_from(sorted(HARMLESS)).map(bytes.decode).map(lambda name: fold(latin(name)))
)
BLANKS: Final = st.text(" \t", max_size=3).map(str.encode)
VALUES: Final = st.one_of(BLANKS, st.binary(max_size=12))
# Names that chance would never meet: cut, joined and lengthened ones among them.
ODD: Final = st.one_of(
    st.binary(max_size=40),
    st.builds(bytes.__add__, SPELLED, st.binary(max_size=4)),
    st.builds(bytes.__add__, st.binary(max_size=4), SPELLED),
    SPELLED.map(lambda name: name[:-1]),
    st.sampled_from(PREFIXES).flatmap(respelled),
    NEAR.flatmap(respelled),
    SPELLED,
)
HEADERS: Final = st.lists(st.tuples(ODD, VALUES), max_size=12)
TOKENS: Final = st.from_regex(r"[A-Za-z0-9]{3}[A-Za-z0-9!#$%&'+.^_`|~-]{0,20}", fullmatch=True)


def latin(text: str) -> bytes:
    return text.encode("latin-1")


@given(SPELLED)
def test_an_identity_is_known_in_every_spelling(name: bytes) -> None:
    assert DEFAULT.identity_in([(name, b"alice")]) == fold(name)


@given(NEAR.flatmap(respelled))
def test_a_near_miss_passes_in_every_spelling(name: bytes) -> None:
    assert DEFAULT.identity_in([(name, b"alice")]) is None


@given(st.sampled_from(PREFIXES).flatmap(respelled))
def test_a_prefix_that_nothing_follows_passes(name: bytes) -> None:
    assert not DEFAULT.matches(name)


@given(ODD)
@example(b"X-Remote-Extra-" + b"a" * 300)
@example(b"Remote-User" + b" " * 300)
@example(b" " * 300 + b"Remote-User")
def test_a_name_is_judged_as_by_the_model(name: bytes) -> None:
    assert DEFAULT.matches(name) == model(name)


@given(HEADERS)
def test_a_request_is_judged_as_by_the_model(headers: list[tuple[bytes, bytes]]) -> None:
    asserted = [fold(name) for name, value in headers if value.strip(b" \t") and model(name)]
    assert DEFAULT.identity_in(headers) == (asserted[0] if asserted else None)


@given(HEADERS)
def test_the_order_of_headers_decides_nothing_but_the_name(
    headers: list[tuple[bytes, bytes]],
) -> None:
    backwards = headers[::-1]
    assert (DEFAULT.identity_in(headers) is None) == (DEFAULT.identity_in(backwards) is None)


@given(HEADERS, SPELLED, BLANKS)
def test_a_blank_line_changes_nothing(
    headers: list[tuple[bytes, bytes]], name: bytes, blank: bytes
) -> None:
    assert DEFAULT.identity_in([(name, blank), *headers]) == DEFAULT.identity_in(headers)


@given(HEADERS, HEADERS, SPELLED)
def test_no_other_header_hides_an_identity(
    before: list[tuple[bytes, bytes]], after: list[tuple[bytes, bytes]], name: bytes
) -> None:
    assert DEFAULT.identity_in([*before, (name, b"alice"), *after]) is not None


@given(st.sampled_from(PREFIXES).flatmap(respelled), st.binary(max_size=600), st.binary())
def test_what_is_told_of_a_request_is_short_and_plain(
    stem: bytes, rest: bytes, value: bytes
) -> None:
    told = DEFAULT.identity_in([(stem + rest, value)])
    assert told is None or re.fullmatch("[a-z0-9-]{1,256}", told)


@given(TOKENS, st.data())
def test_an_extra_name_is_known_in_every_spelling(token: str, data: st.DataObject) -> None:
    folded = fold(latin(token))
    assume(latin(folded) not in HARMLESS | {b"authorization"} and not folded.startswith("sec-"))
    assume(folded.strip("-"))
    mine = ProxySso(extra=[token], groups=())
    assert mine.matches(data.draw(respelled(folded)))


@given(SPELLED, st.sampled_from(["", "*"]))
def test_an_allowed_name_never_asserts(name: bytes, star: str) -> None:
    allowed = fold(name)[: -1 if star else None] + star
    mine = ProxySso(extra=[fold(name)], allow=[allowed])
    assert mine.identity_in([(name, b"alice")]) is None


@given(st.sets(st.sampled_from(sorted(DEFAULT_GROUPS))), SPELLED)
def test_fewer_groups_never_refuse_more(groups: set[str], name: bytes) -> None:
    fewer = ProxySso(groups=groups)
    assert not fewer.matches(name) or DEFAULT.matches(name)


@given(st.sets(st.sampled_from(sorted(DEFAULT_GROUPS))), SPELLED)
def test_what_is_kept_and_what_is_left_out_make_the_whole(groups: set[str], name: bytes) -> None:
    kept, rest = ProxySso(groups=groups), ProxySso(without=groups)
    assert kept.matches(name) != rest.matches(name)


@given(
    st.lists(TOKENS.filter(lambda token: len(token) > 12), max_size=3),
    st.sets(st.sampled_from(sorted(OPTIONAL_GROUPS))),
)
def test_a_harmless_name_never_asserts(extra: list[str], groups: set[str]) -> None:
    mine = ProxySso(extra=[f"X-{name}" for name in extra]).with_groups(*groups)
    assert not any(mine.matches(name) for name in mine.harmless())


@given(IDENTITIES, st.integers(0, 3), st.sampled_from(["_", "-"]))
def test_a_servers_variable_is_known_behind_redirects(name: str, hops: int, sign: str) -> None:
    variable = "REDIRECT_" * hops + name.upper().replace("-", sign)
    assert DEFAULT.identity_in_environ({"AUTH_TYPE": "x", variable: "alice"}) == name


@given(st.dictionaries(st.text(max_size=30), st.none() | st.text(max_size=5) | st.binary()))
def test_no_environment_is_an_error(environ: dict[str, object]) -> None:
    found = DEFAULT.identity_in_environ(environ)
    assert found is None or re.fullmatch("[a-z0-9-]{1,256}", found)


@given(SPELLED)
def test_variables_of_headers_are_left_to_the_headers(name: bytes) -> None:
    variable = "HTTP_" + name.decode("latin-1")
    assert DEFAULT.identity_in_environ({variable: "alice"}) is None
