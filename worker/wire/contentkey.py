"""The content key of an envelope on its way: RSA-OAEP-256, and ECDH-ES+A256KW over X25519, without parties' names.

RFC 7518 sections 4.3 and 4.6, RFC 8037 section 3.2. The primitives are those of `cryptography`; what a JWE may say besides (other
algorithms, `apu`, `apv`) does not exist here. ValueError is all that a failure says.
"""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import padding, rsa, x25519

BYTES: Final = 32
"""Of a content key: A256GCM, RFC 7518 section 5.3."""
AGREED_ALG: Final = "ECDH-ES+A256KW"
RSA_ALG: Final = "RSA-OAEP-256"

_OAEP: Final = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
_ROUND: Final = (1).to_bytes(4, "big")
"""One round of the derivation gives as many bytes as the wrapping key has: NIST SP 800-56A section 5.8.1."""
_ABOUT: Final = b"".join(
    (
        len(AGREED_ALG).to_bytes(4, "big"),  # AlgorithmID
        AGREED_ALG.encode(),
        bytes(4),  # PartyUInfo: no `apu`
        bytes(4),  # PartyVInfo: no `apv`
        (8 * BYTES).to_bytes(4, "big"),  # SuppPubInfo: bits of the wrapping key
    )
)
"""OtherInfo, RFC 7518 section 4.6.2."""


def encrypted(content_key: bytes, key: rsa.RSAPublicKey) -> bytes:
    return key.encrypt(content_key, _OAEP)


def decrypted(encrypted_key: bytes, key: rsa.RSAPrivateKey) -> bytes:
    """Raises ValueError."""
    return _checked(key.decrypt(encrypted_key, _OAEP))


def wrapped(content_key: bytes, key: x25519.X25519PublicKey) -> tuple[bytes, bytes]:
    """The key wrapped for the holder of *key*, and the public half of the key made for it. Raises ValueError (small order)."""
    ephemeral = x25519.X25519PrivateKey.generate()
    encrypted_key = keywrap.aes_key_wrap(_agreed(ephemeral, key), content_key)
    return encrypted_key, ephemeral.public_key().public_bytes_raw()


def unwrapped(encrypted_key: bytes, ephemeral: bytes, key: x25519.X25519PrivateKey) -> bytes:
    """Raises ValueError."""
    wrapping = _agreed(key, x25519.X25519PublicKey.from_public_bytes(ephemeral))
    try:
        return _checked(keywrap.aes_key_unwrap(wrapping, encrypted_key))
    except keywrap.InvalidUnwrap as error:
        raise ValueError("not wrapped by this key") from error


def _agreed(private: x25519.X25519PrivateKey, public: x25519.X25519PublicKey) -> bytes:
    """The wrapping key of both sides, by Concat KDF with SHA-256. Raises ValueError for a secret of zero."""
    return hashlib.sha256(_ROUND + private.exchange(public) + _ABOUT).digest()


def _checked(content_key: bytes) -> bytes:
    """AES takes shorter ones."""
    if len(content_key) != BYTES:
        raise ValueError("not a content key")
    return content_key
