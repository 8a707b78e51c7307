"""Signing and reading of JWS (RFC 7515, compact serialization) under exactly two shapes of header.

One names its key (`kid`), the other introduces it (`jwk`): a runner that nobody knows yet, a root known by its thumbprint.
Size, segments and the header's exact set of names are checked before a key is looked up, the signature before the payload is
parsed. There is no list of algorithms: the key says its own, and a header that says another is refused (RFC 8725 sections 3.1
and 3.11). Every failure is an EnvelopeError that says what was wrong with the token's form, and nothing of what is inside.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from worker.errors import EnvelopeError
from worker.wire import compact
from worker.wire.signingkey import SigningAlgorithm, SigningKey, VerifyingKey

MAX_HEADER_CHARACTERS = 512
"""Encoded. A header with a P-256 key in it takes 260."""
_SIGNATURE_BYTES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Unverified:
    """A token whose form is right and whose signature nobody has looked at. *kid* is the name that its header gives."""

    token: str
    algorithm: SigningAlgorithm
    kid: str


def sign(payload: bytes, key: SigningKey, *, typ: str) -> str:
    """Sign *payload* under a header that names *key*."""
    return _sign({"alg": key.public.algorithm, "typ": typ, "kid": key.kid}, payload, key)


def introduce(payload: bytes, key: SigningKey, *, typ: str) -> str:
    """Sign *payload* under a header that brings the public half of *key*."""
    return _sign({"alg": key.public.algorithm, "typ": typ, "jwk": key.public.members()}, payload, key)


def read(token: str, *, typ: str, algorithm: SigningAlgorithm, max_bytes: int) -> Unverified:
    """Check the form of a token that names its key; who knows that key calls `verify`. Raises EnvelopeError."""
    header = _read_form(token, {"alg", "typ", "kid"}, typ=typ, algorithm=algorithm, max_bytes=max_bytes)
    kid = header["kid"]
    if not isinstance(kid, str) or not 1 <= len(kid) <= 200 or not kid.isascii() or not kid.isprintable():
        raise EnvelopeError("the header's kid is not a name")
    return Unverified(token=token, algorithm=algorithm, kid=kid)


def read_introduction(
    token: str, *, typ: str, algorithm: SigningAlgorithm, max_bytes: int
) -> tuple[bytes, VerifyingKey]:
    """Verify a token by the key that it brings; returns its payload and that key, which only its thumbprint makes believable.

    Raises EnvelopeError.
    """
    header = _read_form(token, {"alg", "typ", "jwk"}, typ=typ, algorithm=algorithm, max_bytes=max_bytes)
    key = VerifyingKey.from_jwk(header["jwk"], algorithm)
    return verify(Unverified(token=token, algorithm=algorithm, kid=key.kid), key), key


def verify(unverified: Unverified, key: VerifyingKey) -> bytes:
    """The payload, signed by *key* over the bytes as they came. Raises EnvelopeError."""
    if key.algorithm != unverified.algorithm or key.kid != unverified.kid:
        raise EnvelopeError("signed by another key than the one looked up")
    signed, _, signature = unverified.token.encode().rpartition(b".")
    if not key.holds(compact.decode(signature), signed):
        raise EnvelopeError("the signature does not hold")
    return compact.decode(signed.partition(b".")[2])


def _sign(header: dict[str, Any], payload: bytes, key: SigningKey) -> str:
    signed = compact.encode(json.dumps(header, separators=(",", ":")).encode()) + b"." + compact.encode(payload)
    return (signed + b"." + compact.encode(key.sign(signed))).decode()


def _read_form(token: str, names: set[str], *, typ: str, algorithm: SigningAlgorithm, max_bytes: int) -> dict[str, Any]:
    if len(token) > max_bytes or not token.isascii():
        raise EnvelopeError(f"larger than {max_bytes} bytes, or not ASCII")
    segments = token.encode().split(b".")
    if len(segments) != 3:
        raise EnvelopeError("not three segments")
    if len(segments[0]) > MAX_HEADER_CHARACTERS:
        raise EnvelopeError(f"the header is longer than {MAX_HEADER_CHARACTERS} characters")
    if not all(compact.is_base64url(segment) for segment in segments):
        raise EnvelopeError("a segment is not canonical base64url")
    if len(compact.decode(segments[2])) != _SIGNATURE_BYTES:
        raise EnvelopeError("the signature has not the size that the algorithm prescribes")
    try:
        header = compact.read_header(segments[0])
    except ValueError as error:
        raise EnvelopeError(str(error)) from error
    if header.keys() != names:
        raise EnvelopeError("the header has not exactly the names of this protocol")
    for name, wanted in (("alg", algorithm), ("typ", typ)):
        if header[name] != wanted:
            raise EnvelopeError(f"the header's {name} is not the one expected")
    return header
