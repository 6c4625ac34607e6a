"""The Django site of the benchmark: one view in three forms. Django must be set up before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User
from django.core.management import call_command
from django.http import HttpResponse
from django.urls import path
from knox.auth import TokenAuthentication
from knox.models import AuthToken
from rest_framework.permissions import IsAuthenticated
from rest_framework.views import APIView
from rest_framework_api_key.models import APIKey
from rest_framework_api_key.permissions import HasAPIKey

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["fill", "urlpatterns"]


def fill(count: int) -> tuple[list[str], list[str]]:
    """Make the tables, and so many tokens of each library."""
    call_command("migrate", verbosity=0)
    users = [User.objects.create(username=f"user{n}") for n in range(count)]
    tokens = [AuthToken.objects.create(user)[1] for user in users]
    return tokens, [APIKey.objects.create_key(name=f"key {n}")[1] for n in range(count)]


def _view(authentication: Sequence[type], permissions: Sequence[type]) -> Any:  # noqa: ANN401
    class Hello(APIView):
        authentication_classes = authentication
        permission_classes = permissions

        def get(self, request: object) -> HttpResponse:  # noqa: ARG002
            return HttpResponse(b"ok")

    return Hello.as_view()


urlpatterns = [
    path("bare", _view([], [])),
    path("knox", _view([TokenAuthentication], [IsAuthenticated])),
    path("key", _view([], [HasAPIKey])),
]
