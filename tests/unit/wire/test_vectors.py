"""Every vector under tests/vectors/ is checked, good ones and their tampered twins: what another implementation must
agree with."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from multidict import CIMultiDict

from tests.support.checkout import ROOT
from tests.support.received import ReceivedRequest, verify_request
from tests.vectors import generate
from worker.errors import EnvelopeError, SignatureError
from worker.secret import Secret
from worker.wire import envelope, signing, sigv4
from worker.wire.keys import PrivateKey, PublicKey
from worker.wire.signing import (
    AuthenticRequestError,
    Credentials,
    Reason,
    UnsignedRequest,
    VerifiedRequest,
)

VECTORS = ROOT / "tests" / "vectors"
SIGNING = json.loads((VECTORS / "signing.json").read_text())
ENVELOPE = json.loads((VECTORS / "envelope.json").read_text())
SECRET = Secret[str](SIGNING["credentials"]["secret_key"])
CREDENTIALS = Credentials(SIGNING["credentials"]["access_key"], SECRET, SIGNING["credentials"]["location"])
KEYS = [PrivateKey.from_pem(key["private_pem"]) for key in ENVELOPE["keys"]]


def by_name(case: dict[str, Any]) -> str:
    return str(case["name"])


def moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def received(case: dict[str, Any]) -> ReceivedRequest:
    headers = CIMultiDict([(name, value) for name, value in case["headers"]])
    return ReceivedRequest(method=case["method"], path=case["path"], headers=headers, body=case["body"].encode())


def verify(case: dict[str, Any]) -> VerifiedRequest:
    given = received(case)
    claim = signing.read_claim(given.headers)
    return verify_request(claim, SECRET, given, hosts=SIGNING["hosts"], now=moment(SIGNING["now"]))


def test_the_files_are_what_the_generator_writes() -> None:
    for name, text in generate.documents().items():
        assert (VECTORS / name).read_text() == text


@pytest.mark.parametrize("case", SIGNING["requests"], ids=by_name)
def test_a_request_of_the_vectors_verifies(case: dict[str, Any]) -> None:
    verified = verify(case)
    assert (verified.worker, verified.seq, verified.signature) == (case["worker"], case["seq"], case["signature"])
    assert verified.key.reveal().hex() == case["signing_key_hex"]


@pytest.mark.parametrize("case", [case for case in SIGNING["requests"] if "Host" not in case["name"]], ids=by_name)
def test_a_request_of_the_vectors_is_signed_in_these_steps(case: dict[str, Any]) -> None:
    headers = {name: value for name, value in case["headers"] if name != "Authorization"}
    target, date = case["path"], headers["X-PL-Date"]
    canonical = sigv4.canonical_request(case["method"], target, headers.items(), headers["X-PL-Content-SHA256"])
    scope = sigv4.Scope(day=date[:8], region=CREDENTIALS.location)
    assert canonical == case["canonical_request"]
    assert sigv4.string_to_sign(sigv4.PL1, scope, date, canonical) == case["string_to_sign"]
    request = UnsignedRequest(
        method=case["method"],
        path=target,
        host=headers["Host"],
        content_type=headers["Content-Type"],
        body=case["body"].encode(),
        worker=case["worker"],
        seq=case["seq"],
    )
    signed = signing.sign_request(CREDENTIALS, request, moment(date))
    assert {**signed.headers, "Host": headers["Host"]} == dict(map(tuple, case["headers"]))
    assert signed.signature == case["signature"]


@pytest.mark.parametrize("case", SIGNING["refused_requests"], ids=by_name)
def test_a_tampered_request_is_refused_for_its_reason(case: dict[str, Any]) -> None:
    with pytest.raises(SignatureError) as refused:
        verify(case)
    assert refused.value.reason == case["reason"]
    assert isinstance(refused.value, AuthenticRequestError) == case["refusal_is_signed"]


def test_every_reason_has_a_vector() -> None:
    shown = {case["reason"] for part in ("refused_requests", "refused_replies") for case in SIGNING[part]}
    assert shown == set(Reason)


def signed_requests() -> dict[str, signing.SignedRequest]:
    scope = sigv4.Scope(day=SIGNING["now"][:8], region=CREDENTIALS.location)
    key = sigv4.signing_key(sigv4.PL1, scope, CREDENTIALS.secret_key)
    return {
        case["name"]: signing.SignedRequest(headers={}, signature=case["signature"], key=key)
        for case in SIGNING["requests"]
    }


def read_reply(case: dict[str, Any]) -> datetime:
    return signing.verify_reply(
        signed_requests()[case["request"]],
        status=case["status"],
        headers=CIMultiDict([(name, value) for name, value in case["headers"]]),
        body=case["body"].encode(),
    )


@pytest.mark.parametrize("case", SIGNING["replies"], ids=by_name)
def test_a_reply_of_the_vectors_is_signed_and_verified_so(case: dict[str, Any]) -> None:
    request = next(request for request in SIGNING["requests"] if request["name"] == case["request"])
    headers = dict(map(tuple, case["headers"]))
    made = signing.sign_reply(
        verify(request),
        status=case["status"],
        now=moment(case["date"]),
        retry_after=headers.get("Retry-After"),
        body=case["body"].encode(),
    )
    assert made == headers
    assert read_reply(case) == moment(case["date"])


@pytest.mark.parametrize("case", SIGNING["refused_replies"], ids=by_name)
def test_a_tampered_reply_is_refused_for_its_reason(case: dict[str, Any]) -> None:
    with pytest.raises(SignatureError) as refused:
        read_reply(case)
    assert refused.value.reason == case["reason"]


def unseal(token: str) -> bytes:
    return envelope.unseal(token.encode(), KEYS, **ENVELOPE["expected"])


@pytest.mark.parametrize("case", ENVELOPE["keys"], ids=by_name)
def test_a_key_of_the_vectors_has_its_name(case: dict[str, Any]) -> None:
    assert PrivateKey.from_pem(case["private_pem"]).kid == case["kid"]
    assert PublicKey.from_pem(case["public_pem"]).kid == case["kid"]


@pytest.mark.parametrize("case", ENVELOPE["accepted"], ids=by_name)
def test_an_envelope_of_the_vectors_opens(case: dict[str, Any]) -> None:
    assert unseal(case["token"]) == case["payload"].encode()


@pytest.mark.parametrize("case", ENVELOPE["refused"], ids=by_name)
def test_a_tampered_envelope_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(EnvelopeError):
        unseal(case["token"])
