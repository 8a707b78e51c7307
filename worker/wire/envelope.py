"""Sealing and opening of JWE (RFC 7516, compact serialization) under exactly one shape of header.

Size, segments, the header's exact set of names and each value are checked before anything is decrypted, so that what a JWE may
say in general (compression, critical headers, other algorithms, keys by value) has no way in: no code here could do it. One kid,
one key, one attempt: nothing is tried. Every failure is an EnvelopeError that says what was wrong with the token's form, and
nothing about what is inside or about the key.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from worker.errors import EnvelopeError
from worker.wire import compact, contentkey
from worker.wire.compact import decode, is_base64url
from worker.wire.keys import Kind, PrivateKey, PublicKey

JOBS = "pl-jobs"
RESULTS = "pl-results"

ENC = "A256GCM"
"""RFC 7518 section 5.3."""
ALG: dict[Kind, str] = {"rsa": contentkey.RSA_ALG, "x25519": contentkey.AGREED_ALG}

MAX_HEADER_CHARACTERS = 2048
"""Encoded. A kid and a location of 200 characters each and an ephemeral key take 800."""
_IV_BYTES = 12
_TAG_BYTES = 16
_WRAPPED_KEY_BYTES = 40
_X25519_BYTES = 32

_NAMES = frozenset({"alg", "enc", "kid", "typ", "loc"})


def seal(payload: bytes, key: PublicKey, *, typ: str, location: str) -> bytes:
    """Encrypt *payload* for the holder of *key*. The token is ASCII, 4/3 of the payload and at most 1.5 kB more."""
    header: dict[str, Any] = {"alg": ALG[key.kind], "enc": ENC, "kid": key.kid, "typ": typ, "loc": location}
    content_key, vector = secrets.token_bytes(contentkey.BYTES), secrets.token_bytes(_IV_BYTES)
    try:
        if isinstance(key.native, rsa.RSAPublicKey):
            encrypted_key = contentkey.encrypted(content_key, key.native)
        else:
            encrypted_key, ephemeral = contentkey.wrapped(content_key, key.native)
            header["epk"] = {"kty": "OKP", "crv": "X25519", "x": compact.encode(ephemeral).decode()}
    except ValueError as error:
        raise EnvelopeError("nothing can be sealed with this key") from error
    protected = compact.encode(json.dumps(header, separators=(",", ":")).encode())
    sealed = AESGCM(content_key).encrypt(vector, payload, protected)
    parts = (encrypted_key, vector, sealed[:-_TAG_BYTES], sealed[-_TAG_BYTES:])
    return b".".join((protected, *map(compact.encode, parts)))


def unseal(token: bytes, keys: Sequence[PrivateKey], *, typ: str, location: str, max_bytes: int) -> bytes:
    """Open a token that was sealed for one of *keys*, as *typ*, for *location*; returns the payload.

    *max_bytes* bounds the token, which is a third larger than its payload. Raises EnvelopeError.
    """
    if len(token) > max_bytes:
        raise EnvelopeError(f"larger than {max_bytes} bytes")
    segments = token.split(b".")
    if len(segments) != 5:
        raise EnvelopeError("not five segments")
    if len(segments[0]) > MAX_HEADER_CHARACTERS:
        raise EnvelopeError(f"the header is longer than {MAX_HEADER_CHARACTERS} characters")
    if not all(is_base64url(segment) for segment in segments):
        raise EnvelopeError("a segment is not canonical base64url")
    header = _read_header(segments[0])
    key = _choose(header, keys)
    _check_values(header, key, typ=typ, location=location)
    encrypted_key, vector, sealed, tag = map(decode, segments[1:])
    _check_sizes(key, encrypted_key, vector, tag)
    try:
        content_key = _content_key(encrypted_key, header, key)
        return AESGCM(content_key).decrypt(vector, sealed + tag, segments[0])
    except (InvalidTag, ValueError) as error:
        raise EnvelopeError("does not open: altered, or sealed for another key") from error


def _content_key(encrypted_key: bytes, header: dict[str, Any], key: PrivateKey) -> bytes:
    """Raises ValueError."""
    if isinstance(key.native, rsa.RSAPrivateKey):
        return contentkey.decrypted(encrypted_key, key.native)
    return contentkey.unwrapped(encrypted_key, decode(header["epk"]["x"].encode()), key.native)


def _read_header(segment: bytes) -> dict[str, Any]:
    try:
        return compact.read_header(segment)
    except ValueError as error:
        raise EnvelopeError(str(error)) from error


def _choose(header: dict[str, Any], keys: Sequence[PrivateKey]) -> PrivateKey:
    for key in keys:
        if key.kid == header.get("kid"):
            return key
    raise EnvelopeError("sealed for a key that is not held here")


def _check_values(header: dict[str, Any], key: PrivateKey, *, typ: str, location: str) -> None:
    names = _NAMES | {"epk"} if key.kind == "x25519" else _NAMES
    if header.keys() != names:
        raise EnvelopeError("the header has not exactly the names of this protocol")
    for name, wanted in (("alg", ALG[key.kind]), ("enc", ENC), ("typ", typ), ("loc", location)):
        if header[name] != wanted:
            raise EnvelopeError(f"the header's {name} is not the one expected")
    if key.kind == "x25519" and not _is_ephemeral(header["epk"]):
        raise EnvelopeError("the header's epk is not exactly an X25519 public key")


def _is_ephemeral(epk: object) -> bool:
    if not isinstance(epk, dict) or epk.keys() != {"kty", "crv", "x"} or epk["kty"] != "OKP" or epk["crv"] != "X25519":
        return False
    x = epk["x"]
    if not isinstance(x, str) or not x.isascii():
        return False
    return is_base64url(x.encode()) and len(decode(x.encode())) == _X25519_BYTES


def _check_sizes(key: PrivateKey, encrypted_key: bytes, vector: bytes, tag: bytes) -> None:
    wrapped = (key.native.key_size + 7) // 8 if isinstance(key.native, rsa.RSAPrivateKey) else _WRAPPED_KEY_BYTES
    for name, found, size in (
        ("encrypted key", encrypted_key, wrapped),
        ("initialization vector", vector, _IV_BYTES),
        ("tag", tag, _TAG_BYTES),
    ):
        if len(found) != size:
            raise EnvelopeError(f"the {name} has not the size that the algorithm prescribes")
