"""`_oidc_provider`: addresses that may be used, and a missing package. The rest: `test_oidc`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bearer_guard.issuing.logins._oidc_provider import is_secure


@pytest.mark.parametrize(
    "url",
    [
        "https://provider.example",
        "https://provider.example:8443/x",
        "http://localhost:8000",
        "http://127.0.0.1:9/x",
        "http://[::1]:9",
    ],
)
def test_tls_or_loopback(url: str) -> None:
    assert is_secure(url, plaintext=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "provider.example",
        "/x",
        "https://",
        "https:///x",
        "ftp://provider.example",
        "http://[",
        "javascript:x",
    ],
)
def test_what_is_no_address(url: str) -> None:
    assert not is_secure(url, plaintext=True)


def test_without_tls_only_where_it_is_allowed() -> None:
    assert not is_secure("http://provider.example", plaintext=False)
    assert not is_secure("http://localhost.example", plaintext=False)
    assert is_secure("http://provider.example", plaintext=True)


@pytest.mark.parametrize("missing", ["authlib", "httpx2", "joserfc"])
def test_a_missing_package_is_named(missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from bearer_guard.errors import ConfigurationError\n"
        "try: import bearer_guard.issuing.logins.oidc\n"
        "except ConfigurationError as error: print(error)"
    )
    said = subprocess.check_output(
        [sys.executable, "-c", code], text=True, stderr=subprocess.STDOUT
    )
    assert "pip install 'bearer-guard[oidc]'" in said
