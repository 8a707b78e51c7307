"""Proofs of a runner's requests and of the replies to them, for both sides: `Authorization: PL2 <JWS>` and `PL2-Reply: <JWS>`.

A request binds its runner, instance, audience, method, path, body and number; a reply binds the request, its own status, time,
Retry-After and body. Everything is checked before a body is opened or a state changes. It knows no store: which key a `kid`
means, and that a number is newer than the last, is the control plane's to say.

A request is refused either *before* its signature is known to hold (SignatureError: the answer cannot be signed) or *after*
(ProvenRequestError: the sender holds the key; the refusal is signed, and its time may correct the sender's clock).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from worker.errors import EnvelopeError, SignatureError
from worker.wire import compact, jws
from worker.wire.bounds import MAX_EXACT, MAX_SECONDS, MAX_SKEW, NumericDate, is_instance
from worker.wire.keyset import Keyset
from worker.wire.messages import Label
from worker.wire.signingkey import SigningKey, VerifyingKey

SCHEME = "PL2 "
"""Before the token in `Authorization`."""
REPLY_HEADER = "PL2-Reply"
REQUEST_TYPE = "pl-request"
REPLY_TYPE = "pl-reply"

MAX_PROOF_BYTES = 4096
"""A token with the longest URL takes 3 kB; servers take headers of 8 kB."""

_JTI = re.compile(r"([0-9a-f-]{36})\.([a-z]{1,20})\.([1-9][0-9]{0,15})")


class RunnerEndpoint(StrEnum):
    """Endpoints of the runner protocol: each counts its requests for itself."""

    ENROLL = "enroll"
    PULL = "pull"
    RESULTS = "results"
    CLAIM = "claim"
    ROTATE = "rotate"


class ProofReason(StrEnum):
    """Codes of refusals; they stand in logs and in signed refusals."""

    UNSIGNED = "unsigned"
    FORM = "form"
    KEY = "key"
    SIGNATURE = "signature"
    AUDIENCE = "audience"
    SKEW = "skew"
    REQUEST = "request"
    BODY = "body"
    REPLY = "reply"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A request whose signature holds. *token* is the JWS itself, to which a reply is bound; *body* the digest that it names."""

    token: str
    kid: str
    issuer: str
    instance: str
    endpoint: RunnerEndpoint
    number: int
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenReply:
    """The part of a reply that its signature covers beside status and body: its time, and the wait that it asks for, seconds."""

    at: datetime
    retry_after: int | None


class ProvenRequestError(SignatureError):
    """A request of who holds the key, refused for what it says. *proof* is what a signed refusal is bound to."""

    def __init__(self, reason: str, text: str, proof: Proof) -> None:
        self.proof = proof
        super().__init__(reason, text)


class _Claims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Claims of a request. `iat` is NumericDate (RFC 7519 section 2), in whole seconds."""

    iss: Label
    ins: Annotated[str, msgspec.Meta(min_length=36, max_length=36)]
    aud: Annotated[str, msgspec.Meta(max_length=2000)]
    htm: Annotated[str, msgspec.Meta(max_length=10)]
    htu: Annotated[str, msgspec.Meta(max_length=2000)]
    iat: NumericDate
    jti: Annotated[str, msgspec.Meta(max_length=80)]
    bsh: Annotated[str, msgspec.Meta(min_length=43, max_length=43)]


class _ReplyClaims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Claims of a reply. `at` is epoch milliseconds; `retry_after` seconds, null without any."""

    rq: Annotated[str, msgspec.Meta(min_length=43, max_length=43)]
    status: Annotated[int, msgspec.Meta(ge=100, le=599)]
    at: Annotated[int, msgspec.Meta(ge=0, le=MAX_SECONDS * 1000)]
    retry_after: Annotated[int, msgspec.Meta(ge=0, le=999_999_999)] | None
    bsh: Annotated[str, msgspec.Meta(min_length=43, max_length=43)]


class Provable(msgspec.Struct, frozen=True, kw_only=True):
    """A request as a runner sends it: *aud* is the control plane's base URL as the identity has it, *path* as it is sent."""

    ins: str
    aud: str
    method: str = "POST"
    path: str
    body: bytes
    number: int
    endpoint: RunnerEndpoint


def prove(request: Provable, key: SigningKey, *, iss: str, now: datetime) -> str:
    """The token of one request."""
    return jws.sign(_payload(request, iss, now), key, typ=REQUEST_TYPE)


def prove_new(request: Provable, key: SigningKey, *, now: datetime) -> str:
    """The token of a request under a key that nobody knows yet: it brings the key, and its issuer is the thumbprint."""
    return jws.introduce(_payload(request, key.kid, now), key, typ=REQUEST_TYPE)


def read(authorization: str | None) -> jws.Unverified:
    """Check the form of an `Authorization` header. Its kid says which key to `check` it with. Raises SignatureError."""
    try:
        return jws.read(_token(authorization), typ=REQUEST_TYPE, algorithm="ES256", max_bytes=MAX_PROOF_BYTES)
    except EnvelopeError as error:
        raise SignatureError(ProofReason.FORM, f"the proof is malformed: {error}") from error


def check(
    unverified: jws.Unverified,
    key: VerifyingKey,
    *,
    iss: str,
    audiences: Collection[str],
    method: str,
    path: str,
    now: datetime,
) -> Proof:
    """Check everything but the body: signature, issuer, audience, time, method and path, in this order.

    Raises SignatureError where the signature does not hold, ProvenRequestError after it.
    """
    try:
        payload = jws.verify(unverified, key)
    except EnvelopeError as error:
        raise SignatureError(ProofReason.SIGNATURE, str(error)) from error
    return _judge(payload, unverified.token, key, iss=iss, audiences=audiences, method=method, path=path, now=now)


def check_new(
    authorization: str | None, *, audiences: Collection[str], method: str, path: str, now: datetime
) -> tuple[Proof, VerifyingKey]:
    """Read and check a request that brings its key. That it may speak for anybody, something else must show."""
    token = _token(authorization)
    try:
        payload, key = jws.read_introduction(token, typ=REQUEST_TYPE, algorithm="ES256", max_bytes=MAX_PROOF_BYTES)
    except EnvelopeError as error:
        raise SignatureError(ProofReason.FORM, f"the proof does not hold: {error}") from error
    proof = _judge(payload, token, key, iss=key.kid, audiences=audiences, method=method, path=path, now=now)
    return proof, key


def check_body(proof: Proof, body: bytes) -> None:
    """Check that *body* is the one that was proven. Raises ProvenRequestError."""
    if compact.digest(body) != proof.body:
        raise ProvenRequestError(ProofReason.BODY, "the body is not the one that the proof names", proof)


def reply(
    key: SigningKey, proof: Proof, *, status: int, now: datetime, retry_after: int | None = None, body: bytes = b""
) -> str:
    """The value of `PL2-Reply` that makes this an answer to *proof*. *retry_after* in seconds."""
    claims = _ReplyClaims(
        rq=compact.digest(proof.token.encode()),
        status=status,
        at=round(now.timestamp() * 1000),
        retry_after=retry_after,
        bsh=compact.digest(body),
    )
    return jws.sign(msgspec.json.encode(claims), key, typ=REPLY_TYPE)


def check_reply(header: str | None, token: str, keyset: Keyset, *, status: int, body: bytes) -> ProvenReply:
    """Check that a reply is the control plane's answer to the request of *token*; returns what else it says.

    The key must hold at the time that the reply itself names: our clock may be the one that is wrong. Raises SignatureError:
    `unsigned` without a header (a proxy, a wrong host), `key` for one that the keyset has not (ask for a newer keyset).
    """
    if header is None:
        raise SignatureError(ProofReason.UNSIGNED, f"no {REPLY_HEADER} header")
    try:
        unverified = jws.read(header, typ=REPLY_TYPE, algorithm="Ed25519", max_bytes=MAX_PROOF_BYTES)
        entry = keyset.entry(unverified.kid)
        if entry is None:
            raise SignatureError(ProofReason.KEY, "the reply is signed by a key that the keyset has not")
        claims = msgspec.json.decode(jws.verify(unverified, entry.key), type=_ReplyClaims)
    except (EnvelopeError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SignatureError(ProofReason.SIGNATURE, f"the reply's proof does not hold: {error}") from error
    at = datetime.fromtimestamp(claims.at / 1000, UTC)
    if not entry.holds(at):
        raise SignatureError(ProofReason.KEY, "the reply is signed by a key that does not hold at its time")
    if (claims.rq, claims.status, claims.bsh) != (compact.digest(token.encode()), status, compact.digest(body)):
        raise SignatureError(ProofReason.REPLY, "the reply answers another request, or was altered")
    return ProvenReply(at=at, retry_after=claims.retry_after)


def _payload(request: Provable, iss: str, now: datetime) -> bytes:
    claims = _Claims(
        iss=iss,
        ins=request.ins,
        aud=request.aud,
        htm=request.method,
        htu=request.path,
        iat=int(now.timestamp()),
        jti=f"{request.ins}.{request.endpoint}.{request.number}",
        bsh=compact.digest(request.body),
    )
    return msgspec.json.encode(claims)


def _token(authorization: str | None) -> str:
    if authorization is None or not authorization.startswith(SCHEME):
        raise SignatureError(ProofReason.UNSIGNED, "no Authorization header of the scheme PL2")
    return authorization.removeprefix(SCHEME)


def _judge(
    payload: bytes,
    token: str,
    key: VerifyingKey,
    *,
    iss: str,
    audiences: Collection[str],
    method: str,
    path: str,
    now: datetime,
) -> Proof:
    claims = _read_claims(payload)
    proof = _proof(claims, token, key.kid)
    if claims.iss != iss:
        raise SignatureError(ProofReason.SIGNATURE, "the proof names another issuer than its key's")
    if claims.aud not in audiences:
        raise ProvenRequestError(ProofReason.AUDIENCE, "meant for a URL that is not one of this control plane's", proof)
    if abs(now - datetime.fromtimestamp(claims.iat, UTC)) > MAX_SKEW:
        raise ProvenRequestError(ProofReason.SKEW, "the clocks are more than 5 minutes apart", proof)
    if (claims.htm, claims.htu) != (method, path):
        raise ProvenRequestError(ProofReason.REQUEST, "proven for another method or path", proof)
    return proof


def _read_claims(payload: bytes) -> _Claims:
    try:
        return msgspec.json.decode(payload, type=_Claims)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SignatureError(ProofReason.FORM, f"the proof's claims are malformed: {str(error)[:200]}") from error


def _proof(claims: _Claims, token: str, kid: str) -> Proof:
    found = _JTI.fullmatch(claims.jti)
    if found is None or found[1] != claims.ins or not is_instance(claims.ins) or int(found[3]) > MAX_EXACT:
        raise SignatureError(ProofReason.FORM, "the proof's jti is not its instance, an endpoint and a number")
    try:
        endpoint = RunnerEndpoint(found[2])
    except ValueError as error:
        raise SignatureError(ProofReason.FORM, "the proof's jti names no endpoint") from error
    return Proof(
        token=token,
        kid=kid,
        issuer=claims.iss,
        instance=claims.ins,
        endpoint=endpoint,
        number=int(found[3]),
        body=claims.bsh,
    )
