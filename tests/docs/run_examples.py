"""Runs the Python blocks of a document, visible and invisible, in a folder of their own.

    python -m tests.docs.run_examples docs/integrations.md

What the blocks find there: ``tokens.db``, whose keys are in the environment; ``token``, of alice,
with the scope ``reports:read``, and its ``token_id``; ``other``, without it; ``deleted``; and ways
to ``ask`` what they have built.
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
from sybil.document import Document
from sybil.parsers.markdown import PythonCodeBlockParser

from bearer_guard import Keyring, Policy, open_store
from bearer_guard.issuing import Issuer, Principal
from tests.endpoints.support_keys import KEY, KEY_ID, published
from tests.integrations.support_wsgi import ask_wsgi

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def main(path: str) -> None:
    """Run all blocks of the document, in its order."""
    Path("github-keys.json").write_bytes(published({KEY_ID: KEY}))
    os.environ["BEARER_GUARD_KEYS"] = Keyring.new_key()
    document = Document.parse(path, PythonCodeBlockParser())
    document.namespace.update(asyncio.run(tokens()), __name__=__name__)
    document.namespace.update(ask=ask, ask_wsgi=ask_flask, verify=verify)
    examples = list(document.examples())
    for example in examples:
        example.evaluate()
    print(len(examples), "blocks")  # noqa: T201 - the caller reads it


async def tokens() -> dict[str, str]:
    """Tokens of alice in ``tokens.db``."""
    store = open_store("sqlite:///tokens.db")
    await store.open()
    await store.set_policy(Policy(users_may_generate=True))
    issuer, alice = Issuer(store, Keyring.from_env(), listeners=()), Principal("alice")
    lists = {"token": ["reports:read"], "other": [], "deleted": ["reports:read"]}
    made = {
        name: await issuer.create(alice, lifetime=timedelta(hours=1), scopes=scopes)
        for name, scopes in lists.items()
    }
    await issuer.delete(alice, made["deleted"].record.id)
    await store.close()
    values = {name: issued.value for name, issued in made.items()}
    return {**values, "token_id": str(made["token"].record.id)}


def ask(
    app: ASGIApp,
    path: str,
    token: str | None,
    *,
    method: str = "GET",
    form: dict[str, str] | None = None,
) -> tuple[int, str]:
    """The status and the body of an answer."""

    async def request() -> httpx2.Response:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(
                "POST" if form else method, path, headers=bearer(token), data=form
            )

    answer = asyncio.run(request())
    return answer.status_code, answer.text


def ask_flask(app: Any, path: str, token: str | None) -> tuple[int, str]:
    """The same of a WSGI application."""
    answer = ask_wsgi(app, bearer(token), path=path)
    return answer.status, answer.body.decode()


async def verify(verifier: Any, token: str) -> object:
    """What an MCP server gets to know of a token."""
    try:
        return await verifier.verify_token(token)
    finally:
        await verifier.close()


def bearer(token: str | None) -> list[tuple[str, str]]:
    """The header field of a token."""
    return [] if token is None else [("authorization", f"Bearer {token}")]


if __name__ == "__main__":
    main(*sys.argv[1:])
