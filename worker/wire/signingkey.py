"""The keys that sign: P-256 of a runner, Ed25519 of a control plane (RFC 7518 section 6.2, RFC 8037, RFC 9864).

A key is named by its RFC 7638 thumbprint and written as a JWK of exactly the members of its kind. No other kind of key, no other
curve; a private half is shown as a Secret only, and no message quotes a key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, assert_never

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey

from worker.errors import EnvelopeError
from worker.secret import Secret
from worker.wire import compact

SigningAlgorithm = Literal["ES256", "Ed25519"]
"""RFC 7518 section 3.4 and RFC 9864 section 2.2, fully specified: a name says the curve, too."""

COORDINATE_BYTES = 32
MAX_JWK_CHARACTERS = 1000
"""Of a private P-256 key, which takes 200."""

_ES256 = ec.ECDSA(hashes.SHA256())
_FIXED: dict[SigningAlgorithm, dict[str, str]] = {
    "ES256": {"kty": "EC", "crv": "P-256"},
    "Ed25519": {"kty": "OKP", "crv": "Ed25519"},
}
_COORDINATES: dict[SigningAlgorithm, tuple[str, ...]] = {"ES256": ("x", "y"), "Ed25519": ("x",)}


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key; *kid* is its RFC 7638 thumbprint."""

    kid: str
    algorithm: SigningAlgorithm
    jwk: ECKey | OKPKey = field(repr=False, compare=False)

    @classmethod
    def from_jwk(cls, members: object, algorithm: SigningAlgorithm) -> VerifyingKey:
        """Read a public JWK of exactly the members of its kind. Raises EnvelopeError."""
        wanted = (*_FIXED[algorithm], *_COORDINATES[algorithm])
        return _public(_import(_checked(members, algorithm, wanted), algorithm), algorithm)

    def holds(self, signature: bytes, data: bytes) -> bool:
        """Tell if *signature*, as JWS writes it, is this key's over *data*."""
        native = self.jwk.public_key
        try:
            if isinstance(native, ec.EllipticCurvePublicKey):
                native.verify(_der(signature), data, _ES256)
            else:
                assert isinstance(native, ed25519.Ed25519PublicKey), "there is no third kind of key"
                native.verify(signature, data)
        except InvalidSignature:
            return False
        return True

    def members(self) -> dict[str, str]:
        """The public JWK, with exactly the members that RFC 7638 counts."""
        return {name: str(value) for name, value in self.jwk.as_dict(private=False).items() if name != "kid"}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and its public half."""

    public: VerifyingKey
    jwk: ECKey | OKPKey = field(repr=False, compare=False)

    @property
    def kid(self) -> str:
        return self.public.kid

    @classmethod
    def from_text(cls, text: Secret[str], algorithm: SigningAlgorithm) -> SigningKey:
        """Read what `text` gave. Raises EnvelopeError."""
        if len(text.reveal()) > MAX_JWK_CHARACTERS:
            raise EnvelopeError(f"a private JWK has at most {MAX_JWK_CHARACTERS} characters")
        try:
            members = json.loads(text.reveal())
        except (ValueError, RecursionError):
            raise EnvelopeError("the private key is not a JWK") from None  # the parser's error quotes
        wanted = (*_FIXED[algorithm], *_COORDINATES[algorithm], "d")
        return _private(_import(_checked(members, algorithm, wanted), algorithm), algorithm)

    def sign(self, data: bytes) -> bytes:
        """The signature over *data* as JWS writes it (RFC 7518 section 3.4, RFC 8037 section 3.1)."""
        native = self.jwk.private_key
        if isinstance(native, ec.EllipticCurvePrivateKey):
            r, s = utils.decode_dss_signature(native.sign(data, _ES256))
            return r.to_bytes(COORDINATE_BYTES, "big") + s.to_bytes(COORDINATE_BYTES, "big")
        assert isinstance(native, ed25519.Ed25519PrivateKey), "there is no third kind of key"
        return native.sign(data)

    def text(self) -> Secret[str]:
        """The private JWK as JSON."""
        return Secret(json.dumps({k: v for k, v in self.jwk.as_dict(private=True).items() if k != "kid"}))


def generate(algorithm: SigningAlgorithm) -> SigningKey:
    """Make a key: microseconds."""
    match algorithm:
        case "ES256":
            return _private(ECKey.generate_key("P-256"), algorithm)
        case "Ed25519":
            return _private(OKPKey.generate_key("Ed25519"), algorithm)
        case _:
            assert_never(algorithm)


def _der(signature: bytes) -> bytes:
    """The form in which OpenSSL reads the two numbers of an ES256 signature; none of another length is one."""
    if len(signature) != 2 * COORDINATE_BYTES:
        raise InvalidSignature
    r, s = signature[:COORDINATE_BYTES], signature[COORDINATE_BYTES:]
    return utils.encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))


def _checked(members: object, algorithm: SigningAlgorithm, wanted: tuple[str, ...]) -> dict[str, Any]:
    """The members, each as its kind prescribes. Metadata that names the same key (alg, use, kid) is for the caller to drop."""
    if not isinstance(members, Mapping) or members.keys() != set(wanted):
        raise EnvelopeError(f"the JWK has not exactly the members {', '.join(wanted)}")
    for name, value in _FIXED[algorithm].items():
        if members[name] != value:
            raise EnvelopeError(f"the JWK's {name} is not {value}")
    for name in set(wanted) - _FIXED[algorithm].keys():
        _check_number(name, members[name])
    return dict(members)


def _check_number(name: str, value: object) -> None:
    if not isinstance(value, str) or not value.isascii():
        raise EnvelopeError(f"the JWK's {name} is not a text")
    segment = value.encode()
    if not compact.is_base64url(segment) or len(compact.decode(segment)) != COORDINATE_BYTES:
        raise EnvelopeError(f"the JWK's {name} is not {COORDINATE_BYTES} bytes in canonical base64url")


def _import(members: dict[str, Any], algorithm: SigningAlgorithm) -> ECKey | OKPKey:
    kind = ECKey if algorithm == "ES256" else OKPKey
    try:
        key = kind.import_key(members)
        key.get_op_key(
            "sign" if "d" in members else "verify"
        )  # imports are lazy: this one says that the point is on the curve
    except (JoseError, ValueError, TypeError) as error:
        raise EnvelopeError("the JWK is not a usable key") from error
    return key


def _public(jwk: ECKey | OKPKey, algorithm: SigningAlgorithm) -> VerifyingKey:
    return VerifyingKey(kid=jwk.thumbprint(), algorithm=algorithm, jwk=jwk)


def _private(jwk: ECKey | OKPKey, algorithm: SigningAlgorithm) -> SigningKey:
    """The halves must belong together: a file whose public half was changed names another key than it signs with."""
    members = {k: v for k, v in jwk.as_dict(private=False).items() if k != "kid"}
    public = _public(_import(members, algorithm), algorithm)
    native = jwk.private_key
    assert native is not None
    if native.public_key() != public.jwk.public_key:
        raise EnvelopeError("the JWK's public half is not that of its private half")
    return SigningKey(public=public, jwk=jwk)
