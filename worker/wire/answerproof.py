"""The runner's signature over its answer to a page: `X-Runner-Proof`, which the page checks with WebCrypto.

ES256 over `PL2-PROOF`, the token's id, the status and the SHA-256 of the body, a line each; raw, as base64url: what stands
between runner and page (an ingress) can neither alter an answer nor pass one off for another. It is for the browser to check;
`holds` does the same for tests and other clients.
"""

from __future__ import annotations

from worker.wire import compact
from worker.wire.signingkey import SigningKey, VerifyingKey

PROOF_HEADER = "X-Runner-Proof"


def sign(key: SigningKey, *, jti: str, status: int, body: bytes) -> str:
    """The value of the header for this answer. *key* is the runner's own."""
    return compact.encode(key.sign(_signed(jti, status, body))).decode()


def holds(header: str, key: VerifyingKey, *, jti: str, status: int, body: bytes) -> bool:
    """Tell if *header* is the signature of this answer."""
    segment = header.encode()
    return compact.is_base64url(segment) and key.holds(compact.decode(segment), _signed(jti, status, body))


def _signed(jti: str, status: int, body: bytes) -> bytes:
    return f"PL2-PROOF\n{jti}\n{status}\n{compact.digest(body)}".encode()
