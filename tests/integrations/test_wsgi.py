"""WSGI: the guard on a loop of its own, in front of Flask and of whatever else."""

from __future__ import annotations

import asyncio
import os
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx2
import pytest
from flask import Flask, request

from bearer_guard import Policy
from bearer_guard.events import RequestRefused
from bearer_guard.integrations.wsgi import BearerGuardWSGI
from bearer_guard.issuing import Issuer, Principal
from tests.integrations.support import CASES, OWNER, SCOPE, Setting, check
from tests.integrations.support_wsgi import ask_wsgi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ALICE = Principal(OWNER, may_generate=True)


def flask() -> Flask:
    app = Flask(__name__)

    @app.route("/reports", methods=["GET", "POST"])
    @app.get("/pub/<word>")
    @app.get("/grüße")
    def reports(word: str = "") -> str:
        token = request.environ["bearer_guard.token"]
        assert (token and token.owner) == request.remote_user or word
        return f"{request.remote_user}"

    return app


@pytest.fixture
def setting() -> Setting:
    return Setting()


@pytest.fixture
def guarded(setting: Setting) -> Iterator[Callable[..., BearerGuardWSGI]]:
    made: list[BearerGuardWSGI] = []

    def make(**options: Any) -> BearerGuardWSGI:
        made.append(BearerGuardWSGI(flask().wsgi_app, **{**setting.options, **options}))
        return made[-1]

    yield make
    for guard in made:
        guard.close()


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_is_that_of_the_table(
    guarded: Callable[..., BearerGuardWSGI], setting: Setting, name: str
) -> None:
    check(ask_wsgi(guarded(scopes=[SCOPE]), setting.headers(CASES[name])), CASES[name])


@pytest.mark.parametrize("value", ["{},", "{}\t", "{}, "])
def test_a_comma_alone_makes_no_list(
    guarded: Callable[..., BearerGuardWSGI], setting: Setting, value: str
) -> None:
    name, good = setting.bearer("good")
    case = CASES["good"] if value == "{}\t" else CASES["malformed"]
    check(ask_wsgi(guarded(), [(name, value.format(good))]), case)


def test_an_identity_of_the_server_itself_is_refused_beside_a_token(
    guarded: Callable[..., BearerGuardWSGI], setting: Setting
) -> None:
    answer = ask_wsgi(guarded(), [setting.bearer("good")], REMOTE_USER="mallory")
    check(answer, CASES["proxy identity and a token"])
    assert [event.header for event in setting.events if isinstance(event, RequestRefused)] == [
        "remote-user"
    ]


def test_an_identity_of_the_server_itself_is_nobody_without_a_token(
    guarded: Callable[..., BearerGuardWSGI],
) -> None:
    check(ask_wsgi(guarded(), [], REMOTE_USER="mallory"), CASES["nothing"])
    assert ask_wsgi(guarded(optional=True), [], REMOTE_USER="mallory").body == b"None"


def test_an_exempt_path_is_left_as_the_server_made_it(
    guarded: Callable[..., BearerGuardWSGI],
) -> None:
    app = guarded(exempt=["/pub/*"])
    assert ask_wsgi(app, [], path="/pub/x", REMOTE_USER="mallory").body == b"mallory"
    check(ask_wsgi(app, [], path="/pub/../reports"), CASES["nothing"])


def test_paths_are_those_of_asgi(guarded: Callable[..., BearerGuardWSGI]) -> None:
    app = guarded(exempt=["/app/reports", "/grüße"])
    assert ask_wsgi(app, [], path="/reports", SCRIPT_NAME="/app").status == 200
    assert ask_wsgi(app, [], path="/grüße".encode().decode("latin-1")).status == 200
    check(ask_wsgi(app, []), CASES["nothing"])


def test_a_token_of_a_network_is_good_from_there_only(
    guarded: Callable[..., BearerGuardWSGI], setting: Setting
) -> None:
    token = setting.token(networks=["192.0.2.0/24"])
    app, headers = guarded(), [("authorization", f"Bearer {token}")]
    assert ask_wsgi(app, headers).status == 200
    assert ask_wsgi(app, headers, REMOTE_ADDR="198.51.100.1").status == 403
    assert ask_wsgi(app, headers, REMOTE_ADDR="").status == 403  # a Unix socket


def test_a_token_that_is_ended_through_the_guards_loop_is_refused_at_once(
    guarded: Callable[..., BearerGuardWSGI], setting: Setting
) -> None:
    app = guarded()
    issuer = Issuer(setting.store, setting.keyring, clock=setting.clock, listeners=())
    app.run(setting.store.set_policy(Policy(users_may_generate=True)))
    issued = app.run(issuer.create(ALICE, lifetime=timedelta(hours=1)))
    headers = [("authorization", f"Bearer {issued.value}")]
    assert ask_wsgi(app, headers).status == 200
    app.run(issuer.delete(ALICE, issued.record.id))
    check(ask_wsgi(app, headers), CASES["deleted"])


def test_many_threads_are_served_by_one_loop(
    guarded: Callable[..., BearerGuardWSGI], setting: Setting
) -> None:
    app, statuses = guarded(), []

    def client() -> None:
        statuses.extend(ask_wsgi(app, [setting.bearer("good")]).status for _ in range(20))

    threads = [threading.Thread(target=client) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 160
    assert [thread.name for thread in threading.enumerate()].count("bearer-guard") == 1
    assert len(setting.store.fetches) == 1


def test_closing_tells_the_store_what_was_used_and_stops_the_thread(
    guarded: Callable[..., BearerGuardWSGI], setting: Setting
) -> None:
    app = guarded()
    ask_wsgi(app, [setting.bearer("good")])
    (thread,) = [one for one in threading.enumerate() if one.name == "bearer-guard"]
    app.close()
    thread.join(5)
    assert not thread.is_alive()
    assert len(setting.store.touched) == 1
    assert ask_wsgi(app, [setting.bearer("good")]).status == 200  # it starts anew


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # it is what is tested
def test_a_forked_worker_has_a_loop_of_its_own(
    guarded: Callable[..., BearerGuardWSGI], setting: Setting
) -> None:
    app = guarded()
    assert ask_wsgi(app, [setting.bearer("good")]).status == 200
    child = os.fork()
    if not child:
        status = 0
        try:
            status = ask_wsgi(app, [setting.bearer("expired")]).status
        finally:
            os._exit(status == 401)
    _, ended = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(ended) == 1


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - wsgiref's


def test_behind_a_real_server_two_headers_are_refused_as_two(
    guarded: Callable[..., BearerGuardWSGI], setting: Setting
) -> None:
    with make_server("127.0.0.1", 0, guarded(), handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/reports"
            with httpx2.Client() as client:
                good, two = (
                    client.get(url, headers=[setting.bearer("good")] * times) for times in (1, 2)
                )
        finally:
            server.shutdown()
            thread.join()
    assert (good.status_code, good.text) == (200, OWNER)
    assert (two.status_code, two.headers["www-authenticate"]) == (400, CASES["two headers"].words)


def test_it_works_with_a_store_that_is_named_by_a_url(setting: Setting, tmp_path: Path) -> None:
    app = BearerGuardWSGI(
        flask().wsgi_app, store=f"sqlite:///{tmp_path}/t.db", keyring=setting.keyring
    )
    check(ask_wsgi(app, setting.headers(CASES["unknown"])), CASES["unknown"])
    app.close()


def test_within_an_event_loop_it_does_not_hold_itself_up(
    guarded: Callable[..., BearerGuardWSGI], setting: Setting
) -> None:
    """As under a bridge such as asgiref's, which calls WSGI applications from threads of a loop."""
    app = guarded()

    async def serve() -> int:
        return (await asyncio.to_thread(ask_wsgi, app, [setting.bearer("good")])).status

    assert asyncio.run(serve()) == 200
