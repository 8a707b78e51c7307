"""The runner's signature over its answer to a page: `X-Runner-Proof`, which the page checks with WebCrypto.

ES256 over `PL2-PROOF`, the token's id, the status and the SHA-256 of the body, a line each; raw, as base64url: what stands
between runner and page (an ingress) can neither alter an answer nor pass one off for another. It is for the browser to check;
`holds` does the same for tests and other clients.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from worker.wire import compact
from worker.wire.signingkey import COORDINATE_BYTES, SigningKey, VerifyingKey

PROOF_HEADER = "X-Runner-Proof"
_ES256 = ec.ECDSA(hashes.SHA256())


def sign(key: SigningKey, *, jti: str, status: int, body: bytes) -> str:
    """The value of the header for this answer. *key* is the runner's own."""
    private = key.jwk.private_key
    assert isinstance(private, ec.EllipticCurvePrivateKey), "a runner's key is P-256"
    r, s = utils.decode_dss_signature(private.sign(_signed(jti, status, body), _ES256))
    return compact.encode(r.to_bytes(COORDINATE_BYTES, "big") + s.to_bytes(COORDINATE_BYTES, "big")).decode()


def holds(header: str, key: VerifyingKey, *, jti: str, status: int, body: bytes) -> bool:
    """Tell if *header* is the signature of this answer."""
    public = key.jwk.public_key
    segment = header.encode()
    if not isinstance(public, ec.EllipticCurvePublicKey) or not compact.is_base64url(segment):
        return False
    raw = compact.decode(segment)
    if len(raw) != 2 * COORDINATE_BYTES:
        return False
    r, s = int.from_bytes(raw[:COORDINATE_BYTES], "big"), int.from_bytes(raw[COORDINATE_BYTES:], "big")
    try:
        public.verify(utils.encode_dss_signature(r, s), _signed(jti, status, body), _ES256)
    except InvalidSignature:
        return False
    return True


def _signed(jti: str, status: int, body: bytes) -> bytes:
    return f"PL2-PROOF\n{jti}\n{status}\n{compact.digest(body)}".encode()
