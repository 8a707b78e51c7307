"""The control plane's keys towards its runners: a root, signing keys and results keys, made on first use, and the current keyset.

Whoever can only write to the database makes no key of these: each is sealed under its purpose and name, and a keyset counts only
with the root's signature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.errors import DatabaseError
from controlplane.store import runnerkeys
from controlplane.store.database import Database
from controlplane.store.runnerkeys import StoredKeyPair
from controlplane.store.sealing import Sealer
from worker.errors import WireError
from worker.wire import keys, signingkey
from worker.wire.keys import PrivateKey
from worker.wire.keyset import KeyEntry, Keyset, read_keyset, write_keyset
from worker.wire.signingkey import SigningKey

ORG = 1
"""One database is one organisation."""
DAY_MS = 24 * 3600 * 1000
SIGNING_DAYS = 400
"""For which a signing key holds: the next one is made long before."""
ROOT_DAYS = 36_500
_BACKDATED_MS = 10 * 60 * 1000
"""A clock that is set back a little makes no key one of the future."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerKeys:
    """*signing* signs now. *results* open what runners seal, the newest first."""

    root: SigningKey
    signing: SigningKey
    keyset: Keyset
    results: tuple[PrivateKey, ...]


class RunnerKeyring:
    """The keys as they were read last, for as long as the newest keyset has the same number: opening them takes a millisecond."""

    def __init__(self, database: Database) -> None:
        self._sealer = database.sealer
        self._held: RunnerKeys | None = None

    async def current(self, connection: AsyncConnection) -> RunnerKeys | None:
        """The keys in force; None where nobody ever made a runner. Raises DatabaseError for keys that do not hold together."""
        seq = await runnerkeys.newest_seq(connection)
        if seq == 0:
            return None
        if self._held is None or self._held.keyset.seq != seq:
            self._held = await _load(connection, self._sealer, seq)
        return self._held


async def ensure(connection: AsyncConnection, sealer: Sealer, *, now: int) -> RunnerKeys:
    """The keys in force; made where there are none. *connection* may write."""
    seq = await runnerkeys.newest_seq(connection)
    if seq:
        return await _load(connection, sealer, seq)
    root, signing, results = signingkey.generate("Ed25519"), signingkey.generate("Ed25519"), keys.generate("x25519")
    start = now - _BACKDATED_MS
    pairs = (
        StoredKeyPair(
            kid=root.kid, purpose="root", private=root.text(), not_before=start, expires=now + ROOT_DAYS * DAY_MS
        ),
        StoredKeyPair(
            kid=signing.kid,
            purpose="signing",
            private=signing.text(),
            not_before=start,
            expires=now + SIGNING_DAYS * DAY_MS,
        ),
        StoredKeyPair(
            kid=results.kid,
            purpose="results",
            private=results.pem,
            not_before=start,
            expires=now + ROOT_DAYS * DAY_MS,
        ),
    )
    for pair in pairs:
        await runnerkeys.add(connection, sealer, pair)
    await _sign(connection, pairs, seq=1, now=now)
    return await _load(connection, sealer, 1)


async def _sign(connection: AsyncConnection, pairs: Sequence[StoredKeyPair], *, seq: int, now: int) -> None:
    root = _signing(next(pair for pair in pairs if pair.purpose == "root"))
    results = PrivateKey.from_pem(next(pair for pair in pairs if pair.purpose == "results").private.reveal())
    entries = tuple(_entry(pair) for pair in pairs if pair.purpose == "signing" and pair.expires > now)
    signed = write_keyset(root, org=ORG, seq=seq, entries=entries, results_key=results.public)
    await runnerkeys.add_keyset(connection, seq, signed.token, now=now)


async def _load(connection: AsyncConnection, sealer: Sealer, seq: int) -> RunnerKeys:
    pairs = await runnerkeys.list_all(connection, sealer)
    token = await runnerkeys.keyset(connection, seq)
    try:
        root = _signing(next(pair for pair in pairs if pair.purpose == "root"))
        keyset = read_keyset(token or "", root.public)
        signing = next(pair for pair in pairs if pair.purpose == "signing" and keyset.entry(pair.kid) is not None)
        results = tuple(PrivateKey.from_pem(pair.private.reveal()) for pair in pairs if pair.purpose == "results")
    except (StopIteration, WireError) as error:
        raise DatabaseError(f"the keys towards runners do not hold together: {error or 'one is missing'}") from error
    if keyset.seq != seq:
        raise DatabaseError(f"the keyset {seq} towards runners says that it is {keyset.seq}")
    return RunnerKeys(root=root, signing=_signing(signing), keyset=keyset, results=results)


def _signing(pair: StoredKeyPair) -> SigningKey:
    return SigningKey.from_text(pair.private, "Ed25519")


def _entry(pair: StoredKeyPair) -> KeyEntry:
    return KeyEntry(
        key=_signing(pair).public,
        not_before=datetime.fromtimestamp(pair.not_before // 1000, UTC),
        expires=datetime.fromtimestamp(pair.expires // 1000, UTC),
    )
