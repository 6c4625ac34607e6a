"""Django under ASGI, with its own middleware, and under WSGI."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import django
import pytest
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from bearer_guard import BearerGuard
from bearer_guard.integrations.django import require_scopes
from bearer_guard.integrations.wsgi import BearerGuardWSGI
from tests.integrations.support import CASES, OWNER, SCOPE, Setting, ask, check
from tests.integrations.support_wsgi import ask_wsgi

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp


def text(words: object) -> HttpResponse:
    return HttpResponse(str(words), content_type="text/plain")


@require_scopes(SCOPE)
async def reports(request: HttpRequest) -> HttpResponse:
    return text(request.user)


@require_scopes(SCOPE)
def sync(request: HttpRequest, word: str) -> HttpResponse:
    return text(f"{word} {request.user.get_username()}")


@require_scopes()
async def any_token(request: Any) -> HttpResponse:
    return text(f"{request.user.username} {request.auth.token.scopes}")


async def unguarded(request: Any) -> HttpResponse:
    user = request.user
    return text((user.is_authenticated, user.is_anonymous, str(user), request.auth.token))


async def permissions(request: Any) -> HttpResponse:
    user = request.user
    return text(
        (user.has_perm("x.y"), user.has_module_perms("x"), user.is_staff, user.is_superuser)
    )


URLS = ModuleType("tests_integrations_django_urls")
URLS.urlpatterns = [  # type: ignore[attr-defined]
    path("reports", reports),
    path("sync/<str:word>", sync),
    path("any", any_token),
    path("open", unguarded),
    path("permissions", permissions),
]


@pytest.fixture(scope="module", autouse=True)
def configured() -> Iterator[None]:
    sys.modules[URLS.__name__] = URLS
    settings.configure(
        SECRET_KEY="for tests",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=URLS.__name__,
        MIDDLEWARE=[
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "bearer_guard.integrations.django.BearerGuardMiddleware",
        ],
    )
    django.setup(set_prefix=False)
    yield
    del sys.modules[URLS.__name__]


@pytest.fixture
def setting() -> Setting:
    return Setting()


def guarded(setting: Setting, **options: Any) -> ASGIApp:
    return BearerGuard(get_asgi_application(), **setting.options, **options)


@pytest.mark.parametrize("name", CASES)
async def test_the_verdict_is_that_of_the_table(setting: Setting, name: str) -> None:
    check(await ask(guarded(setting), setting.headers(CASES[name])), CASES[name])


async def test_a_view_that_is_no_coroutine_works_too(setting: Setting) -> None:
    app = guarded(setting)
    answer = await ask(app, [setting.bearer("good")], "/sync/hello")
    assert answer.body == f"hello {OWNER}".encode()
    check(
        await ask(app, setting.headers(CASES["missing scope"]), "/sync/x"), CASES["missing scope"]
    )


async def test_without_scopes_any_token_does(setting: Setting) -> None:
    answer = await ask(guarded(setting), [setting.bearer("narrow")], "/any")
    assert answer.body == f"{OWNER} ('reports',)".encode()


async def test_an_anonymous_request_has_a_user_who_is_nobody(setting: Setting) -> None:
    app = guarded(setting, optional=True)
    check(await ask(app, []), CASES["nothing"])
    assert (await ask(app, [], "/open")).body == b"(False, True, '', None)"


async def test_a_token_gives_no_permissions(setting: Setting) -> None:
    answer = await ask(guarded(setting), [setting.bearer("good")], "/permissions")
    assert answer.body == b"(False, False, False, False)"


async def test_a_request_with_a_token_needs_no_csrf_token(setting: Setting) -> None:
    app = guarded(setting, optional=True)
    assert (await ask(app, [setting.bearer("good")], method="POST")).body == OWNER.encode()
    assert (await ask(app, [], "/open", method="POST")).status == 403


async def test_without_a_guard_nothing_passes(setting: Setting) -> None:
    assert (await ask(get_asgi_application(), [setting.bearer("good")])).status == 500
    assert ask_wsgi(get_wsgi_application(), [setting.bearer("good")]).status == 500


@pytest.mark.parametrize("name", CASES)
def test_under_wsgi_the_verdict_is_the_same(setting: Setting, name: str) -> None:
    app = BearerGuardWSGI(get_wsgi_application(), **setting.options)
    check(ask_wsgi(app, setting.headers(CASES[name])), CASES[name])
    app.close()
