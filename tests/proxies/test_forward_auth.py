"""The examples, each run by its proxy: what passes, what does not, and the traps they avoid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.proxies.attacks import ATTACKS, Attack, Outcome, alice
from tests.proxies.products import EXAMPLES, proxy
from tests.proxies.verdicts import DOWN, PRODUCTS, ROWS, STOPPED, measure, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.proxies.world import World

ALL: Final = {attack.name: attack for attack in (*ATTACKS, STOPPED, DOWN)}
VALID, FORGED_USER = ALL["valid token"], ALL["X-Bearer-Guard-User"]


@pytest.fixture(scope="module", params=PRODUCTS)
def measured(request: pytest.FixtureRequest, around: World) -> tuple[str, dict[str, Outcome]]:
    """A product, and what it has made of each attack."""
    return request.param, measure(request.param, around)


@pytest.mark.parametrize("row", ROWS)
def test_nothing_gets_past(row: str, measured: tuple[str, dict[str, Outcome]]) -> None:
    outcome = measured[1][row]
    assert ALL[row].must(outcome), outcome


def test_the_page_says_what_is_so(measured: tuple[str, dict[str, Outcome]]) -> None:
    name, outcomes = measured
    assert read()[name] == {row: str(outcome) for row, outcome in outcomes.items()}


def test_a_store_that_does_not_answer_is_said_honestly(
    measured: tuple[str, dict[str, Outcome]],
) -> None:
    assert measured[1][STOPPED.name].answer.status == 503


def test_every_folder_of_examples_is_of_a_product_under_test() -> None:
    assert {folder.name for folder in EXAMPLES.iterdir()} == {*PRODUCTS, "apache"}


# The traps: what would happen if a line of the example were not there.


def without(*lines: str) -> Callable[[str], str]:
    """Takes lines away from a configuration, those that begin so."""

    def edit(text: str) -> str:
        kept = [line for line in text.splitlines() if not line.strip().startswith(lines)]
        return "\n".join(kept) + "\n"

    return edit


def put(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new)


def outcome_of(
    around: World, name: str, attack: Attack, edit: Callable[[str], str], guard: int | None = None
) -> Outcome:
    port_of_guard = around.guard if guard is None else guard
    with proxy(name, guard=port_of_guard, service=around.backend.port, edit=edit) as (port, _):
        return attack.make(around, port)


def test_nginx_makes_500_of_503_without_the_error_page(around: World) -> None:
    edit = without("error_page")
    outcome = outcome_of(around, "nginx", STOPPED, edit, around.storeless)
    assert (outcome.refused, outcome.answer.status) == (True, 500)


def test_nginx_sends_no_header_that_is_empty(around: World) -> None:
    outcome = outcome_of(around, "nginx", ALL["valid token without scopes"], str)
    assert "X-Bearer-Guard-Scopes" not in dict(outcome.seen[0].headers)


def test_caddy_without_route_lets_a_made_up_user_be_all_there_is(around: World) -> None:
    """It runs forward_auth first, and the cleaning up takes its answer away."""
    outcome = outcome_of(around, "caddy", VALID, put("route {", "handle {"))
    assert not alice(outcome)


def test_envoy_hides_other_identities_without_allowed_headers(around: World) -> None:
    edit = put('safe_regex: {regex: ".+"}', "exact: authorization")
    outcome = outcome_of(around, "envoy", ALL["X-Remote-User"], edit)
    assert outcome.answer.status == 200


def test_traefik_passes_on_underscores_unless_it_is_told(around: World) -> None:
    outcome = outcome_of(
        around, "traefik", ALL["X_Bearer_Guard_User"], without("aliasHeadersStrategy")
    )
    assert "root" in outcome.users


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("haproxy", without("http-request del-header ^x")),
        ("envoy", without("- remove_on_match", "key_matcher", 'safe_regex: {regex: "x[')),
    ],
)
def test_other_spellings_get_past_where_they_are_not_cleared(
    name: str, edit: Callable[[str], str], around: World
) -> None:
    outcome = outcome_of(around, name, ALL["X-Bearer.Guard-User"], edit)
    assert "root" in outcome.users


def test_caddy_passes_an_upgrade_to_the_endpoint_and_websockets_go_on(around: World) -> None:
    """Where the example's three lines are missing: the endpoint can answer that too."""
    edit = without("header_up -Upgrade", "header_up -Connection", "header_up -Sec")
    assert alice(outcome_of(around, "caddy", ALL["WebSocket"], edit))
    refused = outcome_of(around, "caddy", ALL["WebSocket, no token"], edit)
    assert (refused.refused, refused.answer.status) == (True, 401)
