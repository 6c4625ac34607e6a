"""Django: a middleware that sets the request's user, and a decorator that asks for scopes.

Under ASGI the guard stands around Django in ``asgi.py``; under WSGI, ``wsgi.BearerGuardWSGI`` in
``wsgi.py``. ``MIDDLEWARE`` names this one after ``AuthenticationMiddleware``:

    MIDDLEWARE = [..., "bearer_guard.integrations.django.BearerGuardMiddleware"]

    @require_scopes("reports:read")
    async def reports(request): return HttpResponse(request.user.username)
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpResponse

from bearer_guard.errors import ConfigurationError
from bearer_guard.record import TokenInfo
from bearer_guard.user import TokenCredentials

from ._behind import WSGI_KEY, admit, check_scopes, fields_of, token_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

__all__ = ["BearerGuardMiddleware", "TokenUser", "require_scopes"]

_View: TypeAlias = "Callable[..., Any]"


class TokenUser:
    """The owner of the request's token, as views and templates expect a user. It is in no database.

    It has no permissions: scopes say what a token may do, see ``require_scopes``.

    Args:
        owner: Who made the token; empty: nobody, the request is anonymous.
    """

    is_active = True
    is_staff = False
    is_superuser = False
    pk = None

    def __init__(self, owner: str) -> None:
        self.username: Final = owner
        self.is_authenticated: Final = bool(owner)
        self.is_anonymous: Final = not owner

    def __str__(self) -> str:
        return self.username

    def get_username(self) -> str:
        """The owner."""
        return self.username

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """Never."""
        del perm, obj
        return False

    def has_module_perms(self, app_label: str) -> bool:
        """Never."""
        del app_label
        return False


class BearerGuardMiddleware:
    """Sets ``request.auth``, and ``request.user`` where a token came with the request.

    Such a request needs no CSRF token: browsers add no ``Authorization: Bearer`` by themselves.

    Args:
        get_response: What comes next.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: _View) -> None:
        self._get_response: Final = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:  # noqa: ANN401 - as the next one's
        """Serve one request."""
        token = _token(request)
        found: dict[str, object] = {"auth": TokenCredentials(token)}
        if token is not None:
            found |= {"user": TokenUser(token.owner), "csrf_processing_done": True}
        elif not hasattr(request, "user"):
            found["user"] = TokenUser("")
        vars(request).update(found)
        return self._get_response(request)


def require_scopes(*scopes: str, realm: str = "api") -> Callable[[_View], _View]:
    """A decorator: the view runs if the token has these scopes; with none, for any token.

    Args:
        *scopes: All of them are needed.
        realm: Of the challenge; that of the guard.

    Raises:
        TypeError: A scope is no text: the brackets were left out.
        ValueError: The scopes or the realm can't stand in a challenge.
    """
    needed = check_scopes(scopes, realm)

    def why_not(request: HttpRequest) -> HttpResponse | None:
        answer = admit(_token(request), needed, realm)
        if isinstance(answer, TokenInfo):
            return None
        return HttpResponse(
            answer.body,
            status=answer.status,
            headers=fields_of(answer),
            content_type="application/json",
        )

    def decorate(view: _View) -> _View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            return why_not(request) or view(request, *args, **kwargs)

        @wraps(view)
        async def async_guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            return why_not(request) or await view(request, *args, **kwargs)

        return async_guarded if iscoroutinefunction(view) else guarded

    return decorate


def _token(request: HttpRequest) -> TokenInfo | None:
    """What the guard has found good, under ASGI or under WSGI; ``None``: it is anonymous.

    Raises:
        ConfigurationError: There is no guard in front.
    """
    scope: dict[str, Any] | None = getattr(request, "scope", None)
    if scope is not None:
        return token_of(scope)
    if WSGI_KEY not in request.META:
        raise ConfigurationError("no BearerGuardWSGI stands in front of this application")
    token: TokenInfo | None = request.META[WSGI_KEY]
    return token
