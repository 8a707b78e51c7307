"""The control plane's own keys towards runners, and the keysets that it signed. Private halves come in and go out sealed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import func, select
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


async def newest_seq(connection: AsyncConnection) -> int:
    """The number of the newest keyset, 0 where there is none."""
    return await connection.scalar(select(func.max(runner_keysets.c.seq))) or 0


async def keyset(connection: AsyncConnection, seq: int) -> str | None:
    token: str | None = await connection.scalar(select(runner_keysets.c.token).where(runner_keysets.c.seq == seq))
    return token


async def add_keyset(connection: AsyncConnection, seq: int, token: str, *, now: int) -> None:
    await connection.execute(runner_keysets.insert().values(seq=seq, token=token, made_at=now))


def _key(row: Any, sealer: Sealer) -> StoredKeyPair:
    private = sealer.open(row.private_sealed, _place(row.kind, row.kid)).reveal().decode()
    return StoredKeyPair(
        kid=row.kid, purpose=row.kind, private=Secret(private), not_before=row.not_before, expires=row.expires
    )


def _place(purpose: str, kid: str) -> str:
    return f"runner_keys.private:{purpose}:{kid}"
