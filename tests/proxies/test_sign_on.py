"""Single sign-on in front of the guarded application: a token is refused beside it."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit

import pytest

from tests.issuing.logins.certificates import Authority
from tests.issuing.logins.idp import IdentityProvider, form
from tests.proxies.products import proxy
from tests.proxies.sign_on import SESSION, USER, sign_on
from tests.proxies.wire import Answered, ask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.proxies.world import World

HERE: Final = Path(__file__).parent / "sso"
PRODUCTS: Final = ("nginx", "caddy", "traefik", "envoy", "haproxy")
PASSWORD: Final = base64.b64encode(f"{USER}:secret".encode())

# With a session and a token: a way to get rid of the identity, or to hide it.
TRICKS: Final = {
    "nothing": [],
    "another case": [b"REMOTE-USER: alice"],
    "underscore": [b"Remote_User: alice"],
    "blank": [b"Remote-User:"],
    "blank twice": [b"Remote-User:", b"Remote-User: "],
    "both spellings at once": [b"Remote_User: ", b"Remote-User: "],
    "folded line": [b"X-Note:", b" Remote-User"],
    "hop by hop": [b"Connection: close, Remote-User, X-Auth-Request-User, X-Forwarded-User"],
    "hop by hop authorization": [b"Connection: close, Authorization"],
}


@pytest.fixture(scope="module", params=PRODUCTS)
def front(request: pytest.FixtureRequest, around: World) -> Iterator[int]:
    """The port of a product with single sign-on, in front of the guarded application."""
    with (
        sign_on() as sso,
        proxy(request.param, guard=sso, service=around.guarded, source=HERE / request.param) as (
            port,
            _,
        ),
    ):
        yield port


def user_of(answer: Answered) -> str | None:
    """Whom the application took the request for; ``None``: it was refused."""
    return json.loads(answer.body)["user"] if answer.status == 200 else None


def test_without_a_session_nothing_passes(front: int, around: World) -> None:
    assert ask(front, [around.bearer("valid")]).status == 401
    assert ask(front, []).status == 401


def test_a_session_alone_is_nobody(front: int) -> None:
    answer = ask(front, [SESSION])
    assert answer.status == 401
    assert answer.values("www-authenticate") == ['Bearer realm="api"']


@pytest.mark.parametrize("trick", TRICKS)
def test_a_session_and_a_token_are_refused(trick: str, front: int, around: World) -> None:
    answer = ask(front, [SESSION, around.bearer("valid"), *TRICKS[trick]])
    if trick.startswith("hop by hop"):
        # A proxy that obeys takes the assertion away, or the token: then the other counts.
        assert user_of(answer) in (None, "alice")
        assert answer.status != 200 or "mallory" not in answer.body.decode()
    else:
        assert answer.status in (400, 403)
        assert user_of(answer) is None


def test_a_forged_token_is_told_nothing_of_it(front: int, around: World) -> None:
    assert ask(front, [SESSION, around.bearer("forged")]).status == 401


# Apache


@pytest.fixture(scope="module")
def idp(tmp_path_factory: pytest.TempPathFactory) -> IdentityProvider:
    folder = tmp_path_factory.mktemp("idp")
    authority = Authority(folder)
    authority.issue("mellon")  # it signs what it asks
    return IdentityProvider(folder, authority)


@pytest.fixture(scope="module")
def apache(
    around: World, idp: IdentityProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    source = tmp_path_factory.mktemp("apache")
    shutil.copytree(HERE / "apache", source, dirs_exist_ok=True)
    shutil.copy(idp.metadata_file, source / "idp.xml")
    for file in idp.folder.glob("mellon.*"):
        shutil.copy(file, source)
    with (
        sign_on() as sso,
        proxy("apache", guard=sso, service=around.guarded, source=source) as (port, _),
    ):
        yield port


def post(port: int, path: str, fields: dict[str, str], *lines: bytes) -> Answered:
    body = urlencode(fields).encode()
    kind = [b"Content-Type: application/x-www-form-urlencoded", b"Content-Length: %d" % len(body)]
    return ask(port, [*kind, *lines], method="POST", path=path, body=body)


def log_in_by_form(port: int, _: IdentityProvider) -> bytes:
    return cookies(post(port, "/form", {"httpd_username": USER, "httpd_password": "secret"}))


def log_in_by_saml(port: int, idp: IdentityProvider) -> bytes:
    """The way of a browser: to the provider, and back with a signed assertion."""
    start = ask(port, [], path="/saml/x")
    go = urlsplit(start.values("location")[0])
    sent = ask(port, [cookies(start)], path=f"{go.path}?{go.query}")
    idp.learn(ask(port, [], path="/saml/endpoint/metadata").body)
    asked = idp.read(sent.values("location")[0])
    answer = post(port, urlsplit(asked.acs_url).path, form(idp.answer(asked, USER)), cookies(sent))
    return cookies(answer)


def log_in_by_oidc(port: int, _: IdentityProvider) -> bytes:
    """The way of a browser: to the provider, back with a code, and on with a session."""
    start = ask(port, [b"Accept: text/html"], path="/oidc")  # others are not sent there
    state = cookies(start)
    provider = urlsplit(start.values("location")[0])
    chosen = ask(provider.port or 0, [], path=f"{provider.path}?{provider.query}")
    back = urlsplit(chosen.values("location")[0])
    answer = ask(port, [state], path=f"{back.path}?{back.query}")
    return cookies(answer)


def cookies(answer: Answered) -> bytes:
    pairs = [value.partition(";")[0] for value in answer.values("set-cookie")]
    return b"Cookie: " + "; ".join(pair for pair in pairs if not pair.endswith("=")).encode()


@pytest.mark.parametrize(
    ("path", "log_in"),
    [("/form", log_in_by_form), ("/oidc", log_in_by_oidc), ("/saml", log_in_by_saml)],
)
def test_behind_apache_a_session_and_a_token_are_refused(
    path: str,
    log_in: Callable[[int, IdentityProvider], bytes],
    apache: int,
    idp: IdentityProvider,
    around: World,
) -> None:
    session = log_in(apache, idp)
    alone = ask(apache, [session], path=path)
    assert (alone.status, alone.values("www-authenticate")) == (401, ['Bearer realm="api"'])
    for trick, lines in TRICKS.items():
        answer = ask(apache, [session, around.bearer("valid"), *lines], path=path)
        if trick == "hop by hop authorization":
            assert user_of(answer) is None
        else:
            assert answer.status in (400, 403), trick


def test_behind_apache_a_password_is_nobody(apache: int, around: World) -> None:
    basic = b"Authorization: Basic " + PASSWORD
    assert ask(apache, [basic], path="/basic").status == 401
    assert ask(apache, [basic], path="/basic").values("www-authenticate") == ['Bearer realm="api"']
    both = ask(apache, [basic, around.bearer("valid")], path="/basic")
    assert user_of(both) is None


def test_apaches_example_leaves_the_verdict_to_the_application(around: World) -> None:
    verdicts = {
        "valid": 200,
        "expired": 401,
        "forged": 401,
        "deleted": 401,
    }
    with proxy("apache", guard=0, service=around.guarded) as (port, _):
        for name, status in verdicts.items():
            assert ask(port, [around.bearer(name)], path="/x").status == status, name
        for line in (b"Remote-User: root", b"X_Remote_User: root", b"X-Remote.User: root"):
            assert ask(port, [around.bearer("valid"), line]).status in (400, 403), line
        assert ask(port, [around.bearer("valid"), around.bearer("valid")]).status in (400, 401)
        assert ask(port, []).values("www-authenticate") == ['Bearer realm="api"']
