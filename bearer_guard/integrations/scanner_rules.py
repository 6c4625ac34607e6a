"""Rules by which secret scanners find tokens in files and in git history.

They find the form of a token, not whether it is genuine: ``bearer-guard scan`` and the endpoint for
leak reports look at the checksum and at the tag as well.

Sources: the default configuration of gitleaks 8, ``config/gitleaks.toml``; TruffleHog 3,
``pkg/custom_detectors/CUSTOM_DETECTORS.md``. Both match with RE2.
"""

from __future__ import annotations

from typing import Final

from bearer_guard.token import DEFAULT_PREFIX, TokenForm

__all__ = ["gitleaks_rules", "trufflehog_rules"]

_GITLEAKS: Final = """\
# Finds API access tokens by their form: gitleaks git --config gitleaks.toml
title = "bearer-guard"

[extend]
useDefault = true # and all the rules that gitleaks brings

[[rules]]
id = "bearer-guard-token"
description = "An API access token: whoever has it acts as its owner. Delete it, and make another."
regex = '''{pattern}'''
keywords = ["{prefix}_"]
tags = ["bearer-guard", "token"]
"""

_TRUFFLEHOG: Final = """\
# Finds API access tokens by their form: trufflehog git file://. --config trufflehog.yaml
detectors:
  - name: bearer-guard-token
    keywords:
      - {prefix}_
    regex:
      token: '{pattern}'
"""


def gitleaks_rules(prefix: str = DEFAULT_PREFIX) -> str:
    """A configuration file for gitleaks.

    Args:
        prefix: Of the tokens.

    Raises:
        ConfigurationError: The prefix is none.
    """
    return _GITLEAKS.format(prefix=prefix, pattern=TokenForm(prefix).pattern())


def trufflehog_rules(prefix: str = DEFAULT_PREFIX) -> str:
    """A configuration file for TruffleHog; arguments and errors as for gitleaks."""
    return _TRUFFLEHOG.format(prefix=prefix, pattern=TokenForm(prefix).pattern())
