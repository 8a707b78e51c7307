"""SignOnState: what ties a provider's answer to the question of one visitor, who takes it along in a sealed cookie."""

from __future__ import annotations

import secrets

import msgspec

SIGN_ON_SECONDS = 600
"""For a visitor to come back."""


class SignOnState(msgspec.Struct, frozen=True):
    """*state* comes back with the visitor, *nonce* in the token, *verifier* is shown for the code (RFC 7636).

    *wanted* is the page that they asked for, *expires_at* epoch milliseconds.
    """

    state: str
    nonce: str
    verifier: str
    wanted: str
    expires_at: int


def begin(wanted: str, now: int) -> SignOnState:
    """The state of a visitor who sets out at *now* (epoch milliseconds)."""
    return SignOnState(
        state=secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(48),
        wanted=wanted,
        expires_at=now + SIGN_ON_SECONDS * 1000,
    )
