"""Makes runner.json: proofs, replies, keysets, enrolment tokens and answers of the runner protocol, and their tampered twins.

This is an implementation of its own over bare signatures; it uses nothing from `worker`. A twin is a good token changed after it
was signed, or one "signed so": its signature holds and it is refused all the same.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

Case = dict[str, Any]
Members = Mapping[str, Any]

WARNING = "TEST KEYS. They are published with the source code and protect nothing. Never use them."
BASE_URL = "https://cp.example.com/pl"
AUDIENCES = [BASE_URL, "https://cp.example.com:8443"]
PATH = "/pl/runner/v1/pull"
NOW = 1_780_000_000
INSTANCE = "3f2a8a3e-6d0c-4a53-9b0e-1f2d3c4b5a69"
RUNNER = "8d5f6a0e-1b2c-4d3e-8f90-a1b2c3d4e5f6"
URN = f"urn:pl:actions:runner:local:1:{RUNNER}"
BODY = '{"version":1}'
SECRET = bytes(range(32))
DAY = 86_400


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def text(members: Members) -> bytes:
    return json.dumps(members, separators=(",", ":")).encode()


def digest(data: bytes) -> str:
    return encode(hashlib.sha256(data).digest())


def thumbprint(jwk: Members) -> str:
    """RFC 7638: the members in the order of their names, without blanks."""
    return digest(json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode())


class Runner:
    """P-256, signatures as RFC 6979 makes them: the same every time."""

    def __init__(self, number: int) -> None:
        self.private = ec.derive_private_key(number, ec.SECP256R1())
        point = self.private.public_key().public_numbers()
        self.jwk = {
            "kty": "EC",
            "crv": "P-256",
            "x": encode(point.x.to_bytes(32, "big")),
            "y": encode(point.y.to_bytes(32, "big")),
        }
        self.kid = thumbprint(self.jwk)
        self.alg = "ES256"
        self.secret = {**self.jwk, "d": encode(number.to_bytes(32, "big"))}

    def sign(self, data: bytes) -> bytes:
        der = self.private.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        r, s = utils.decode_dss_signature(der)
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


class Authority:
    """Ed25519."""

    def __init__(self, seed: int) -> None:
        self.private = ed25519.Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        public = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.jwk = {"kty": "OKP", "crv": "Ed25519", "x": encode(public)}
        self.kid = thumbprint(self.jwk)
        self.alg = "Ed25519"
        self.secret = {**self.jwk, "d": encode(bytes([seed]) * 32)}

    def sign(self, data: bytes) -> bytes:
        return self.private.sign(data)


Key = Runner | Authority
RUNNER_KEY, STRANGER = Runner(0x1234567), Runner(0x7654321)
ROOT, OTHER_ROOT = Authority(1), Authority(2)
SIGNING, NEXT_SIGNING, ENDED_SIGNING, UNKNOWN_SIGNING = Authority(3), Authority(4), Authority(5), Authority(6)
RESULTS_PEM = (
    x25519.X25519PrivateKey.from_private_bytes(bytes([7]) * 32)
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


def jws(header: Members | bytes, payload: Members | bytes, key: Key) -> str:
    head = header if isinstance(header, bytes) else text(header)
    body = payload if isinstance(payload, bytes) else text(payload)
    signed = f"{encode(head)}.{encode(body)}"
    return f"{signed}.{encode(key.sign(signed.encode()))}"


def named(key: Key, typ: str, **changes: Any) -> dict[str, Any]:
    return {"alg": key.alg, "typ": typ, "kid": key.kid, **changes}


def introduced(key: Key, typ: str, **changes: Any) -> dict[str, Any]:
    return {"alg": key.alg, "typ": typ, "jwk": key.jwk, **changes}


def without(members: Members, name: str) -> dict[str, Any]:
    return {each: value for each, value in members.items() if each != name}


def claims(**changes: Any) -> dict[str, Any]:
    made = {
        "iss": URN,
        "ins": INSTANCE,
        "aud": BASE_URL,
        "htm": "POST",
        "htu": PATH,
        "iat": NOW,
        "jti": f"{INSTANCE}.pull.1",
        "bsh": digest(BODY.encode()),
    }
    return {**made, **changes}


def flipped(token: str, segment: int) -> str:
    """The token with one bit of one segment changed, and still canonical."""
    parts = token.split(".")
    data = bytearray(base64.urlsafe_b64decode(parts[segment] + "=" * (-len(parts[segment]) % 4)))
    data[len(data) // 2] ^= 1
    parts[segment] = encode(bytes(data))
    return ".".join(parts)


PROOF = jws(named(RUNNER_KEY, "pl-request"), claims(), RUNNER_KEY)


def request(name: str, token: str, **more: Any) -> Case:
    return {"name": name, "token": token, "path": PATH, "body": BODY, **more}


def requests() -> list[Case]:
    results = claims(htu="/pl/runner/v1/results", jti=f"{INSTANCE}.results.9007199254740992", iat=NOW - 300)
    return [
        request("a pull", PROOF, endpoint="pull", number=1),
        request(
            "results, another public URL, five minutes old, the last number",
            jws(named(RUNNER_KEY, "pl-request"), {**results, "aud": AUDIENCES[1]}, RUNNER_KEY),
            path="/pl/runner/v1/results",
            endpoint="results",
            number=2**53,
        ),
    ]


def refused_requests() -> list[Case]:
    def twin(name: str, reason: str, header: Members, payload: Members | bytes, key: Key = RUNNER_KEY) -> Case:
        return request(f"{name}, signed so", jws(header, payload, key), reason=reason)

    head = named(RUNNER_KEY, "pl-request")
    own = [
        twin("another typ", "form", {**head, "typ": "pl-reply"}, claims()),
        twin("no typ", "form", without(head, "typ"), claims()),
        twin("an algorithm of the wrong key", "form", {**head, "alg": "Ed25519"}, claims()),
        twin("alg none", "form", {**head, "alg": "none"}, claims()),
        twin("alg HS256", "form", {**head, "alg": "HS256"}, claims()),
        twin("an unknown header member", "form", {**head, "cty": "JWT"}, claims()),
        twin("a critical header member", "form", {**head, "crit": ["b64"], "b64": False}, claims()),
        twin("a key by value beside its name", "form", {**head, "jwk": STRANGER.jwk}, claims()),
        twin("a key by address", "form", {**head, "jku": "https://evil.example"}, claims()),
        twin("a kid that is a number", "form", {**head, "kid": 7}, claims()),
        twin("an empty kid", "form", {**head, "kid": ""}, claims()),
        twin("a key that nobody knows", "key", named(STRANGER, "pl-request"), claims(), STRANGER),
        twin("the name of another key", "signature", head, claims(), STRANGER),
        twin("another issuer", "signature", head, claims(iss=URN.replace(":1:", ":2:"))),
        twin("another audience", "audience", head, claims(aud="https://evil.example")),
        twin("an audience with a slash", "audience", head, claims(aud=BASE_URL + "/")),
        twin("too old", "skew", head, claims(iat=NOW - 301)),
        twin("of the future", "skew", head, claims(iat=NOW + 301)),
        twin("another method", "request", head, claims(htm="GET")),
        twin("another path", "request", head, claims(htu="/pl/runner/v1/results")),
        twin("a path of the same place", "request", head, claims(htu="/pl/./runner/v1/pull")),
        twin("another body", "body", head, claims(bsh=digest(b"{}"))),
        twin("a number of 0", "form", head, claims(jti=f"{INSTANCE}.pull.0")),
        twin("a number with a zero before", "form", head, claims(jti=f"{INSTANCE}.pull.01")),
        twin("a number that is too large", "form", head, claims(jti=f"{INSTANCE}.pull.{2**53 + 1}")),
        twin("an endpoint that is not one", "form", head, claims(jti=f"{INSTANCE}.push.1")),
        twin("the number of another instance", "form", head, claims(jti=f"{RUNNER}.pull.1")),
        twin("an instance in capitals", "form", head, claims(ins=INSTANCE.upper(), jti=f"{INSTANCE.upper()}.pull.1")),
        twin("an unknown claim", "form", head, claims(exp=NOW + 60)),
        *(twin(f"no {name}", "form", head, without(claims(), name)) for name in claims()),
        twin("a date that is a text", "form", head, claims(iat=str(NOW))),
        twin("a date with a fraction", "form", head, claims(iat=NOW + 0.5)),
        twin("claims that are not JSON", "form", head, b"{"),
        twin("claims that are a list", "form", head, b"[]"),
    ]
    twice = b'{"alg":"ES256","typ":"pl-request","typ":"pl-request","kid":"' + RUNNER_KEY.kid.encode() + b'"}'
    first, second, third = PROOF.split(".")
    der = RUNNER_KEY.private.sign(f"{first}.{second}".encode(), ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    return [
        *own,
        request("a header member twice, signed so", jws(twice, claims(), RUNNER_KEY), reason="form"),
        request("a header that is not JSON, signed so", jws(b"{", claims(), RUNNER_KEY), reason="form"),
        request("a header that is a list, signed so", jws(b"[]", claims(), RUNNER_KEY), reason="form"),
        request("one bit of the claims", flipped(PROOF, 1), reason="signature"),
        request("one bit of the signature", flipped(PROOF, 2), reason="signature"),
        request("a signature as DER", f"{first}.{second}.{encode(der)}", reason="form"),
        request("a signature that is cut off", f"{first}.{second}.{third[:-2]}", reason="form"),
        request("no signature", f"{first}.{second}.", reason="form"),
        request("two segments", f"{first}.{second}", reason="form"),
        request("four segments", f"{PROOF}.{third}", reason="form"),
        request("padding", f"{PROOF}==", reason="form"),
        request("a blank in a segment", f"{first}.{second} .{third}", reason="form"),
        request("detached claims", f"{first}..{third}", reason="signature"),
        request("five kilobytes", jws(head_of_length(), claims(), RUNNER_KEY), reason="form"),
    ]


def head_of_length() -> Members:
    return {**named(RUNNER_KEY, "pl-request"), "kid": "k" * 5000}


def keyset(seq: int = 3, **changes: Any) -> dict[str, Any]:
    def entry(key: Authority, start: int, end: int) -> dict[str, Any]:
        return {"kid": key.kid, "x": key.jwk["x"], "nbf": NOW + start * DAY, "exp": NOW + end * DAY}

    listed = [entry(SIGNING, -1, 30), entry(NEXT_SIGNING, 7, 60), entry(ENDED_SIGNING, -60, -1)]
    return {"org": 1, "seq": seq, "keys": listed, "results_key": RESULTS_PEM, **changes}


KEYSET = jws(named(ROOT, "pl-keyset"), keyset(), ROOT)


def refused_keysets() -> list[Case]:
    head, first = named(ROOT, "pl-keyset"), keyset()["keys"][0]

    def twin(name: str, header: Members, payload: Members, key: Key = ROOT) -> Case:
        return {"name": f"{name}, signed so", "token": jws(header, payload, key)}

    return [
        twin("another typ", {**head, "typ": "pl-task"}, keyset()),
        twin("another root", named(OTHER_ROOT, "pl-keyset"), keyset(), OTHER_ROOT),
        twin("another root under the name of ours", head, keyset(), OTHER_ROOT),
        twin("a signing key in the place of the root", named(SIGNING, "pl-keyset"), keyset(), SIGNING),
        twin("a root that introduces itself", introduced(ROOT, "pl-keyset"), keyset()),
        twin("no key", head, keyset(keys=[])),
        twin("seventeen keys", head, keyset(keys=[first] * 17)),
        twin("a key twice", head, keyset(keys=[first, first])),
        twin("a kid that is not its key's", head, keyset(keys=[{**first, "kid": NEXT_SIGNING.kid}])),
        twin("a key of 31 bytes", head, keyset(keys=[{**first, "x": encode(bytes(31))}])),
        twin("an unknown member of a key", head, keyset(keys=[{**first, "d": "secret"}])),
        twin("a seq of 0", head, keyset(seq=0)),
        twin("an org that is a text", head, keyset(org="1")),
        twin("a results key that is not one", head, keyset(results_key="PEM")),
        twin("no results key", head, without(keyset(), "results_key")),
        {"name": "one bit of the payload", "token": flipped(KEYSET, 1)},
        {"name": "one bit of the signature", "token": flipped(KEYSET, 2)},
    ]


def reply_claims(**changes: Any) -> dict[str, Any]:
    made = {
        "rq": digest(PROOF.encode()),
        "status": 200,
        "at": NOW * 1000 + 250,
        "retry_after": None,
        "bsh": digest(b"sealed"),
    }
    return {**made, **changes}


def reply(name: str, token: str | None, **more: Any) -> Case:
    return {"name": name, "header": token, "status": 200, "body": "sealed", **more}


def replies() -> list[Case]:
    head = named(SIGNING, "pl-reply")
    busy = reply_claims(status=503, retry_after=7, bsh=digest(b""))
    return [
        reply("work", jws(head, reply_claims(), SIGNING), at=NOW * 1000 + 250, retry_after=None),
        reply("busy", jws(head, busy, SIGNING), status=503, body="", at=NOW * 1000 + 250, retry_after=7),
    ]


def refused_replies() -> list[Case]:
    head, good = named(SIGNING, "pl-reply"), jws(named(SIGNING, "pl-reply"), reply_claims(), SIGNING)

    def twin(name: str, reason: str, header: Members, payload: Members, key: Key = SIGNING) -> Case:
        return reply(f"{name}, signed so", jws(header, payload, key), reason=reason)

    return [
        reply("no header", None, reason="unsigned"),
        reply("another status", good, reason="reply", status=204),
        reply("another body", good, reason="reply", body="sealed!"),
        reply("one bit of the signature", flipped(good, 2), reason="signature"),
        twin("the answer to another request", "reply", head, reply_claims(rq=digest(b"another"))),
        twin("another typ", "signature", {**head, "typ": "pl-task"}, reply_claims()),
        twin("an unknown key", "key", named(UNKNOWN_SIGNING, "pl-reply"), reply_claims(), UNKNOWN_SIGNING),
        twin("a key that has ended", "key", named(ENDED_SIGNING, "pl-reply"), reply_claims(), ENDED_SIGNING),
        twin("a key that does not hold yet", "key", named(NEXT_SIGNING, "pl-reply"), reply_claims(), NEXT_SIGNING),
        twin("the root in the place of a signing key", "key", named(ROOT, "pl-reply"), reply_claims(), ROOT),
        twin("the runner's own key", "signature", named(RUNNER_KEY, "pl-reply"), reply_claims(), RUNNER_KEY),
        twin("an unknown claim", "signature", head, reply_claims(iss="x")),
        twin("no time", "signature", head, without(reply_claims(), "at")),
        twin("a wait that is negative", "signature", head, reply_claims(retry_after=-1)),
    ]


def enrolment_token(**changes: Any) -> str:
    members = {"u": BASE_URL, "i": "token-1", "s": encode(SECRET), "k": ROOT.kid, **changes}
    return "pl1e." + encode(text(members))


ENROL_CLAIMS = claims(iss=RUNNER_KEY.kid, htu="/pl/runner/v1/enroll", jti=f"{INSTANCE}.enroll.1")
ENROL_PROOF = jws(introduced(RUNNER_KEY, "pl-request"), ENROL_CLAIMS, RUNNER_KEY)


def enrolled(**changes: Any) -> dict[str, Any]:
    made = {
        "rq": digest(ENROL_PROOF.encode()),
        "urn": URN,
        "org": 1,
        "name": "berlin",
        "modes": ["pull"],
        "host": None,
        "keyset": KEYSET,
        "instances": 1,
        "at": NOW * 1000,
    }
    return {**made, **changes}


def refused_answers() -> list[Case]:
    head = introduced(ROOT, "pl-enrolled")

    def twin(name: str, header: Members, payload: Members, key: Key = ROOT) -> Case:
        return {"name": f"{name}, signed so", "token": jws(header, payload, key)}

    return [
        twin("another root", introduced(OTHER_ROOT, "pl-enrolled"), enrolled(), OTHER_ROOT),
        twin("another root beside the name of ours", {**head, "kid": ROOT.kid}, enrolled()),
        twin("another root's key under our signature", introduced(OTHER_ROOT, "pl-enrolled"), enrolled()),
        twin("a root by name", named(ROOT, "pl-enrolled"), enrolled()),
        twin("a refusal that says it enrols", introduced(ROOT, "pl-refused"), enrolled()),
        twin("the answer to another request", head, enrolled(rq=digest(b"another"))),
        twin("a urn of another organisation", head, enrolled(org=2)),
        twin("a urn of six fields", head, enrolled(urn=f"urn:pl:actions:runner:1:{RUNNER}")),
        twin("a mode that is not one", head, enrolled(modes=["shell"])),
        twin("no mode", head, enrolled(modes=[])),
        twin("no keyset", head, without(enrolled(), "keyset")),
        twin("a root of a longer key", {**head, "jwk": {**ROOT.jwk, "y": ROOT.jwk["x"]}}, enrolled()),
        twin("a private root", {**head, "jwk": ROOT.secret}, enrolled()),
    ]


def refused_tokens() -> list[Case]:
    good = enrolment_token()
    return [
        {"name": "no prefix", "token": good.removeprefix("pl1e.")},
        {"name": "another prefix", "token": "pl2e." + good.removeprefix("pl1e.")},
        {"name": "cut off", "token": good[:-7]},
        {"name": "padded", "token": good + "="},
        {"name": "a blank within", "token": good[:20] + " " + good[20:]},
        {"name": "no secret", "token": enrolment_token(s="")},
        {"name": "a secret of 31 bytes", "token": enrolment_token(s=encode(SECRET[:31]))},
        {"name": "an unknown member", "token": enrolment_token(x=1)},
        {"name": "a URL of another kind", "token": enrolment_token(u="file:///etc/passwd")},
        {"name": "a URL with a login", "token": enrolment_token(u="https://user:secret@cp.example.com")},
        {"name": "a URL with a query", "token": enrolment_token(u="https://cp.example.com?a=1")},
        {"name": "a URL without a host", "token": enrolment_token(u="https://")},
        {"name": "a thumbprint that is none", "token": enrolment_token(k="root")},
        {"name": "an id with a slash", "token": enrolment_token(i="../x")},
    ]


def document() -> dict[str, Any]:
    return {
        "warning": WARNING,
        "now": NOW,
        "audiences": AUDIENCES,
        "urn": URN,
        "instance": INSTANCE,
        "runner_key": RUNNER_KEY.secret,
        "root_key": ROOT.secret,
        "signing_key": SIGNING.secret,
        "requests": requests(),
        "refused_requests": refused_requests(),
        "keyset": KEYSET,
        "refused_keysets": refused_keysets(),
        "replies": replies(),
        "refused_replies": refused_replies(),
        "enrolment": {
            "token": enrolment_token(),
            "url": BASE_URL,
            "id": "token-1",
            "secret_hex": SECRET.hex(),
            "root": ROOT.kid,
            "path": "/pl/runner/v1/enroll",
            "body": BODY,
            "proof": ENROL_PROOF,
            "mac": hmac.new(SECRET, ENROL_PROOF.encode(), hashlib.sha256).hexdigest(),
            "answer": jws(introduced(ROOT, "pl-enrolled"), enrolled(), ROOT),
            "refusal": jws(
                introduced(ROOT, "pl-refused"),
                {"rq": digest(ENROL_PROOF.encode()), "error": "token", "message": "ended", "at": NOW * 1000},
                ROOT,
            ),
        },
        "refused_answers": refused_answers(),
        "refused_tokens": refused_tokens(),
    }
