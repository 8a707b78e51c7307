"""A runner's pull as its heartbeat: its number, what it says of itself, and whether this process is the runner."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.actions import epochs
from controlplane.actions.epochs import EpochClaim, EpochDecision, Standing, Succession
from controlplane.errors import RefusedError, SequenceError
from controlplane.service import audit, runnerreports
from controlplane.service.principal import Principal
from controlplane.service.runnerkeys import RunnerKeys
from controlplane.store import runnerrequests, runners
from controlplane.store.runnerrequests import HeardPull
from controlplane.store.runners import RunnerInstance, StoredRunner
from controlplane.store.versions import Stamp
from worker.wire.proof import Proof
from worker.wire.runner_messages import RunnerPull

log = logging.getLogger(__name__)

ALIVE_MS = 30_000
"""Milliseconds since its last pull for which an instance counts as alive: three of the longest polls."""
KEY_AGE_MS = 90 * 24 * 3600 * 1000
"""Milliseconds after which a runner is asked for new keys without anybody's doing."""
_HEARD = (Succession.TAKEN, Succession.KEPT)
_ITSELF = Principal(name="control plane", via="command", scopes=frozenset())
"""The author of what no person did, in the audit log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerCaller:
    """A runner whose *proof* holds, asking from *address*; *keys* are those to answer with.

    Runner and keys are those of `runners.CALLERS` at the stamp *seen*.
    """

    runner: StoredRunner
    proof: Proof
    keys: RunnerKeys
    seen: Stamp
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attendance:
    """The answer to a heartbeat beside its work. A *refusal* is to be raised once the transaction is committed."""

    epoch: int
    refusal: RefusedError | None
    keyset: str | None
    rotate: bool
    send_details: bool


async def attend(connection: AsyncConnection, caller: RunnerCaller, message: RunnerPull, *, now: int) -> Attendance:
    """Record a pull and judge its instance, in the caller's transaction. Raises SequenceError, and has changed nothing then."""
    runner, instance = await runners.reread(connection, caller.runner), caller.proof.instance
    await _hear(connection, caller, message, now)
    known = await runners.list_instances(connection, runner.id)
    decision = epochs.decide(_standing(runner, known, instance, now), _claim(message, known, instance), now=now)
    await _put(connection, runner, decision, now)
    mine = next(one for one in known if one.id == instance)
    report = await runnerreports.take(connection, mine, message)
    changed = _changed(mine, decision, report)
    if changed:
        await runners.describe_instance(connection, runner.id, instance, changed)
    keyset = caller.keys.keyset
    return Attendance(
        epoch=decision.epoch,
        refusal=_refusal(decision),
        keyset=keyset.token if message.keyset < keyset.seq else None,
        rotate=decision.succession in _HEARD and _wants_rotation(runner, now),
        send_details=report is None,
    )


async def count(
    connection: AsyncConnection, caller: RunnerCaller, endpoint: Literal["results", "rotate"], *, now: int
) -> None:
    """Record the number of a request that is not a pull. Raises SequenceError."""
    runner, proof = caller.runner.id, caller.proof
    last = await runnerrequests.advance(connection, runner, proof.instance, endpoint, proof.number)
    if last == runnerrequests.UNKNOWN:
        await runners.add_instance(connection, runner, proof.instance, now=now)
        last = await runnerrequests.advance(connection, runner, proof.instance, endpoint, proof.number)
    if last is not None:
        raise SequenceError(last)


async def _hear(connection: AsyncConnection, caller: RunnerCaller, message: RunnerPull, now: int) -> None:
    """Record a pull's number and what it says. Raises SequenceError."""
    pull = heard(caller, message, now)
    last = await runnerrequests.hear(connection, pull)
    if last == runnerrequests.UNKNOWN:
        await runners.add_instance(connection, pull.runner, pull.instance, now=now)
        last = await runnerrequests.hear(connection, pull)
    if last is not None:
        raise SequenceError(last)


def _wants_rotation(runner: StoredRunner, now: int) -> bool:
    old = runner.enrolled_at is not None and now - runner.enrolled_at > KEY_AGE_MS
    return (runner.rotate or old) and runner.next_identity is None


def _standing(runner: StoredRunner, known: Sequence[RunnerInstance], instance: str, now: int) -> Standing:
    since = runner.since or 0
    return Standing(
        epoch=runner.epoch,
        instance=runner.instance,
        since=since,
        accepted=runner.accepted,
        contested=runner.contested,
        alive=[one.id for one in known if one.id != instance and _pulls(one, since, now)],
        allowed=runner.instances,
    )


def _pulls(instance: RunnerInstance, since: int, now: int) -> bool:
    return now - ALIVE_MS <= instance.last_seen >= since and not instance.draining


def _claim(message: RunnerPull, known: Sequence[RunnerInstance], instance: str) -> EpochClaim:
    held = next(one.epoch for one in known if one.id == instance)
    return EpochClaim(instance=instance, epoch=held, after=message.after, foreign=message.foreign)


async def _put(connection: AsyncConnection, runner: StoredRunner, decision: EpochDecision, now: int) -> None:
    if decision.succession is Succession.TAKEN:
        await runners.put_epoch(connection, runner.id, epoch=decision.epoch, instance=decision.instance, since=now)
    elif decision.succession is Succession.CONTESTED and runner.contested is None:
        await runners.contest(connection, runner.id, decision.reason)
        after = {"name": runner.name, "contested": decision.reason}
        await audit.record(connection, _ITSELF, "runner.contested", runner.id, after=after, now=now)
        extra = {"action": "runner_contested", "runner": runner.name}
        log.error("runner %s is contested and gets no tasks: %s", runner.name, decision.reason, extra=extra)


def _refusal(decision: EpochDecision) -> RefusedError | None:
    match decision.succession:
        case Succession.SUPERSEDED:
            reason = f"the newer instance {decision.instance} is this runner now"
            return RefusedError(409, "superseded", reason, instance=decision.instance)
        case Succession.CONTESTED:
            return RefusedError(403, "contested", f"{decision.reason}; `runner accept` says which one is true")
    return None


def heard(caller: RunnerCaller, message: RunnerPull, now: int) -> HeardPull:
    """The part of a pull that is recorded of its instance."""
    return HeardPull(
        runner=caller.runner.id,
        instance=caller.proof.instance,
        number=caller.proof.number,
        last_seen=now,
        agent=message.agent,
        host=message.host,
        address=caller.address,
        concurrency=message.concurrency,
        free_slots=message.free_slots,
        running=len(message.holding),
        draining=message.draining,
        degraded=message.degraded,
        keyset=message.keyset,
    )


def _changed(instance: RunnerInstance, decision: EpochDecision, report: str | None) -> dict[str, object]:
    """The columns of *instance* that only the decision and the report change: none, as a rule."""
    changed: dict[str, object] = {}
    if decision.succession is Succession.TAKEN:
        changed["epoch"] = decision.epoch
    if report is not None and report != instance.report:
        changed["report"] = report
    return changed
