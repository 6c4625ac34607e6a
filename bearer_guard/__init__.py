"""Personal API access tokens for ASGI applications: the validating side.

The issuing side is ``bearer_guard.issuing``; importing this loads none of it.
"""

from __future__ import annotations

from .errors import (
    BearerGuardError,
    ConfigurationError,
    InvalidRequest,
    IssueRefused,
    KeyringError,
    LifetimeTooLong,
    NotAllowed,
    NotFound,
    StoreUnavailable,
)
from .guard import BearerGuard
from .keyring import Keyring
from .policy import Policy
from .proxy_sso import ProxySso
from .record import TokenInfo, TokenRecord
from .store import Store, open_store
from .verdict import Accepted, Reason, Refusal, Verdict
from .verify import Verifier

__all__ = [
    "Accepted",
    "BearerGuard",
    "BearerGuardError",
    "ConfigurationError",
    "InvalidRequest",
    "IssueRefused",
    "Keyring",
    "KeyringError",
    "LifetimeTooLong",
    "NotAllowed",
    "NotFound",
    "Policy",
    "ProxySso",
    "Reason",
    "Refusal",
    "Store",
    "StoreUnavailable",
    "TokenInfo",
    "TokenRecord",
    "Verdict",
    "Verifier",
    "open_store",
]
