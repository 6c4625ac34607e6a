"""The issuing side: who may make, list and end tokens. The guard never imports it.

    issuer = Issuer(store, keyring)
    issued = await issuer.create(Principal("alice", may_generate=True), lifetime=timedelta(days=30))
    issued.value     # the token, this once

Log-ins are in ``logins``, native accounts in ``accounts``; both load Argon2, this does not.
"""

from __future__ import annotations

from .issuer import Issued, Issuer, Listing
from .principal import Principal

__all__ = ["Issued", "Issuer", "Listing", "Principal"]
