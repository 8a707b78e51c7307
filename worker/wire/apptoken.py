"""The app token: leave for one query with one set of values, once, on one runner, from one page, within a minute.

A JWS `pl-app` by the control plane's signing key inside a JWE `pl-app-token` for the runner's key: who lacks that key cannot even
read it. Reading has three steps in the order of docs/protocol-runner.md: `unseal`, then `open_token` with the key that the keyset
has for its kid, of which the decoding is the last. Dates, the instance and the page are for the runner to judge: this module has
no clock, and every failure is one error, so that a caller learns nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec

from worker.errors import EnvelopeError, WireError
from worker.wire import envelope, jws
from worker.wire.actionwords import ActionName
from worker.wire.jws import Unverified
from worker.wire.keys import PrivateKey, PublicKey
from worker.wire.messages import EpochMilliseconds, Identifier
from worker.wire.order import MAX_SELECT_CHARACTERS, OrderedBy
from worker.wire.signingkey import SigningKey, VerifyingKey

APP: Final = "pl-app"
APP_TOKEN: Final = "pl-app-token"  # noqa: S105 - a name
MAX_LIFE_MS = 60_000
"""Milliseconds from `iat` to `exp` at the most."""
MAX_CLAIMS_BYTES = 96 * 1024
"""The signed token: an app's largest query, as base64, and what stands around it."""
MAX_APP_TOKEN_BYTES = 160 * 1024
"""The whole token: that, as base64 once more."""

Digest = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{43}\Z")]
"""SHA-256 as base64url."""
PageOrigin = Annotated[str, msgspec.Meta(max_length=300, pattern=r"\Ahttps?://[a-z0-9.\[\]:-]+\Z")]
"""As browsers write it (RFC 6454 section 6.2)."""
AppName = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9-]{0,59}\Z")]
QueryName = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_-]{0,59}\Z")]


class AppTokenError(WireError):
    """A token that is not good here, whatever the reason."""


class AppClaims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The claims that are signed. Times are epoch milliseconds. `digest` ties it to the input, whose text only the page has.

    `ins` is the runner's instance, null where the runner has several. `input` is a template (`apptemplate`), `params` the schema
    of its values (`appparams`).
    """

    v: Literal[1] = 1
    org: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    aud: Identifier
    ins: Annotated[str, msgspec.Meta(min_length=36, max_length=36)] | None
    jti: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f-]{36}\Z")]
    iat: EpochMilliseconds
    exp: EpochMilliseconds
    by: OrderedBy
    app: AppName
    query: QueryName
    version: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    action: ActionName
    connection: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None
    input: dict[str, Any]
    params: dict[str, Any]
    select: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_SELECT_CHARACTERS)] | None
    origin: PageOrigin
    digest: Digest
    timeout_ms: Annotated[int, msgspec.Meta(ge=1, le=3_600_000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedAppToken:
    """Claims whose signature holds, the bytes that were signed, and who signed them."""

    claims: AppClaims
    payload: bytes
    kid: str

    def order_sha256(self, text: str) -> str:
        """SHA-256, in hexadecimal, of what is obeyed: the signed payload and the input's *text*."""
        return hashlib.sha256(self.payload + text.encode()).hexdigest()


def seal(claims: AppClaims, signing: SigningKey, opening: PublicKey) -> str:
    """Sign *claims* and seal them for the runner that they name. Raises ValueError where they would not be read."""
    payload = msgspec.json.encode({**msgspec.to_builtins(claims), "v": 1})
    try:
        _decode(payload)
    except AppTokenError as error:
        raise ValueError(str(error)) from error
    signed = jws.sign(payload, signing, typ=APP)
    if len(signed) > MAX_CLAIMS_BYTES:
        raise ValueError(f"the token is larger than {MAX_CLAIMS_BYTES} bytes")
    return envelope.seal(signed.encode(), opening, typ=APP_TOKEN, location=claims.aud).decode()


def unseal(token: str, keys: Sequence[PrivateKey], *, urn: str) -> Unverified:
    """Open what was sealed for the runner *urn*, and check the form of what is inside. Raises AppTokenError."""
    try:
        signed = envelope.unseal(
            token.encode("ascii"), keys, typ=APP_TOKEN, location=urn, max_bytes=MAX_APP_TOKEN_BYTES
        )
        return jws.read(signed.decode("ascii"), typ=APP, algorithm="Ed25519", max_bytes=MAX_CLAIMS_BYTES)
    except (EnvelopeError, UnicodeError) as error:
        raise AppTokenError("the token does not open here") from error


def open_token(found: Unverified, key: VerifyingKey | None) -> SignedAppToken:
    """Check the signature with the keyset's *key* for this kid, None where it has none; only then decode.

    Raises AppTokenError.
    """
    if key is None:
        raise AppTokenError("the token's signing key is not one of the keyset, or not now")
    try:
        payload = jws.verify(found, key)
    except EnvelopeError as error:
        raise AppTokenError("the token's signature does not hold") from error
    return SignedAppToken(claims=_decode(payload), payload=payload, kid=found.kid)


def _decode(payload: bytes) -> AppClaims:
    try:
        payload.decode()
        claims = msgspec.json.decode(payload, type=AppClaims)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AppTokenError(f"the token's claims are not valid: {str(error)[:200]}") from error
    if not 0 < claims.exp - claims.iat <= MAX_LIFE_MS:
        raise AppTokenError("the token's life is not within a minute")
    return claims
