"""The exceptions, all of them.

A refused *request* is never one of these: it is a value, see ``verdict``. An exception means
that no answer could be had, or that what was asked of the issuing side is not possible.

::

    BearerGuardError
    ├── StoreUnavailable     no answer from the store in time: answer 503, try again
    ├── DuplicateToken       the id is taken: make another
    ├── KeyringError         keys missing, malformed, or not those of this store
    ├── ConfigurationError   a setting that cannot work
    └── IssueRefused         the issuing side says no, and why
        ├── InvalidRequest   the request itself is wrong
        │   └── LifetimeTooLong
        ├── NotAllowed       proved, but not permitted
        │   └── FeatureOff   access tokens are switched off for the workspace
        └── NotFound         not there, or not yours: the two look alike
"""

from __future__ import annotations

__all__ = [
    "BearerGuardError",
    "ConfigurationError",
    "DuplicateToken",
    "FeatureOff",
    "InvalidRequest",
    "IssueRefused",
    "KeyringError",
    "LifetimeTooLong",
    "NotAllowed",
    "NotFound",
    "StoreUnavailable",
]


class BearerGuardError(Exception):
    """Base of all errors raised here. Never raised itself."""


class StoreUnavailable(BearerGuardError):
    """The store gave no answer in time. The driver's own error is the ``__cause__``.

    Callers answer 503 and never let the request through. The outcome of a write that ends so
    is unknown; every write may be repeated without harm.
    """


class DuplicateToken(BearerGuardError):
    """A token with this id exists already. Nothing was written."""


class KeyringError(BearerGuardError):
    """The keys are missing, malformed, or not those that the store was made with.

    Raised at start-up, so that a wrong key is one clear sentence and not a storm of 401s.
    """


class ConfigurationError(BearerGuardError):
    """A setting that cannot work. The message says which one, and what to write instead."""


class IssueRefused(BearerGuardError):
    """The issuing side refuses. Base of the reasons; never raised itself. Nothing was written."""


class InvalidRequest(IssueRefused):
    """The request is malformed: a description too long, a lifetime of zero, a bad CIDR block."""


class LifetimeTooLong(InvalidRequest):
    """The lifetime is beyond what the workspace's policy allows. The message names the limit."""


class NotAllowed(IssueRefused):
    """Who asks has proved who they are, but may not do this."""


class FeatureOff(NotAllowed):
    """Access tokens are switched off for the workspace."""


class NotFound(IssueRefused):
    """There is no such token, or it is somebody else's."""
