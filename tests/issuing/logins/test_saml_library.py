"""`_saml_library`: pysaml2 behind its port. Signatures: see `test_saml`."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from bearer_guard.errors import ConfigurationError
from bearer_guard.issuing.logins._people import DirectoryUnavailable
from bearer_guard.issuing.logins._saml_filter import Rejected
from bearer_guard.issuing.logins._saml_library import PySaml2
from tests.issuing.logins.attacks import ATTACKS, Providers
from tests.issuing.logins.idp import IDP, IdentityProvider

if TYPE_CHECKING:
    from pathlib import Path

    from tests.issuing.logins.certificates import Authority


def library(metadata: Path, **more: Any) -> PySaml2:
    settings: dict[str, Any] = {
        "entity_id": "https://app.example.com/saml",
        "acs_url": "https://app.example.com/saml/acs",
        "idp_metadata": str(metadata),
        "key_file": None,
        "cert_file": None,
        "unsolicited": False,
    }
    return PySaml2(**(settings | more))


@pytest.fixture
def provider(tmp_path: Path, authority: Authority) -> IdentityProvider:
    return IdentityProvider(tmp_path, authority)


def test_the_provider_is_the_one_of_the_metadata(provider: IdentityProvider) -> None:
    assert library(provider.metadata_file).provider == IDP


async def test_each_request_has_its_own_id(provider: IdentityProvider) -> None:
    one = library(provider.metadata_file)
    assert len({(await one.request())[0] for _ in range(10)}) == 10


@pytest.mark.parametrize("text", ["", "<x/>", "no XML", "<!DOCTYPE x><x/>"])
def test_metadata_that_are_none_are_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "idp.xml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match="idp_metadata"):
        library(file)


def test_metadata_that_are_missing_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="idp_metadata"):
        library(tmp_path / "nothing.xml")


def test_metadata_that_have_expired_are_told(provider: IdentityProvider) -> None:
    file = provider.metadata_file
    dated = file.read_text().replace("entityID=", 'validUntil="2020-01-01T00:00:00Z" entityID=', 1)
    file.write_text(dated)
    with pytest.raises(ConfigurationError, match="idp_metadata"):
        library(file)


def test_a_provider_that_can_not_be_asked_is_told(provider: IdentityProvider) -> None:
    file = provider.metadata_file
    file.write_text(file.read_text().replace("bindings:HTTP-Redirect", "bindings:SOAP"))
    with pytest.raises(ConfigurationError, match="idp_metadata"):
        library(file)


def test_a_key_that_is_none_is_told(provider: IdentityProvider, tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("no key")
    with pytest.raises(ConfigurationError):
        library(provider.metadata_file, key_file=str(bad), cert_file=str(bad))


async def test_more_than_can_be_done_in_time_is_an_outage(
    provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bearer_guard.issuing.logins._saml_library._SECONDS", 0.05)
    one = library(provider.metadata_file)
    monkeypatch.setattr(one, "_make_request", lambda: time.sleep(0.2))
    with pytest.raises(DirectoryUnavailable, match="too much"):
        await one.request()


@pytest.mark.parametrize(
    "name", ["sent to another address", "no XML", "too deep", "the provider says no"]
)
async def test_whatever_the_library_says_is_a_refusal(
    provider: IdentityProvider, name: str
) -> None:
    one = library(provider.metadata_file)
    provider.learn(one.metadata())
    request_id, url = await one.request()
    everybody = Providers(provider, provider, provider)
    document = ATTACKS[name].make(everybody, provider.read(url))
    with pytest.raises(Rejected):
        await one.verify(document, request_id)


def run(code: str, **environment: str) -> str:
    return subprocess.check_output([sys.executable, "-c", code], text=True, env=environment)


def test_a_missing_package_is_named() -> None:
    for missing in ("defusedxml", "saml2"):
        code = (
            f"import sys; sys.modules[{missing!r}] = None\n"
            "from bearer_guard.errors import ConfigurationError\n"
            "try: import bearer_guard.issuing.logins.saml\n"
            "except ConfigurationError as error: print(error)"
        )
        assert "pip install 'bearer-guard[saml]'" in run(code)


def test_a_missing_program_is_named() -> None:
    code = (
        "from bearer_guard.errors import ConfigurationError\n"
        "from bearer_guard.issuing.logins._saml_library import _xmlsec\n"
        "try: _xmlsec()\n"
        "except ConfigurationError as error: print(error)"
    )
    assert "apt-get install xmlsec1" in run(code, PATH="/nowhere")
