"""Every vector of the runner protocol: what another implementation must agree with, and twins that nobody may believe."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jwcrypto import jwk
from jwcrypto import jws as other_jws

from tests.support.checkout import ROOT
from tests.support.peers import peer
from worker.errors import EnvelopeError, MessageError, SignatureError, WireError
from worker.secret import Secret
from worker.wire import enrolment, jws, proof
from worker.wire.enrolment import EnrolmentToken
from worker.wire.keyset import Keyset, read_keyset
from worker.wire.proof import Proof, ProvenRequestError, RunnerEndpoint
from worker.wire.signingkey import SigningKey

VECTORS = json.loads((ROOT / "tests" / "vectors" / "runner.json").read_text())
NOW = datetime.fromtimestamp(VECTORS["now"], UTC)
RUNNER = SigningKey.from_text(Secret(json.dumps(VECTORS["runner_key"])), "ES256")
ROOT_KEY = SigningKey.from_text(Secret(json.dumps(VECTORS["root_key"])), "Ed25519")
SIGNING = SigningKey.from_text(Secret(json.dumps(VECTORS["signing_key"])), "Ed25519")
ENROLMENT = VECTORS["enrolment"]
SIGNED_AFTERWARDS = {"audience", "skew", "request", "body"}


def by_name(case: dict[str, Any]) -> str:
    return str(case["name"])


def keyset() -> Keyset:
    return read_keyset(VECTORS["keyset"], ROOT_KEY.public)


def check(case: dict[str, Any]) -> Proof:
    unverified = proof.read(proof.SCHEME + case["token"])
    if unverified.kid != RUNNER.kid:
        raise SignatureError("key", "not a runner of ours")
    proven = proof.check(
        unverified,
        RUNNER.public,
        iss=VECTORS["urn"],
        audiences=VECTORS["audiences"],
        method="POST",
        path=case["path"],
        now=NOW,
    )
    proof.check_body(proven, case["body"].encode())
    return proven


def check_reply(case: dict[str, Any]) -> proof.ProvenReply:
    token = VECTORS["requests"][0]["token"]
    return proof.check_reply(case["header"], token, keyset(), status=case["status"], body=case["body"].encode())


@pytest.mark.parametrize("case", VECTORS["requests"], ids=by_name)
def test_a_request_proves_what_it_says(case: dict[str, Any]) -> None:
    proven = check(case)
    assert (proven.endpoint, proven.number) == (case["endpoint"], case["number"])
    assert (proven.instance, proven.issuer, proven.kid) == (VECTORS["instance"], VECTORS["urn"], RUNNER.kid)


@pytest.mark.parametrize("case", VECTORS["refused_requests"], ids=by_name)
def test_a_tampered_request_is_refused_for_its_reason(case: dict[str, Any]) -> None:
    with pytest.raises(SignatureError) as refused:
        check(case)
    assert refused.value.reason == case["reason"]
    assert isinstance(refused.value, ProvenRequestError) == (case["reason"] in SIGNED_AFTERWARDS)


@pytest.mark.parametrize("case", VECTORS["replies"], ids=by_name)
def test_a_reply_proves_what_it_says(case: dict[str, Any]) -> None:
    proven = check_reply(case)
    assert round(proven.at.timestamp() * 1000) == case["at"]
    assert proven.retry_after == case["retry_after"]


@pytest.mark.parametrize("case", VECTORS["refused_replies"], ids=by_name)
def test_a_tampered_reply_is_refused_for_its_reason(case: dict[str, Any]) -> None:
    with pytest.raises(SignatureError) as refused:
        check_reply(case)
    assert refused.value.reason == case["reason"]


@pytest.mark.parametrize("case", VECTORS["refused_keysets"], ids=by_name)
def test_a_tampered_keyset_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises((EnvelopeError, MessageError)):
        read_keyset(case["token"], ROOT_KEY.public)


def test_a_keyset_says_which_keys_hold_when() -> None:
    known = keyset()
    assert known.signing_key(SIGNING.kid, NOW) == SIGNING.public
    assert known.signing_key(SIGNING.kid, NOW + timedelta(days=31)) is None
    assert known.signing_key(RUNNER.kid, NOW) is None
    _, later, ended = known.entries
    assert known.signing_key(later.key.kid, NOW) is None
    assert known.signing_key(later.key.kid, later.not_before) == later.key
    assert known.signing_key(ended.key.kid, NOW) is None


def test_an_enrolment_token_is_taken_apart() -> None:
    token = EnrolmentToken.parse(Secret(ENROLMENT["token"]))
    assert (token.base_url, token.id, token.root) == (ENROLMENT["url"], ENROLMENT["id"], ENROLMENT["root"])
    assert token.secret == Secret(bytes.fromhex(ENROLMENT["secret_hex"]))
    assert token.text() == Secret(ENROLMENT["token"])
    assert enrolment.mac(token.secret, ENROLMENT["proof"]) == ENROLMENT["mac"]


@pytest.mark.parametrize("case", VECTORS["refused_tokens"], ids=by_name)
def test_a_malformed_enrolment_token_is_refused_and_not_quoted(case: dict[str, Any]) -> None:
    with pytest.raises(MessageError) as refused:
        EnrolmentToken.parse(Secret(case["token"]))
    assert case["token"][8:30] not in str(refused.value)


def test_a_new_key_introduces_itself() -> None:
    proven, key = proof.check_new(
        proof.SCHEME + ENROLMENT["proof"],
        audiences=VECTORS["audiences"],
        method="POST",
        path=ENROLMENT["path"],
        now=NOW,
    )
    assert key == RUNNER.public
    assert (proven.endpoint, proven.issuer) == (RunnerEndpoint.ENROLL, RUNNER.kid)


def test_the_answer_names_the_root_that_the_token_named() -> None:
    answer, root = enrolment.read_enrolled(ENROLMENT["answer"], ENROLMENT["proof"], root=ENROLMENT["root"])
    assert (answer.urn, answer.name, root) == (VECTORS["urn"], "berlin", ROOT_KEY.public)
    refusal = enrolment.read_refusal(ENROLMENT["refusal"], ENROLMENT["proof"], root=ENROLMENT["root"])
    assert refusal.error == "token"


@pytest.mark.parametrize("case", VECTORS["refused_answers"], ids=by_name)
def test_a_tampered_answer_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises((EnvelopeError, MessageError)):
        enrolment.read_enrolled(case["token"], ENROLMENT["proof"], root=ENROLMENT["root"])


def test_there_are_sixty_twins_and_more() -> None:
    kinds = ("requests", "keysets", "replies", "answers", "tokens")
    assert sum(len(VECTORS[f"refused_{kind}"]) for kind in kinds) >= 60


def test_jwcrypto_reads_what_is_signed_here_and_the_other_way_round() -> None:
    """ES256; of Ed25519 it knows the older name alone, and so the thumbprint: the vectors are signed by bare Ed25519."""
    there = jwk.JWK(**json.loads(RUNNER.text().reveal()))
    assert there.thumbprint() == RUNNER.kid
    assert jwk.JWK(**VECTORS["signing_key"]).thumbprint() == SIGNING.kid
    token = other_jws.JWS()
    token.deserialize(jws.sign(b"payload", RUNNER, typ="pl-test"), key=there)
    assert token.payload == b"payload"
    made = other_jws.JWS(b"payload")
    made.add_signature(there, protected=json.dumps({"alg": "ES256", "typ": "pl-test", "kid": RUNNER.kid}))
    read = jws.read(made.serialize(compact=True), typ="pl-test", algorithm="ES256", max_bytes=1000)
    assert jws.verify(read, RUNNER.public) == b"payload"


WEB_CRYPTO = """
const {subtle} = globalThis.crypto;
const ALGORITHMS = {
  ES256: [{name: "ECDSA", namedCurve: "P-256"}, {name: "ECDSA", hash: "SHA-256"}],
  Ed25519: [{name: "Ed25519"}, {name: "Ed25519"}],
};
async function holds({token, key, algorithm}) {
  const [kind, how] = ALGORITHMS[algorithm];
  const [header, payload, signature] = token.split(".");
  const known = await subtle.importKey("jwk", key, kind, false, ["verify"]);
  return subtle.verify(how, known, Buffer.from(signature, "base64url"), Buffer.from(`${header}.${payload}`));
}
const given = JSON.parse(require("fs").readFileSync(0));
Promise.all(given.map(holds)).then((said) => console.log(JSON.stringify(said)));
"""


def test_web_crypto_agrees_on_signatures() -> None:
    """An implementation that shares nothing with ours: true of each token that counts, false of each twin that was altered."""
    requests = [("ES256", "runner_key", one["token"], counts) for one, counts in judged("requests")]
    replies = [("Ed25519", "signing_key", one["header"], counts) for one, counts in judged("replies")]
    asked = [*requests, *replies, ("Ed25519", "root_key", VECTORS["keyset"], True)]
    public = {
        name: {k: v for k, v in VECTORS[name].items() if k != "d"} for name in ("runner_key", "signing_key", "root_key")
    }
    given = [{"algorithm": how, "key": public[key], "token": token} for how, key, token, _ in asked]
    done = subprocess.run(
        [peer("node"), "-e", WEB_CRYPTO],
        input=json.dumps(given),
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    assert json.loads(done.stdout) == [counts for *_, counts in asked]


def judged(kind: str) -> list[tuple[dict[str, Any], bool]]:
    """Those that count, and those whose signature alone is wrong: a twin that is signed so is refused for what it says."""
    altered = [
        one for one in VECTORS[f"refused_{kind}"] if one["reason"] == "signature" and "signed so" not in one["name"]
    ]
    return [*((one, True) for one in VECTORS[kind]), *((one, False) for one in altered)]


def test_a_private_key_whose_halves_differ_is_refused() -> None:
    stranger = json.loads(RUNNER.text().reveal()) | {"d": VECTORS["root_key"]["d"]}
    with pytest.raises(WireError):
        SigningKey.from_text(Secret(json.dumps(stranger)), "ES256")


def test_no_key_shows_itself() -> None:
    assert VECTORS["runner_key"]["d"] not in repr(RUNNER) + str(RUNNER) + repr(RUNNER.text())
