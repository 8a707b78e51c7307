"""New signing keys towards runners: told with the next pulls, used once every living runner has them, and the old ones dropped.

What an old key signed holds for a day at most, and its private half is deleted the day after. A key that was stolen is replaced
at once: what it signed is refused from then on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace as replaced

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.epoch import DAY_MS
from controlplane.errors import UnusableError
from controlplane.service import audit
from controlplane.service.attendance import ALIVE_MS
from controlplane.service.principal import KeyScope, Principal
from controlplane.service.runnerkeys import ensure, new_signing_key, sign_keyset
from controlplane.store import runnerkeys, runners
from controlplane.store.database import Database
from controlplane.store.runnerkeys import KeysetNumbers, StoredKeyPair
from controlplane.store.sealing import Sealer
from worker.clock import Clock

log = logging.getLogger(__name__)

PATIENCE_MS = DAY_MS
"""Milliseconds after which a new key signs, whoever has not asked for it: runners fetch a keyset that they lack."""
OVERLAP_MS = 2 * DAY_MS
"""Milliseconds for which the old key is believed beside the new one: an order may wait for a day."""
RENEW_MS = 100 * DAY_MS
"""Milliseconds before the end of a key at which the next one is made."""
_ITSELF = Principal(name="control plane", via="command", scopes=frozenset())


async def renew(database: Database, clock: Clock, by: Principal) -> int:
    """Make the next signing key; the number of the keyset that tells it. Raises UnusableError while one waits for its use."""
    by.require(KeyScope.WRITE)
    now = epoch.milliseconds(clock)
    async with database.write() as connection:
        await ensure(connection, database.sealer, now=now)
        return await _renew(connection, database.sealer, by, now)


async def replace(database: Database, clock: Clock, by: Principal) -> int:
    """Put a new signing key in the place of all others, which nobody believes any more; the number of the keyset.

    Orders that wait are refused by their runners: their callers make them anew.
    """
    by.require(KeyScope.WRITE)
    now = epoch.milliseconds(clock)
    async with database.write() as connection:
        await ensure(connection, database.sealer, now=now)
        seq = (await runnerkeys.numbers(connection)).newest + 1
        pairs = await runnerkeys.list_all(connection, database.sealer)
        made = new_signing_key(now)
        await runnerkeys.add(connection, database.sealer, made)
        kept = [pair for pair in pairs if pair.purpose != "signing"]
        await sign_keyset(connection, [*kept, made], seq=seq, now=now, used_from=now)
        await runnerkeys.drop(connection, [pair.kid for pair in pairs if pair.purpose == "signing"])
        await _record(connection, by, "signing_key.replace", seq, made.kid, now)
    return seq


async def tend(database: Database, clock: Clock) -> None:
    """Use, drop or make a signing key where its time has come."""
    async with database.read() as connection:
        numbers = await runnerkeys.numbers(connection)
        if numbers.newest == 0 or not await _is_due(connection, database.sealer, numbers, epoch.milliseconds(clock)):
            return
    async with database.write() as connection:
        now = epoch.milliseconds(clock)
        numbers = await runnerkeys.numbers(connection)
        signing = _in_order(await runnerkeys.list_all(connection, database.sealer))
        if numbers.newest > numbers.used:
            if await _may_use(connection, numbers, signing, now):
                await _use(connection, numbers.newest, signing[-1].kid, now)
        elif len(signing) > 1:
            await _drop_old(connection, database.sealer, numbers.newest, now)
        elif signing[-1].expires - now <= RENEW_MS:
            await _renew(connection, database.sealer, _ITSELF, now)


async def _is_due(connection: AsyncConnection, sealer: Sealer, numbers: KeysetNumbers, now: int) -> bool:
    signing = _in_order(await runnerkeys.list_all(connection, sealer))
    if numbers.newest > numbers.used:
        return await _may_use(connection, numbers, signing, now)
    if len(signing) > 1:
        stored = await runnerkeys.keyset(connection, numbers.used)
        return stored is not None and now - (stored.used_from or now) >= OVERLAP_MS
    return bool(signing) and signing[-1].expires - now <= RENEW_MS


async def _may_use(connection: AsyncConnection, numbers: KeysetNumbers, signing: list[StoredKeyPair], now: int) -> bool:
    """Tell if every living runner has the newest keyset, or if nobody waits for those any more."""
    stored = await runnerkeys.keyset(connection, numbers.newest)
    if stored is None or now - stored.made_at >= PATIENCE_MS or signing[-2].expires <= now:
        return True
    alive = [one for one in await runners.list_instances(connection) if now - one.last_seen <= ALIVE_MS]
    return all(one.keyset >= numbers.newest for one in alive)


async def _renew(connection: AsyncConnection, sealer: Sealer, by: Principal, now: int) -> int:
    numbers = await runnerkeys.numbers(connection)
    if numbers.newest > numbers.used:
        raise UnusableError("a new signing key waits already until every living runner has it, or a day has passed")
    pairs, seq = await runnerkeys.list_all(connection, sealer), numbers.newest + 1
    old = _in_order(pairs)
    made = new_signing_key(now)
    made = replaced(
        made, not_before=max(made.not_before, old[-1].not_before + 1)
    )  # the newest, whatever the clock does
    await runnerkeys.add(connection, sealer, made)
    others = [pair for pair in pairs if pair.purpose != "signing"]
    await sign_keyset(connection, [*others, *old, made], seq=seq, now=now, used_from=None)
    await _record(connection, by, "signing_key.renew", seq, made.kid, now)
    return seq


async def _use(connection: AsyncConnection, seq: int, kid: str, now: int) -> None:
    await runnerkeys.use_keyset(connection, seq, now=now)
    await _record(connection, _ITSELF, "signing_key.use", seq, kid, now)
    log.info("the new signing key %s is used towards runners", kid, extra={"action": "signing_key_used", "kid": kid})


async def _drop_old(connection: AsyncConnection, sealer: Sealer, newest: int, now: int) -> None:
    pairs = await runnerkeys.list_all(connection, sealer)
    *old, last = _in_order(pairs)
    others = [pair for pair in pairs if pair.purpose != "signing"]
    await sign_keyset(connection, [*others, last], seq=newest + 1, now=now, used_from=now)
    await runnerkeys.drop(connection, [pair.kid for pair in old])
    await _record(connection, _ITSELF, "signing_key.drop_old", newest + 1, last.kid, now)


async def _record(connection: AsyncConnection, by: Principal, action: str, seq: int, kid: str, now: int) -> None:
    await audit.record(connection, by, action, kid, after={"keyset": seq, "kid": kid}, now=now)


def _in_order(pairs: Iterable[StoredKeyPair]) -> list[StoredKeyPair]:
    """The signing keys among *pairs*, the newest last."""
    return sorted((pair for pair in pairs if pair.purpose == "signing"), key=lambda pair: pair.not_before)
