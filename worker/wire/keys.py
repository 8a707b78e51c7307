"""The keys of the envelope: RSA of 2,048 to 8,192 bits, and X25519. Read from PEM, named by fingerprint, made here.

What people paste survives: a PEM whose line breaks became the two characters `\\n`, spaces, or nothing is read. What
is not a key of these kinds is refused in words that never quote the text. No other kind of key, no passphrase, no
certificate.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from typing import Literal, assert_never

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from worker.errors import EnvelopeError
from worker.secret import Secret

Kind = Literal["rsa", "x25519"]

MIN_RSA_BITS = 2048
"""RFC 7518 section 4.3."""
MAX_RSA_BITS = 8192
"""Opening costs the cube of the size: beyond this one envelope takes tens of milliseconds."""
MAX_PEM_CHARACTERS = 20_000
"""More than the PKCS#8 of the largest key."""

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----(.*?)-----END ([A-Z0-9 ]{1,40})-----", re.DOTALL)
_KID = re.compile(r"[!-~]{1,200}")
_PRIVATE_LABELS = ("PRIVATE KEY", "RSA PRIVATE KEY")
_PUBLIC_LABELS = ("PUBLIC KEY",)
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, InternalError)
"""InternalError: what OpenSSL says of a key of the right form and the wrong length."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that seals. *pem* is its SubjectPublicKeyInfo; *kid* its fingerprint, or the foreign name that it came with."""

    kid: str
    pem: str
    kind: Kind
    native: rsa.RSAPublicKey | x25519.X25519PublicKey = field(repr=False, compare=False)

    @classmethod
    def from_pem(cls, pem: str, kid: str | None = None) -> PublicKey:
        """Read a `PUBLIC KEY` block. A *kid* is used verbatim. Raises EnvelopeError with a plain reason."""
        if kid is not None and not _KID.fullmatch(kid):
            raise EnvelopeError("a key's fingerprint is 1 to 200 printable characters without spaces")
        try:
            key = load_der_public_key(_read_block(pem, _PUBLIC_LABELS))
        except _UNREADABLE as error:
            raise EnvelopeError("the public key is malformed or of an unknown kind") from error
        if not isinstance(key, rsa.RSAPublicKey | x25519.X25519PublicKey):
            raise EnvelopeError("the public key is neither RSA nor X25519")
        return _public(key, kid)


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key that opens. *pem* is its PKCS#8."""

    kid: str
    public: PublicKey
    pem: Secret[str]
    kind: Kind
    native: rsa.RSAPrivateKey | x25519.X25519PrivateKey = field(repr=False, compare=False)

    @classmethod
    def from_pem(cls, pem: str) -> PrivateKey:
        """Read a `PRIVATE KEY` (PKCS#8) or `RSA PRIVATE KEY` (PKCS#1) block.

        Raises EnvelopeError with a plain reason.
        """
        try:
            key = load_der_private_key(_read_block(pem, _PRIVATE_LABELS), password=None)
        except _UNREADABLE as error:
            raise EnvelopeError("the private key is malformed or of an unknown kind") from error
        if not isinstance(key, rsa.RSAPrivateKey | x25519.X25519PrivateKey):
            raise EnvelopeError("the private key is neither RSA nor X25519")
        return _private(key)

    def der(self) -> Secret[bytes]:
        """The PKCS#8 as bytes, which are the same however the PEM was written."""
        return Secret(base64.b64decode("".join(self.pem.reveal().splitlines()[1:-1])))


def generate(kind: Literal["x25519", "rsa4096"]) -> PrivateKey:
    """Make a key: X25519 in microseconds, RSA in about a second."""
    match kind:
        case "x25519":
            return _private(x25519.X25519PrivateKey.generate())
        case "rsa4096":
            return _private(rsa.generate_private_key(public_exponent=65537, key_size=4096))
        case _:
            assert_never(kind)


def fingerprint(spki: bytes) -> str:
    """The name of a key, over the DER of its SubjectPublicKeyInfo: any tool can compute it from the public half."""
    return "sha256$base64$" + base64.b64encode(hashlib.sha256(spki).digest()).decode()


def _public(key: rsa.RSAPublicKey | x25519.X25519PublicKey, kid: str | None) -> PublicKey:
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    name = fingerprint(spki) if kid is None else kid
    if isinstance(key, rsa.RSAPublicKey):
        _check_size(key.key_size)
        return PublicKey(kid=name, pem=pem, kind="rsa", native=key)
    return PublicKey(kid=name, pem=pem, kind="x25519", native=key)


def _private(key: rsa.RSAPrivateKey | x25519.X25519PrivateKey) -> PrivateKey:
    public = _public(key.public_key(), None)
    pem = Secret(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
    return PrivateKey(kid=public.kid, public=public, pem=pem, kind=public.kind, native=key)


def _check_size(bits: int) -> None:
    if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
        raise EnvelopeError(f"an RSA key has {MIN_RSA_BITS} to {MAX_RSA_BITS} bits, this one has {bits}")


def _read_block(pem: str, labels: tuple[str, ...]) -> bytes:
    """The DER in the one PEM block of *pem*."""
    wanted = " or ".join(f"BEGIN {label}" for label in labels)
    if len(pem) > MAX_PEM_CHARACTERS:
        raise EnvelopeError(f"a key in PEM form has at most {MAX_PEM_CHARACTERS} characters")
    blocks = _BLOCK.findall(pem.replace("\\r", "").replace("\\n", "\n"))
    if len(blocks) != 1:
        raise EnvelopeError(f"expected one PEM block ({wanted}), found {len(blocks)}")
    begin, text, end = blocks[0]
    if begin != end:
        raise EnvelopeError("the PEM block's BEGIN and END lines differ")
    if "ENCRYPTED" in begin or "ENCRYPTED" in text:
        raise EnvelopeError("the key is protected by a passphrase; give it without one")
    if begin not in labels:
        raise EnvelopeError(f"expected {wanted}, found BEGIN {begin}")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise EnvelopeError("the PEM block is not base64: cut off, or altered on the way") from error
