"""The page put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bearer_guard.endpoints.page import page_routes
from bearer_guard.errors import ConfigurationError
from bearer_guard.issuing.logins import LogIns
from bearer_guard.keyring import Keyring
from bearer_guard.stores.memory import MemoryStore

if TYPE_CHECKING:
    from bearer_guard.store import Store

PATHS = {
    "/login",
    "/logout",
    "/access-tokens",
    "/access-tokens/all",
    "/access-tokens/created",
    "/access-tokens/new",
    "/access-tokens/password",
    "/access-tokens/settings",
    "/access-tokens/static/{name}",
    "/access-tokens/users",
    "/access-tokens/{token_id}/delete",
    "/access-tokens/{token_id}/renew",
}


class Without:
    """A store that lacks some calls."""

    def __init__(self, *lacking: str) -> None:
        self._store = MemoryStore()
        self._lacking = lacking

    def __getattr__(self, name: str) -> object:
        if name in object.__getattribute__(self, "_lacking"):
            raise AttributeError(name)
        return getattr(object.__getattribute__(self, "_store"), name)


def paths_of(store: Store, **options: object) -> set[str]:
    return {route.path for route in page_routes(store, Keyring.generate(), **options)}  # type: ignore[arg-type]


def test_these_are_its_paths() -> None:
    assert paths_of(MemoryStore()) == PATHS


def test_a_provider_brings_its_own() -> None:
    saml = {"/login/saml", "/saml/acs", "/saml/metadata"}
    assert paths_of(MemoryStore(), saml=object()) == PATHS | saml
    assert paths_of(MemoryStore(), oidc=object()) == PATHS | {"/login/oidc", "/oidc/callback"}


def test_without_accounts_others_must_vouch_for_people() -> None:
    store: Store = Without("accounts", "account")  # type: ignore[assignment]
    with pytest.raises(ConfigurationError, match="no accounts"):
        paths_of(store)
    theirs = paths_of(store, log_ins=LogIns([]))
    assert theirs == PATHS - {"/access-tokens/users", "/access-tokens/password"}


def test_without_notes_there_are_no_sessions() -> None:
    store: Store = Without("add_note", "note", "drop_note", "drop_notes")  # type: ignore[assignment]
    with pytest.raises(ConfigurationError, match="no notes"):
        paths_of(store)
