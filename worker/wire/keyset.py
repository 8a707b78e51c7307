"""The keyset: the control plane's signing keys and its results key, signed by its root, numbered so that it never goes back.

Both directions of its one token, `pl-keyset`. A reader takes it under the one root that it believes; that it is newer than the
one held is `Keyset.succeeds`'s to say. It knows no clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from worker.errors import EnvelopeError, MessageError
from worker.wire import jws
from worker.wire.bounds import MAX_EXACT, NumericDate
from worker.wire.keys import MAX_PEM_CHARACTERS, PublicKey
from worker.wire.signingkey import SigningKey, VerifyingKey

KEYSET_TYPE = "pl-keyset"
MAX_KEYSET_BYTES = 32 * 1024
"""Sixteen keys and an RSA results key, twice over."""
MAX_KEYS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEntry:
    """A signing key, which holds from *not_before* up to *expires*."""

    key: VerifyingKey
    not_before: datetime
    expires: datetime

    def holds(self, now: datetime) -> bool:
        return self.not_before <= now < self.expires


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyset:
    """The keys of organisation *org*; *token* is the JWS that says so."""

    org: int
    seq: int
    entries: tuple[KeyEntry, ...]
    results_key: PublicKey
    token: str

    def entry(self, kid: str) -> KeyEntry | None:
        return next((entry for entry in self.entries if entry.key.kid == kid), None)

    def signing_key(self, kid: str, now: datetime) -> VerifyingKey | None:
        """The key of that name, if it holds at *now*: the control plane's time, aware."""
        entry = self.entry(kid)
        return entry.key if entry is not None and entry.holds(now) else None

    def succeeds(self, other: Keyset) -> bool:
        """True where it may take the place of *other*: never an older one, nor that of another organisation."""
        return self.org == other.org and self.seq >= other.seq


class _Key(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kid: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    x: Annotated[str, msgspec.Meta(min_length=43, max_length=43)]
    nbf: NumericDate
    exp: NumericDate


class _Payload(msgspec.Struct, frozen=True, kw_only=True):
    org: Annotated[int, msgspec.Meta(ge=1, le=MAX_EXACT)]
    seq: Annotated[int, msgspec.Meta(ge=1, le=MAX_EXACT)]
    keys: Annotated[tuple[_Key, ...], msgspec.Meta(min_length=1, max_length=MAX_KEYS)]
    results_key: Annotated[str, msgspec.Meta(max_length=MAX_PEM_CHARACTERS)]


def write_keyset(
    root: SigningKey, *, org: int, seq: int, entries: Sequence[KeyEntry], results_key: PublicKey
) -> Keyset:
    """Sign a keyset with the root key."""
    payload = _Payload(
        org=org,
        seq=seq,
        keys=tuple(
            _Key(
                kid=entry.key.kid,
                x=entry.key.members()["x"],
                nbf=int(entry.not_before.timestamp()),
                exp=int(entry.expires.timestamp()),
            )
            for entry in entries
        ),
        results_key=results_key.pem,
    )
    token = jws.sign(msgspec.json.encode(payload), root, typ=KEYSET_TYPE)
    return Keyset(org=org, seq=seq, entries=tuple(entries), results_key=results_key, token=token)


def read_keyset(token: str, root: VerifyingKey) -> Keyset:
    """Read a keyset that *root* signed. Raises EnvelopeError, MessageError."""
    unverified = jws.read(token, typ=KEYSET_TYPE, algorithm="Ed25519", max_bytes=MAX_KEYSET_BYTES)
    try:
        payload = msgspec.json.decode(jws.verify(unverified, root), type=_Payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MessageError(f"not a keyset: {str(error)[:200]}") from error
    try:
        results_key = PublicKey.from_pem(payload.results_key)
    except EnvelopeError as error:
        raise MessageError(f"not a keyset: its results key: {error}") from error
    entries = tuple(_entry(key) for key in payload.keys)
    if len({entry.key.kid for entry in entries}) != len(entries):
        raise MessageError("not a keyset: it has a key twice")
    return Keyset(org=payload.org, seq=payload.seq, entries=entries, results_key=results_key, token=token)


def _entry(key: _Key) -> KeyEntry:
    try:
        read = VerifyingKey.from_jwk({"kty": "OKP", "crv": "Ed25519", "x": key.x}, "Ed25519")
    except EnvelopeError as error:
        raise MessageError(f"not a keyset: {error}") from error
    if read.kid != key.kid:
        raise MessageError("not a keyset: a kid is not its key's thumbprint")
    return KeyEntry(
        key=read, not_before=datetime.fromtimestamp(key.nbf, UTC), expires=datetime.fromtimestamp(key.exp, UTC)
    )
