"""Records for tests: made up, or sealed by a keyring together with their token."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from bearer_guard.record import DIGEST_BYTES, TokenRecord
from bearer_guard.token import TokenForm

from .clock import START_MS

if TYPE_CHECKING:
    from collections.abc import Collection

    from bearer_guard.keyring import Keyring

__all__ = ["DAY_MS", "a_record", "a_token"]

DAY_MS = 86_400_000


def a_record(
    *,
    id: UUID | None = None,
    owner: str = "alice",
    description: str = "nightly sync",
    scopes: Collection[str] = (),
    networks: Collection[str] = (),
    family: UUID | None = None,
    parent: UUID | None = None,
    binding: bytes | None = None,
    created_ms: int = START_MS,
    expires_ms: int | None = START_MS + DAY_MS,
    key_id: str = "0123456789abcdef",
    ended_ms: int | None = None,
    end_reason: str | None = None,
    last_used_ms: int | None = None,
    last_used_from: str | None = None,
) -> TokenRecord:
    """A record of a day's life, with a random id, digest and seal: good enough for a store.

    ``a_token`` seals it. Arguments: the fields of ``TokenRecord``; scopes in any order.
    """
    token_id = uuid4() if id is None else id
    return TokenRecord(
        id=token_id,
        owner=owner,
        description=description,
        scopes=tuple(sorted(scopes)),
        networks=tuple(networks),
        family=token_id if family is None else family,
        parent=parent,
        binding=binding,
        created_ms=created_ms,
        expires_ms=expires_ms,
        digest=secrets.token_bytes(DIGEST_BYTES),
        seal=secrets.token_bytes(DIGEST_BYTES),
        key_id=key_id,
        ended_ms=ended_ms,
        end_reason=end_reason,
        last_used_ms=last_used_ms,
        last_used_from=last_used_from,
    )


def a_token(
    keyring: Keyring, record: TokenRecord | None = None, form: TokenForm | None = None
) -> tuple[str, TokenRecord]:
    """A genuine token and its record, sealed.

    Args:
        keyring: Makes the tag, the digest and the seal.
        record: What it is a token of; ``None``: of ``a_record()``.
        form: Of another prefix.
    """
    record = a_record() if record is None else record
    text = (form or TokenForm()).mint(record.id, keyring.tag)
    return text, keyring.seal(record, text.encode())
