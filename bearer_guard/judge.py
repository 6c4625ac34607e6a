"""Whether a record answers for the token that was shown, at this moment. Pure.

Both sides ask it: the guard for each token that its cache does not know, and the issuing side
when a token is used to make, list or delete others. It reads no time and no store.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, TypeAlias

from .verdict import Accepted, Reason, Refusal

if TYPE_CHECKING:
    from .keyring import Keyring
    from .policy import Policy
    from .record import TokenRecord
    from .verdict import Verdict

__all__ = ["allowed_from", "judge", "standing"]

_Address: TypeAlias = IPv4Address | IPv6Address
_Network: TypeAlias = IPv4Network | IPv6Network


def judge(
    record: TokenRecord | None, *, keyring: Keyring, token: bytes, policy: Policy, now_ms: int
) -> Verdict:
    """Say whether ``token`` is good at ``now_ms``, given what the store has under its id.

    What comes first is told: the caller learns what became of a token only where the record is
    genuine and is that of this very token.

    Args:
        record: As fetched; ``None``: the store has none.
        keyring: Whose seals count.
        token: The whole text; its tag has been looked at before.
        policy: The workspace's settings.
        now_ms: Unix milliseconds. At ``expires_ms`` and at ``ended_ms`` it is refused already.
    """
    reason = standing(record, keyring, now_ms)
    if record is None or reason is Reason.TAMPERED:
        return Refusal(Reason.UNKNOWN if record is None else Reason.TAMPERED)
    if not keyring.matches(record.key_id, record.digest, token):
        return Refusal(Reason.TAMPERED)
    if reason is None and not policy.enabled:
        reason = Reason.FEATURE_OFF
    return Accepted(record.info()) if reason is None else Refusal(reason, record.info())


def standing(record: TokenRecord | None, keyring: Keyring, now_ms: int) -> Reason | None:
    """What speaks against a record by itself, whatever token is shown; ``None``: nothing."""
    if record is None:
        return Reason.UNKNOWN
    if not keyring.sealed(record):
        return Reason.TAMPERED
    if record.ended(now_ms):
        return Reason.ENDED
    if record.expires_ms is not None and record.expires_ms <= now_ms:
        return Reason.EXPIRED
    return Reason.OWNER_DISABLED if record.owner_disabled else None


def allowed_from(networks: tuple[str, ...], address: str | None) -> bool:
    """Whether a token of these networks may be used from this address.

    Args:
        networks: CIDR blocks; empty: anywhere.
        address: Of the client, as the server tells it. Where it tells none, or a path of a Unix
            socket, no network holds it. ``::ffff:192.0.2.1`` is ``192.0.2.1`` (RFC 4291 section
            2.5.5.2): servers that listen on both families say it so.
    """
    if not networks:
        return True
    try:
        blocks = _blocks(networks)
        here = ip_address(address or "")
    except ValueError:
        return False
    return any(_one_of(here, block) for block in blocks)


@lru_cache(maxsize=1024)  # tokens that bear networks bear them on every request
def _blocks(networks: tuple[str, ...]) -> tuple[_Network, ...]:
    return tuple(ip_network(network) for network in networks)


def _one_of(here: _Address, block: _Network) -> bool:
    mapped = here.ipv4_mapped if isinstance(here, IPv6Address) else None
    return here in block or (mapped is not None and mapped in block)
