"""The applications that real servers run; ``_served_app`` is one of them.

``prepare`` makes a folder with tokens in SQLite and what each form needs to know of them; the
server's processes find it by ``BENCH_FOLDER``.
"""

from __future__ import annotations

import json
import os
import time
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starlette.authentication import AuthCredentials, SimpleUser

from bearer_guard import BearerGuard, Keyring, Policy, open_store
from bearer_guard.issuing import Issuer, Principal

from ._asgi import bare, floor

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp

__all__ = ["FORMS", "PEERS", "build", "environment", "prepare", "token_for"]

_FORM: Final = "BENCH_FORM"
_FOLDER: Final = "BENCH_FOLDER"
JWT: Final = "PyJWT, HS256"
STARLETTE: Final = "Starlette AuthenticationMiddleware"
PEERS: Final = (STARLETTE, JWT)


async def prepare(folder: Path, *, url: str | None = None) -> dict[str, Any]:
    """Issue a token, and write down all that the forms need. The folder must be for us alone.

    Args:
        folder: Where.
        url: Of another store than SQLite.
    """
    url = url or f"sqlite:///{folder}/tokens.db"
    keys = folder / "keys"
    keys.write_text(Keyring.new_key())
    store = open_store(url)
    await store.open()
    await store.set_policy(Policy(users_may_generate=True))
    issuer = Issuer(store, Keyring.from_file(keys), listeners=())
    issued = await issuer.create(Principal("alice"), lifetime=timedelta(days=1), scopes=["read"])
    await store.close()
    known = {"url": url, "token": issued.value, **_jwt()}
    (folder / "known.json").write_text(json.dumps(known))
    return known


def _jwt() -> dict[str, str]:
    try:
        import jwt  # noqa: PLC0415 - a peer may be missing

        from .peers.jose import jwt_claims  # noqa: PLC0415
    except ModuleNotFoundError:
        return {}
    key = os.urandom(32).hex()
    return {"jwt_key": key, "jwt": jwt.encode(jwt_claims(), key, algorithm="HS256")}


def token_for(form: str, known: dict[str, Any]) -> str | None:
    """What a client of this form sends; ``None``: the form can't be had."""
    token: str | None = known.get("jwt") if form == JWT else known["token"]
    return token


def environment(form: str, folder: Path) -> dict[str, str]:
    """What a server's processes must find in theirs."""
    return {_FORM: form, _FOLDER: str(folder)}


def _floor(known: dict[str, Any]) -> ASGIApp:
    user = time.time() + 86400, SimpleUser("alice"), AuthCredentials(["read"])
    return floor(bare, {sha256(known["token"].encode()).digest(): user})


def _guard(known: dict[str, Any]) -> ASGIApp:
    keyring = Keyring.from_file(Path(os.environ[_FOLDER]) / "keys")
    return BearerGuard(bare, store=known["url"], keyring=keyring)


def _starlette(known: dict[str, Any]) -> ASGIApp:
    from .peers.starlette_own import guarded  # noqa: PLC0415

    return guarded(bare, [known["token"]])


def _pyjwt(known: dict[str, Any]) -> ASGIApp:
    from .peers.jose import pyjwt_layer  # noqa: PLC0415

    return pyjwt_layer(bare, known["jwt_key"])


FORMS: Final[dict[str, Callable[[dict[str, Any]], ASGIApp]]] = {
    "bare": lambda _: bare,
    "floor": _floor,
    "guard": _guard,
    STARLETTE: _starlette,
    JWT: _pyjwt,
}


def build() -> ASGIApp:
    """The form that the environment names."""
    known = json.loads((Path(os.environ[_FOLDER]) / "known.json").read_text())
    return FORMS[os.environ[_FORM]](known)
