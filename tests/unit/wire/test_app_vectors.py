"""Every vector of app tokens and proofs of answers: what others must agree with, and twins that nobody may believe."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec
import pytest
from jwcrypto import jwe as other_jwe
from jwcrypto import jwk

from tests.support.checkout import ROOT
from worker.secret import Secret
from worker.wire import answerproof, apptoken, keys, signingkey
from worker.wire.apptoken import AppClaims, AppTokenError, SignedAppToken
from worker.wire.keys import PrivateKey
from worker.wire.signingkey import SigningKey

VECTORS = json.loads((ROOT / "tests" / "vectors" / "app.json").read_text())
RUNNERS = json.loads((ROOT / "tests" / "vectors" / "runner.json").read_text())
ENVELOPES = json.loads((ROOT / "tests" / "vectors" / "envelope.json").read_text())
SIGNING = SigningKey.from_text(Secret(json.dumps(RUNNERS["signing_key"])), "Ed25519")
RUNNER = SigningKey.from_text(Secret(json.dumps(RUNNERS["runner_key"])), "ES256")
PEM = next(key["private_pem"] for key in ENVELOPES["keys"] if key["name"] == "x25519")
OPENING = PrivateKey.from_pem(PEM)


def by_name(case: dict[str, Any]) -> str:
    return str(case["name"])


def opened(token: str) -> SignedAppToken:
    found = apptoken.unseal(token, [OPENING], urn=VECTORS["urn"])
    return apptoken.open_token(found, SIGNING.public if found.kid == SIGNING.kid else None)


@pytest.mark.parametrize("case", VECTORS["accepted"], ids=by_name)
def test_a_token_opens_and_says_what_was_signed(case: dict[str, Any]) -> None:
    found = opened(case["token"])
    assert msgspec.to_builtins(found.claims) == case["claims"]
    whole = found.payload + VECTORS["input"].encode()
    assert found.order_sha256(VECTORS["input"]) == hashlib.sha256(whole).hexdigest()


@pytest.mark.parametrize("case", VECTORS["refused"], ids=by_name)
def test_a_tampered_token_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(AppTokenError):
        opened(case["token"])


def test_there_are_sixty_twins_and_more() -> None:
    assert len(VECTORS["refused"]) >= 60


def test_what_is_sealed_here_opens_elsewhere_and_here() -> None:
    claims = msgspec.convert(VECTORS["accepted"][0]["claims"], AppClaims)
    token = apptoken.seal(claims, SIGNING, OPENING.public)
    assert opened(token).claims == claims
    there = other_jwe.JWE()
    there.deserialize(token, key=jwk.JWK.from_pem(PEM.encode()))
    assert there.payload.decode().count(".") == 2
    assert len(token) < 2600


def test_what_nobody_would_read_is_not_sealed() -> None:
    claims = msgspec.convert(VECTORS["accepted"][0]["claims"], AppClaims)
    for wrong in ({"exp": claims.iat + 60_001}, {"origin": "*"}, {"input": {"x": "x" * 100_000}}):
        with pytest.raises(ValueError, match="token"):
            apptoken.seal(msgspec.structs.replace(claims, **wrong), SIGNING, OPENING.public)


def test_another_runner_s_key_opens_nothing() -> None:
    with pytest.raises(AppTokenError):
        apptoken.unseal(VECTORS["accepted"][0]["token"], [keys.generate("x25519")], urn=VECTORS["urn"])


def holds(case: dict[str, Any]) -> bool:
    body = case["body"].encode()
    return answerproof.holds(case["proof"], RUNNER.public, jti=case["jti"], status=case["status"], body=body)


@pytest.mark.parametrize("case", VECTORS["answers"], ids=by_name)
def test_an_answer_is_proven(case: dict[str, Any]) -> None:
    assert holds(case)
    made = answerproof.sign(RUNNER, jti=case["jti"], status=case["status"], body=case["body"].encode())
    assert holds({**case, "proof": made})


@pytest.mark.parametrize("case", VECTORS["refused_answers"], ids=by_name)
def test_an_altered_answer_is_not(case: dict[str, Any]) -> None:
    assert not holds(case)


def test_the_key_of_a_control_plane_proves_no_answer() -> None:
    case = VECTORS["answers"][0]
    stranger = signingkey.generate("Ed25519").public
    assert not answerproof.holds(case["proof"], stranger, jti=case["jti"], status=200, body=case["body"].encode())
