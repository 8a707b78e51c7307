"""The control plane's keys towards its runners: a root, signing keys and results keys, made on first use, and the current keyset.

A new signing key is told before it signs: the keyset that brings it is handed out first, and used later (`signingkeys`). Whoever
can only write to the database makes no key of these: each is sealed under its purpose and name, and a keyset counts only
with the root's signature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from weakref import WeakKeyDictionary

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.epoch import DAY_MS
from controlplane.errors import DatabaseError
from controlplane.store import runnerkeys
from controlplane.store.database import Database
from controlplane.store.runnerkeys import KeysetNumbers, StoredKeyPair
from controlplane.store.sealing import Sealer
from worker.errors import WireError
from worker.wire import keys, signingkey
from worker.wire.keys import PrivateKey
from worker.wire.keyset import KeyEntry, Keyset, read_keyset, write_keyset
from worker.wire.signingkey import SigningKey

ORG = 1
"""One database is one organisation."""
SIGNING_DAYS = 400
"""For which a signing key holds: the next one is made long before."""
ROOT_DAYS = 36_500
_BACKDATED_MS = 10 * 60 * 1000
"""A clock that is set back a little makes no key one of the future."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerKeys:
    """*signing* signs now; *keyset* is the newest, and may bring a key that signs later. *results* open what runners seal."""

    root: SigningKey
    signing: SigningKey
    keyset: Keyset
    results: tuple[PrivateKey, ...]


_HELD: WeakKeyDictionary[Sealer, tuple[KeysetNumbers, RunnerKeys]] = WeakKeyDictionary()
"""Keys that were opened: it takes a millisecond, and every order is signed. They end with the sealer of their database."""


class RunnerKeyring:
    """The keys of one database."""

    def __init__(self, database: Database) -> None:
        self._sealer = database.sealer

    async def current(self, connection: AsyncConnection) -> RunnerKeys | None:
        """The keys in force; None where nobody ever made a runner. Raises DatabaseError for keys that do not hold together."""
        numbers = await runnerkeys.numbers(connection)
        return await _held(connection, self._sealer, numbers) if numbers.newest else None


async def ensure(connection: AsyncConnection, sealer: Sealer, *, now: int) -> RunnerKeys:
    """The keys in force; made where there are none. *connection* may write."""
    numbers = await runnerkeys.numbers(connection)
    if numbers.newest:
        return await _held(connection, sealer, numbers)
    root, results = signingkey.generate("Ed25519"), keys.generate("x25519")
    start, end = now - _BACKDATED_MS, now + ROOT_DAYS * DAY_MS
    pairs = (
        StoredKeyPair(kid=root.kid, purpose="root", private=root.text(), not_before=start, expires=end),
        new_signing_key(now),
        StoredKeyPair(kid=results.kid, purpose="results", private=results.pem, not_before=start, expires=end),
    )
    for pair in pairs:
        await runnerkeys.add(connection, sealer, pair)
    await sign_keyset(connection, pairs, seq=1, now=now, used_from=now)
    return await _load(connection, sealer, KeysetNumbers(newest=1, used=1))


def new_signing_key(now: int) -> StoredKeyPair:
    """Make a key that signs for `SIGNING_DAYS`."""
    made = signingkey.generate("Ed25519")
    return StoredKeyPair(
        kid=made.kid,
        purpose="signing",
        private=made.text(),
        not_before=now - _BACKDATED_MS,
        expires=now + SIGNING_DAYS * DAY_MS,
    )


async def sign_keyset(
    connection: AsyncConnection, pairs: Sequence[StoredKeyPair], *, seq: int, now: int, used_from: int | None
) -> None:
    """Sign and store the keyset *seq* of the signing keys among *pairs*, the key to sign with last."""
    root = _signing(next(pair for pair in pairs if pair.purpose == "root"))
    results = PrivateKey.from_pem(next(pair for pair in pairs if pair.purpose == "results").private.reveal())
    entries = tuple(_entry(pair) for pair in pairs if pair.purpose == "signing" and pair.expires > now)
    signed = write_keyset(root, org=ORG, seq=seq, entries=entries, results_key=results.public)
    await runnerkeys.add_keyset(connection, seq, signed.token, now=now, used_from=used_from)


async def _held(connection: AsyncConnection, sealer: Sealer, numbers: KeysetNumbers) -> RunnerKeys:
    """The keys as they were read last under *sealer*, for as long as the keysets have the same numbers."""
    known = _HELD.get(sealer)
    if known is None or known[0] != numbers:
        known = _HELD[sealer] = numbers, await _load(connection, sealer, numbers)
    return known[1]


async def _load(connection: AsyncConnection, sealer: Sealer, numbers: KeysetNumbers) -> RunnerKeys:
    pairs = await runnerkeys.list_all(connection, sealer)
    try:
        root = _signing(next(pair for pair in pairs if pair.purpose == "root"))
        newest = await _keyset(connection, root, numbers.newest)
        used = newest if numbers.used == numbers.newest else await _keyset(connection, root, numbers.used)
        signing = next(pair for pair in pairs if pair.kid == used.entries[-1].key.kid)
        results = tuple(PrivateKey.from_pem(pair.private.reveal()) for pair in pairs if pair.purpose == "results")
    except (StopIteration, WireError) as error:
        raise DatabaseError(f"the keys towards runners do not hold together: {error or 'one is missing'}") from error
    return RunnerKeys(root=root, signing=_signing(signing), keyset=newest, results=results)


async def _keyset(connection: AsyncConnection, root: SigningKey, seq: int) -> Keyset:
    """Read the stored keyset *seq*. Raises WireError, DatabaseError."""
    stored = await runnerkeys.keyset(connection, seq)
    keyset = read_keyset("" if stored is None else stored.token, root.public)
    if keyset.seq != seq:
        raise DatabaseError(f"the keyset {seq} towards runners says that it is {keyset.seq}")
    return keyset


def _signing(pair: StoredKeyPair) -> SigningKey:
    return SigningKey.from_text(pair.private, "Ed25519")


def _entry(pair: StoredKeyPair) -> KeyEntry:
    return KeyEntry(
        key=_signing(pair).public,
        not_before=datetime.fromtimestamp(pair.not_before // 1000, UTC),
        expires=datetime.fromtimestamp(pair.expires // 1000, UTC),
    )
