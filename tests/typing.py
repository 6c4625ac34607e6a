"""Typed use of the public interface: read by the type checkers, and never run."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, assert_type

from starlette.applications import Starlette
from starlette.middleware import Middleware

from bearer_guard import (
    Accepted,
    BearerGuard,
    Keyring,
    Policy,
    ProxySso,
    Reason,
    Refusal,
    Store,
    Verifier,
    open_store,
)
from bearer_guard.issuing import Issued, Issuer, Principal

if TYPE_CHECKING:
    from starlette.types import ASGIApp


async def issue(store: Store, keyring: Keyring) -> str:
    issuer = Issuer(store, keyring)
    alice = Principal("alice", may_generate=True)
    issued = await issuer.create(alice, lifetime=timedelta(days=30), description="nightly sync")
    assert_type(issued, Issued)
    return issued.value


async def verify(store: Store, keyring: Keyring, token: str) -> str:
    verdict = await Verifier(store, keyring).verify(token, scopes=["read"], address="192.0.2.1")
    if isinstance(verdict, Accepted):
        return assert_type(verdict.token.owner, str)
    assert_type(verdict, Refusal)
    return assert_type(verdict.reason, Reason).value


async def settings(store: Store) -> None:
    assert_type(await store.policy(), Policy)
    await store.set_policy(Policy(enabled=True, max_lifetime=timedelta(days=365)))


def guard(app: ASGIApp) -> ASGIApp:
    sso = ProxySso(extra=["X-Corp-User"])
    return BearerGuard(
        app, store="sqlite:///tokens.db", keyring=Keyring.from_env(), exempt=["/"], proxy_sso=sso
    )


application = Starlette(
    middleware=[
        Middleware(BearerGuard, store=open_store("memory://"), keyring=Keyring.generate()),
    ]
)
