"""Enrolment: the token that a person hands over, the request that a new runner makes with it, and the root-signed answers.

The token says where to go, gives the right to enrol once, and names the root key to believe; its secret never crosses the wire.
Both directions of every message are here. Which tokens there are and who used them is the control plane's to know.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec

from worker.errors import EnvelopeError, MessageError
from worker.secret import Secret
from worker.wire import compact, jws
from worker.wire.keys import MAX_PEM_CHARACTERS
from worker.wire.keyset import MAX_KEYSET_BYTES
from worker.wire.messages import EpochMilliseconds, Label
from worker.wire.signingkey import SigningKey, VerifyingKey

TOKEN_PREFIX = "pl1e."  # noqa: S105 - the mark of a token
MAC_HEADER = "PL2-Enroll"
ENROLLED_TYPE = "pl-enrolled"
REFUSED_TYPE = "pl-refused"
ENROLL_PATH = "/runner/v1/enroll"
KEYSET_PATH = "/runner/v1/keyset"
ROTATE_PATH = "/runner/v1/rotate"

MAX_TOKEN_CHARACTERS = 4000
MAX_ENROL_BYTES = 32 * 1024
"""Of the request's body."""
MAX_ENROLLED_BYTES = 2 * MAX_KEYSET_BYTES
"""Of the answer: a keyset in base64, and little beside it."""
SECRET_BYTES = 32

URN = re.compile(r"urn:pl:actions:runner:[a-z0-9-]{1,40}:[1-9][0-9]{0,15}:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Seven fields, as the reference system's: region, organisation, runner."""

Mode = Literal["pull", "push"]
Modes = Annotated[tuple[Mode, ...], msgspec.Meta(min_length=1, max_length=2)]
TokenId = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"\A[A-Za-z0-9_-]+\Z")]
Thumbprint = Annotated[str, msgspec.Meta(min_length=43, max_length=43, pattern=r"\A[A-Za-z0-9_-]+\Z")]
RunnerName = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]*\Z")]
"""It goes through shells, YAML and URLs as it is."""
HostText = Annotated[str, msgspec.Meta(max_length=300)]


class _TokenMembers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    u: Annotated[str, msgspec.Meta(max_length=2000)]
    i: TokenId
    s: Annotated[str, msgspec.Meta(min_length=43, max_length=43)]
    k: Thumbprint


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentToken:
    """A right to enrol at *base_url*. *root* is the thumbprint of the key to believe."""

    base_url: str
    id: str
    secret: Secret[bytes]
    root: str

    def text(self) -> Secret[str]:
        """The one string that a person hands over."""
        secret = compact.encode(self.secret.reveal()).decode()
        members = {"u": self.base_url, "i": self.id, "s": secret, "k": self.root}
        return Secret(TOKEN_PREFIX + compact.encode(json.dumps(members, separators=(",", ":")).encode()).decode())

    @classmethod
    def parse(cls, text: Secret[str]) -> EnrolmentToken:
        """Read what `text` gave. Raises MessageError, which never quotes it."""
        token = text.reveal().strip()
        if not token.startswith(TOKEN_PREFIX) or not token.isascii():
            raise MessageError(f"is not a valid enrolment token: it begins with {TOKEN_PREFIX}")
        segment = token.removeprefix(TOKEN_PREFIX).encode()
        if len(segment) > MAX_TOKEN_CHARACTERS or not compact.is_base64url(segment):
            raise MessageError("is not a valid enrolment token: it is cut off, or was altered on the way")
        try:
            members = msgspec.json.decode(compact.decode(segment), type=_TokenMembers)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise MessageError("is not a valid enrolment token: it is cut off, or was altered on the way") from None
        secret = members.s.encode()
        if not compact.is_base64url(secret) or not _is_base_url(members.u):
            raise MessageError("is not a valid enrolment token: its URL or its secret is malformed")
        return cls(base_url=members.u, id=members.i, secret=Secret(compact.decode(secret)), root=members.k)


def new_token(base_url: str, root: VerifyingKey) -> EnrolmentToken:
    """Make a token, with a new id and a new secret."""
    return EnrolmentToken(
        base_url=base_url,
        id=secrets.token_urlsafe(12),
        secret=Secret(secrets.token_bytes(SECRET_BYTES)),
        root=root.kid,
    )


def mac(secret: Secret[bytes], proof: str) -> str:
    """The value of `PL2-Enroll`: who makes it knows the token, and made it for exactly this proof."""
    return hmac.new(secret.reveal(), proof.encode(), hashlib.sha256).hexdigest()


class Enrol(msgspec.Struct, frozen=True, kw_only=True):
    """Runner → control plane, in the clear inside TLS and proven. *token* is its id; *host* where a push runner is reached.

    *name* and *modes* are what its operator wrote, and must be those that it was made with, or fewer; null for just those.
    """

    version: Literal[1]
    token: TokenId
    name: RunnerName | None = None
    modes: Modes | None = None
    host: HostText | None = None
    hostname: Label = ""
    agent: Label = ""
    platform: Label = ""
    opening_key: Annotated[str, msgspec.Meta(max_length=MAX_PEM_CHARACTERS)]


class NewKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Runner → control plane, proven by the key in use. *proof* introduces the next one, and its body is *opening_key*."""

    version: Literal[1]
    proof: Annotated[str, msgspec.Meta(max_length=4096)]
    opening_key: Annotated[str, msgspec.Meta(max_length=MAX_PEM_CHARACTERS)]


class Enrolled(msgspec.Struct, frozen=True, kw_only=True):
    """Control plane → runner, signed by root. *rq* is the digest of the proof that it answers; *instances* may live at a time."""

    rq: Thumbprint
    urn: Annotated[str, msgspec.Meta(max_length=200)]
    org: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    name: RunnerName
    modes: Modes
    host: HostText | None = None
    keyset: Annotated[str, msgspec.Meta(max_length=MAX_KEYSET_BYTES)]
    instances: Annotated[int, msgspec.Meta(ge=1, le=100)] = 1
    at: EpochMilliseconds


class EnrolRefusal(msgspec.Struct, frozen=True, kw_only=True):
    """Control plane → runner, signed by root: a stable code (token, skew, used, name, modes, message) and a sentence."""

    rq: Thumbprint
    error: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    message: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    at: EpochMilliseconds


T = TypeVar("T", Enrolled, EnrolRefusal)
EnrolmentMessage = TypeVar("EnrolmentMessage", Enrol, Enrolled, EnrolRefusal, NewKeys)


def encode_enrol(message: Enrol) -> bytes:
    return msgspec.json.encode(message)


def decode_enrol(body: bytes) -> Enrol:
    """Read the request's body. Raises MessageError."""
    return _decode(body, Enrol)


def encode_rotation(message: NewKeys) -> bytes:
    return msgspec.json.encode(message)


def decode_rotation(body: bytes) -> NewKeys:
    """Read the body of a rotation. Raises MessageError."""
    return _decode(body, NewKeys)


def answer(root: SigningKey, message: Enrolled | EnrolRefusal) -> str:
    """Sign an answer; its header brings the root key, which the token's thumbprint makes believable."""
    typ = ENROLLED_TYPE if isinstance(message, Enrolled) else REFUSED_TYPE
    return jws.introduce(msgspec.json.encode(message), root, typ=typ)


def read_enrolled(token: str, proof: str, *, root: str) -> tuple[Enrolled, VerifyingKey]:
    """Read a success, as the answer to *proof*, by the root of thumbprint *root*; and that root.

    Raises EnvelopeError, MessageError.
    """
    message, key = _read(token, proof, root, ENROLLED_TYPE, Enrolled)
    if not URN.fullmatch(message.urn) or message.urn.split(":")[5] != str(message.org):
        raise MessageError("not an Enrolled message: its urn is malformed, or of another organisation")
    return message, key


def read_refusal(token: str, proof: str, *, root: str) -> EnrolRefusal:
    """Read a refusal of the root of thumbprint *root*, as the answer to *proof*. Raises EnvelopeError, MessageError."""
    return _read(token, proof, root, REFUSED_TYPE, EnrolRefusal)[0]


def _read(token: str, proof: str, root: str, typ: str, kind: type[T]) -> tuple[T, VerifyingKey]:
    payload, key = jws.read_introduction(token, typ=typ, algorithm="Ed25519", max_bytes=MAX_ENROLLED_BYTES)
    if key.kid != root:
        raise EnvelopeError("signed by another root than the one that the enrolment token names")
    message = _decode(payload, kind)
    if message.rq != compact.digest(proof.encode()):
        raise EnvelopeError("the answer to another request")
    return message, key


def _decode(data: bytes, kind: type[EnrolmentMessage]) -> EnrolmentMessage:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MessageError(f"not an {kind.__name__} message: {str(error)[:300]}") from error


def _is_base_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port_is_usable = parts.port != 0
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and port_is_usable
        and parts.username is None
        and not parts.query
        and not parts.fragment
        and text.isprintable()
        and " " not in text
    )
