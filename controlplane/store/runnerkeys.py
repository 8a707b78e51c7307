"""The control plane's own keys towards runners, and the keysets that it signed. Private halves come in and go out sealed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import case, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store.runnertables import runner_keys, runner_keysets
from controlplane.store.sealing import Sealer
from worker.secret import Secret

KeyPurpose = Literal["root", "signing", "results"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKeyPair:
    """*private* is a JWK of a root or signing key, the PEM of a results key. Times are epoch milliseconds."""

    kid: str
    purpose: KeyPurpose
    private: Secret[str]
    not_before: int
    expires: int


_SEQS = select(
    func.max(runner_keysets.c.seq),
    func.max(case((runner_keysets.c.used_from.is_not(None), runner_keysets.c.seq))),
)
"""Made once, as each request asks for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysetNumbers:
    """The number of the *newest* keyset, and of the one whose newest key signs; both are 0 where there is none."""

    newest: int
    used: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKeyset:
    """A signed keyset. *used_from* is None while its newest key does not sign yet."""

    token: str
    made_at: int
    used_from: int | None


async def add(connection: AsyncConnection, sealer: Sealer, key: StoredKeyPair) -> None:
    sealed = sealer.seal(key.private.reveal().encode(), _place(key.purpose, key.kid))
    await connection.execute(
        runner_keys.insert().values(
            kid=key.kid, kind=key.purpose, private_sealed=sealed, not_before=key.not_before, expires=key.expires
        )
    )


async def list_all(connection: AsyncConnection, sealer: Sealer) -> Sequence[StoredKeyPair]:
    """Every key, the newest first. Raises DatabaseError for a row that was not sealed as what it says it is."""
    rows = await connection.execute(select(runner_keys).order_by(runner_keys.c.not_before.desc(), runner_keys.c.kid))
    return [_key(row, sealer) for row in rows]


async def numbers(connection: AsyncConnection) -> KeysetNumbers:
    row = (await connection.execute(_SEQS)).one()
    return KeysetNumbers(newest=row[0] or 0, used=row[1] or 0)


async def keyset(connection: AsyncConnection, seq: int) -> StoredKeyset | None:
    row = (await connection.execute(select(runner_keysets).where(runner_keysets.c.seq == seq))).one_or_none()
    return None if row is None else StoredKeyset(token=row.token, made_at=row.made_at, used_from=row.used_from)


async def add_keyset(connection: AsyncConnection, seq: int, token: str, *, now: int, used_from: int | None) -> None:
    await connection.execute(runner_keysets.insert().values(seq=seq, token=token, made_at=now, used_from=used_from))


async def use_keyset(connection: AsyncConnection, seq: int, *, now: int) -> None:
    """Sign with the newest key of this keyset from now on."""
    await connection.execute(update(runner_keysets).where(runner_keysets.c.seq == seq).values(used_from=now))


async def drop(connection: AsyncConnection, kids: Collection[str]) -> None:
    """Delete private halves that sign nothing any more."""
    await connection.execute(delete(runner_keys).where(runner_keys.c.kid.in_(tuple(kids))))


def _key(row: Any, sealer: Sealer) -> StoredKeyPair:
    private = sealer.open(row.private_sealed, _place(row.kind, row.kid)).reveal().decode()
    return StoredKeyPair(
        kid=row.kid, purpose=row.kind, private=Secret(private), not_before=row.not_before, expires=row.expires
    )


def _place(purpose: str, kid: str) -> str:
    return f"runner_keys.private:{purpose}:{kid}"
