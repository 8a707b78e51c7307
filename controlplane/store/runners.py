"""Runners and their instances. Identities are sealed, each bound to its row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import bindparam, delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.errors import ConflictError, NotFoundError, RefusedError
from controlplane.store.runnertables import runner_instances, runner_keys, runner_keysets, runners
from controlplane.store.sealing import Sealer
from controlplane.store.versions import MemoryKind
from worker.wire.enrolment import Mode

MOST_INSTANCES = 1000
"""Processes of one runner that are known at a time: each start makes a new one."""
REPLAYABLE = 10 * 60 * 1000
"""Milliseconds for which an instance's numbers are kept at least: twice the skew of the clocks."""

RunnerState = Literal["created", "enrolled", "disabled", "revoked"]


CALLERS: MemoryKind[str, Any] = MemoryKind((runners, runner_keys, runner_keysets), most=10_000)
"""Runners by the name of their key, with the keys to answer them with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerIdentity:
    """The public keys of a runner: *jwk* proves its requests, *opening_key* (PEM) opens what is sealed for it."""

    kid: str
    jwk: dict[str, str]
    opening_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRunner:
    """A runner; *identity* is None before it enrols, *next_identity* is that of a rotation under way."""

    id: str
    name: str
    modes: tuple[Mode, ...]
    host: str | None
    base_url: str
    instances: int
    state: RunnerState
    created_at: int
    created_by: str
    enrolled_at: int | None = None
    identity: RunnerIdentity | None = None
    next_identity: RunnerIdentity | None = None
    rotate: bool = False
    epoch: int = 0
    instance: str | None = None
    since: int | None = None
    accepted: str | None = None
    contested: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerInstance:
    """A process of a runner as its last pull described it."""

    runner: str
    id: str
    epoch: int
    first_seen: int
    last_seen: int
    agent: str
    host: str
    address: str
    concurrency: int
    free_slots: int
    running: int
    draining: bool
    degraded: str | None
    keyset: int
    report: str


# Statements of requests, made once: SQLAlchemy takes as long to build one as SQLite to run it.
_BY_KID = select(runners).where(or_(runners.c.kid == bindparam("kid_"), runners.c.next_kid == bindparam("kid_")))
_NAMED = (
    select(runners)
    .where(or_(runners.c.name == bindparam("called"), runners.c.id == bindparam("called")))
    .order_by(runners.c.name != bindparam("called"))
)
_NAME = select(runners.c.name).where(runners.c.id == bindparam("runner"))
_BY_ID = select(runners).where(runners.c.id == bindparam("runner"))
_INSTANCES = (
    select(runner_instances)
    .where(runner_instances.c.runner_id == bindparam("runner"))
    .order_by(runner_instances.c.first_seen.desc())
)


async def add(connection: AsyncConnection, runner: StoredRunner) -> None:
    """Store a runner that has not enrolled. Raises ConflictError where its name is taken."""
    try:
        await connection.execute(
            runners.insert().values(
                id=runner.id,
                name=runner.name,
                modes=",".join(runner.modes),
                host=runner.host,
                base_url=runner.base_url,
                instances=runner.instances,
                state=runner.state,
                created_at=runner.created_at,
                created_by=runner.created_by,
                rotate=False,
                epoch=0,
            )
        )
    except IntegrityError as error:
        raise ConflictError("runner", runner.name) from error


async def find(connection: AsyncConnection, sealer: Sealer, name: str) -> StoredRunner:
    """Find a runner by its name or id. Raises NotFoundError with the names that there are."""
    row = (await connection.execute(_NAMED, {"called": name})).first()
    if row is None:
        known = await connection.scalars(select(runners.c.name).order_by(runners.c.name).limit(11))
        raise NotFoundError("runner", name, list(known))
    return _runner(row, sealer)


async def name_of(connection: AsyncConnection, runner: str) -> str | None:
    """The name of a runner by its id. Its identity is not opened for it."""
    name: str | None = await connection.scalar(_NAME, {"runner": runner})
    return name


async def by_kid(connection: AsyncConnection, sealer: Sealer, kid: str) -> StoredRunner | None:
    """The runner whose key, or whose next key, has this name."""
    row = (await connection.execute(_BY_KID, {"kid_": kid})).one_or_none()
    return None if row is None else _runner(row, sealer)


async def reread(connection: AsyncConnection, runner: StoredRunner) -> StoredRunner:
    """The runner as it stands in this transaction; its identity, which is proven, is not opened again."""
    row = (await connection.execute(_BY_ID, {"runner": runner.id})).one_or_none()
    if row is None or row.state != "enrolled":
        raise RefusedError(403, "revoked", f"the runner {runner.name!r} is not enabled any more")
    return replace(
        runner,
        rotate=row.rotate,
        epoch=row.epoch,
        instance=row.instance,
        since=row.since,
        accepted=row.accepted,
        contested=row.contested,
    )


async def list_all(connection: AsyncConnection, sealer: Sealer) -> Sequence[StoredRunner]:
    return [_runner(row, sealer) for row in await connection.execute(select(runners).order_by(runners.c.name))]


async def set_state(connection: AsyncConnection, runner: str, state: RunnerState) -> None:
    await connection.execute(update(runners).where(runners.c.id == runner).values(state=state))


async def enrol(
    connection: AsyncConnection,
    sealer: Sealer,
    runner: str,
    identity: RunnerIdentity,
    *,
    modes: Sequence[Mode],
    host: str | None,
    now: int,
) -> None:
    """Make *identity* the runner's: the first, or another one in the place of the old, which is dead with this."""
    await connection.execute(delete(runner_instances).where(runner_instances.c.runner_id == runner))
    await connection.execute(
        update(runners)
        .where(runners.c.id == runner)
        .values(
            state="enrolled",
            kid=identity.kid,
            identity_sealed=_seal(sealer, runner, identity),
            modes=",".join(modes),
            host=host,
            enrolled_at=now,
            next_kid=None,
            next_sealed=None,
            rotate=False,
            instance=None,
            since=None,
            accepted=None,
            contested=None,
        )
    )


async def want_rotation(connection: AsyncConnection, runner: str) -> None:
    await connection.execute(update(runners).where(runners.c.id == runner).values(rotate=True))


async def offer_next(connection: AsyncConnection, sealer: Sealer, runner: str, identity: RunnerIdentity) -> None:
    """Keep the keys of a rotation beside the current ones, until their first request."""
    values = {"next_kid": identity.kid, "next_sealed": _seal(sealer, runner, identity)}
    await connection.execute(update(runners).where(runners.c.id == runner).values(values))


async def take_next(connection: AsyncConnection, runner: str, *, now: int) -> None:
    """Put the keys of a rotation in the place of the old ones, which are dead with this. What was contested is settled by it."""
    await connection.execute(
        update(runners)
        .where(runners.c.id == runner, runners.c.next_kid.is_not(None))
        .values(
            kid=runners.c.next_kid,
            identity_sealed=runners.c.next_sealed,
            enrolled_at=now,
            next_kid=None,
            next_sealed=None,
            rotate=False,
            contested=None,
        )
    )


async def put_epoch(connection: AsyncConnection, runner: str, *, epoch: int, instance: str | None, since: int) -> None:
    """Record the instance that is the current one from *since* on."""
    values = {"epoch": epoch, "instance": instance, "since": since}
    await connection.execute(update(runners).where(runners.c.id == runner).values(values))


async def contest(connection: AsyncConnection, runner: str, reason: str) -> None:
    """Record that two instances claim to be the runner."""
    await connection.execute(update(runners).where(runners.c.id == runner).values(contested=reason))


async def accept(connection: AsyncConnection, runner: str, *, epoch: int, instance: str, now: int) -> None:
    """Settle what was contested: *instance* is the runner."""
    values = {"epoch": epoch, "instance": instance, "since": now, "accepted": instance, "contested": None}
    await connection.execute(update(runners).where(runners.c.id == runner).values(values))


async def add_instance(connection: AsyncConnection, runner: str, instance: str, *, now: int) -> None:
    """Make room for an instance that is new. Raises RefusedError where the runner has very many."""
    here = runner_instances.c.runner_id == runner
    many = select(func.count()).select_from(runner_instances).where(here)
    if (await connection.scalar(many) or 0) >= MOST_INSTANCES:
        await connection.execute(delete(runner_instances).where(here, runner_instances.c.last_seen < now - REPLAYABLE))
        if (await connection.scalar(many) or 0) >= MOST_INSTANCES:
            raise RefusedError(429, "instances", f"the runner has {MOST_INSTANCES} instances already")
    await connection.execute(
        runner_instances.insert().values(
            runner_id=runner,
            id=instance,
            epoch=0,
            pull_number=0,
            results_number=0,
            rotate_number=0,
            first_seen=now,
            last_seen=0,
            agent="",
            host="",
            address="",
            concurrency=0,
            free_slots=0,
            running=0,
            draining=False,
            keyset=0,
            report="",
        )
    )


async def describe_instance(connection: AsyncConnection, runner: str, instance: str, values: dict[str, Any]) -> None:
    """Record what a pull said of its instance."""
    mine = (runner_instances.c.runner_id == runner) & (runner_instances.c.id == instance)
    await connection.execute(update(runner_instances).where(mine).values(values))


async def list_instances(connection: AsyncConnection, runner: str | None = None) -> Sequence[RunnerInstance]:
    """The instances of one runner, or of all, the newest first."""
    if runner is not None:
        return [_instance(row) for row in await connection.execute(_INSTANCES, {"runner": runner})]
    wanted = select(runner_instances).order_by(runner_instances.c.runner_id, runner_instances.c.first_seen.desc())
    return [_instance(row) for row in await connection.execute(wanted)]


def _instance(row: Any) -> RunnerInstance:
    return RunnerInstance(
        runner=row.runner_id,
        id=row.id,
        epoch=row.epoch,
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        agent=row.agent,
        host=row.host,
        address=row.address,
        concurrency=row.concurrency,
        free_slots=row.free_slots,
        running=row.running,
        draining=row.draining,
        degraded=row.degraded,
        keyset=row.keyset,
        report=row.report,
    )


def _runner(row: Any, sealer: Sealer) -> StoredRunner:
    return StoredRunner(
        id=row.id,
        name=row.name,
        modes=tuple(row.modes.split(",")),
        host=row.host,
        base_url=row.base_url,
        instances=row.instances,
        state=row.state,
        created_at=row.created_at,
        created_by=row.created_by,
        enrolled_at=row.enrolled_at,
        identity=_open(sealer, row.id, row.kid, row.identity_sealed),
        next_identity=_open(sealer, row.id, row.next_kid, row.next_sealed),
        rotate=row.rotate,
        epoch=row.epoch,
        instance=row.instance,
        since=row.since,
        accepted=row.accepted,
        contested=row.contested,
    )


def _seal(sealer: Sealer, runner: str, identity: RunnerIdentity) -> bytes:
    members = {"jwk": identity.jwk, "opening_key": identity.opening_key}
    return sealer.seal(json.dumps(members).encode(), _identity_place(runner, identity.kid))


def _open(sealer: Sealer, runner: str, kid: str | None, sealed: bytes | None) -> RunnerIdentity | None:
    if kid is None or sealed is None:
        return None
    members = json.loads(sealer.open(sealed, _identity_place(runner, kid)).reveal())
    return RunnerIdentity(kid=kid, jwk=members["jwk"], opening_key=members["opening_key"])


def _identity_place(runner: str, kid: str) -> str:
    return f"runners.identity:{runner}:{kid}"
