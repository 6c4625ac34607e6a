"""The examples, each run by its proxy: what passes, what does not, and the traps they avoid."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import pytest

from tests.proxies.attacks import ATTACKS, Attack, Outcome, alice
from tests.proxies.corpus import GOT_THROUGH, REFUSED
from tests.proxies.products import EXAMPLES, proxy
from tests.proxies.verdicts import (
    APACHE,
    DOWN,
    PRODUCTS,
    ROWS,
    STOPPED,
    Measured,
    Spelt,
    measure,
    read,
    read_spelt,
    spell_to_apache,
)
from tests.support import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.proxies.world import World

ALL: Final = {attack.name: attack for attack in (*ATTACKS, STOPPED, DOWN)}
VALID, FORGED_USER = ALL["valid token"], ALL["X-Bearer-Guard-User"]


@pytest.fixture(scope="module", params=PRODUCTS)
def measured(request: pytest.FixtureRequest, around: World) -> tuple[str, Measured]:
    """A product, and what it has made of each attack."""
    return request.param, measure(request.param, around)


@pytest.mark.parametrize("row", ROWS)
def test_nothing_gets_past(row: str, measured: tuple[str, Measured]) -> None:
    outcome = measured[1].outcomes[row]
    assert ALL[row].must(outcome), outcome


def test_the_page_says_what_is_so(measured: tuple[str, Measured]) -> None:
    name, (outcomes, spelt) = measured
    assert read()[name] == {row: str(outcome) for row, outcome in outcomes.items()}
    assert read_spelt()[name] == spelt.cells()


def test_a_store_that_does_not_answer_is_said_honestly(measured: tuple[str, Measured]) -> None:
    assert measured[1].outcomes[STOPPED.name].answer.status == 503


def check_spelt(spelt: Spelt) -> None:
    assert spelt.found.total() > 250
    assert spelt.found[REFUSED] > 200
    assert spelt.found[GOT_THROUGH] == 0
    assert spelt.missed[GOT_THROUGH] > 100
    assert spelt.missed[REFUSED] == 0


def test_invariant_7_through_a_proxy_no_identity_gets_by_and_near_misses_do(
    measured: tuple[str, Measured],
) -> None:
    check_spelt(measured[1].spelt)


def test_invariant_7_behind_apache_too(around: World) -> None:
    spelt = spell_to_apache(around)
    check_spelt(spelt)
    assert read_spelt()[APACHE] == spelt.cells()


def test_our_own_programs_have_an_answer_for_everything(
    measured: tuple[str, Measured], around: World
) -> None:
    """And never a traceback, whatever the proxy makes of a request."""
    del measured
    assert "Traceback" not in around.logs()


def test_an_endpoint_that_comes_back_is_asked_again(around: World) -> None:
    """Connections that were kept are dead then: a proxy tries anew, and the verdict is the same."""
    guard = free_port()
    with ExitStack() as stack:
        ports = {}
        with around.another(guard) as first:
            for name in PRODUCTS:
                ports[name], _ = stack.enter_context(
                    proxy(name, guard=guard, service=around.backend.port)
                )
                assert alice(VALID.make(around, ports[name])), name
            first.kill()
        with around.another(guard):
            for name, port in ports.items():
                assert alice(VALID.make(around, port)), name
                assert ALL["forged token"].must(ALL["forged token"].make(around, port)), name


def test_every_folder_of_examples_is_of_a_product_under_test() -> None:
    assert {folder.name for folder in EXAMPLES.iterdir()} == {*PRODUCTS, APACHE}


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
