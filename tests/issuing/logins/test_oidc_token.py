"""`_oidc_token`: an ID token is believed where everything about it fits. Attacks: `test_oidc`."""

from __future__ import annotations

import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeySet, RSAKey

from bearer_guard.issuing.logins._oidc_token import (
    ALGORITHMS,
    Expected,
    Rejected,
    UnknownKey,
    believe,
)

NOW_S = int(time.time())
EXPECTED = Expected(issuer="https://i.example", client_id="us", nonce="n", access_token="t")
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
EC = {
    "ES256": ECKey.generate_key("P-256", {"kid": "ec"}),
    "ES384": ECKey.generate_key("P-384", {"kid": "ec"}),
}


def claims(**change: Any) -> dict[str, Any]:
    good = {"iss": "https://i.example", "aud": "us", "sub": "alice", "nonce": "n"}
    return {**good, "iat": NOW_S, "exp": NOW_S + 60, **change}


def token(algorithm: str, key: Key, **change: Any) -> str:
    return str(jwt.encode({"alg": algorithm, "kid": key.kid}, claims(**change), key, [algorithm]))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_that_is_allowed_works(algorithm: str) -> None:
    key = EC.get(algorithm, RSA)
    found = believe(token(algorithm, key), KeySet([key]), EXPECTED, NOW_S * 1000)
    assert found["sub"] == "alice"


def test_a_token_that_names_no_key_is_looked_at_with_the_only_one() -> None:
    bare = str(jwt.encode({"alg": "RS256"}, claims(), RSA))
    assert believe(bare, KeySet([RSA]), EXPECTED, NOW_S * 1000)["sub"] == "alice"


def test_an_unknown_key_is_told_from_a_bad_signature() -> None:
    other = RSAKey.generate_key(2048, {"kid": "other"})
    with pytest.raises(UnknownKey):
        believe(token("RS256", other), KeySet([RSA]), EXPECTED, NOW_S * 1000)
    impostor = RSAKey.generate_key(2048, {"kid": "rsa"})
    with pytest.raises(Rejected, match="BadSignature") as refused:
        believe(token("RS256", impostor), KeySet([RSA]), EXPECTED, NOW_S * 1000)
    assert not isinstance(refused.value, UnknownKey)


def test_the_log_is_told_which_claim() -> None:
    with pytest.raises(Rejected, match=r"InvalidClaimError \(nonce\)"):
        believe(token("RS256", RSA, nonce="x"), KeySet([RSA]), EXPECTED, NOW_S * 1000)


@pytest.mark.parametrize("raw", ["", ".", "..", "a.b.c", "\u00e9.b.c", "{}.{}.{}"])
def test_what_is_no_token_is_refused(raw: str) -> None:
    with pytest.raises(Rejected):
        believe(raw, KeySet([RSA]), EXPECTED, NOW_S * 1000)
