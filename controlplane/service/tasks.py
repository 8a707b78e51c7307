"""Tasks towards runners: what a pull renews, takes back, cancels and is given, and what a result makes of a task."""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.actions.states import ENDED, HELD, TaskEffect, TaskEvent, TaskState
from controlplane.errors import DatabaseError
from controlplane.leases import LEASE_TTL, Grace, read_lease
from controlplane.service import attendance, calm, steps
from controlplane.service.attendance import Attendance, RunnerCaller
from controlplane.service.pulls import Present
from controlplane.store import tasks
from controlplane.store.database import Database
from controlplane.store.sealing import Sealer
from controlplane.store.tasks import ActionTask
from worker.clock import Clock
from worker.errors import MessageError
from worker.wire import messages
from worker.wire.messages import ResultItem
from worker.wire.runner_messages import LEASE_MS, MOST_TASKS, Predecessor, RunnerPull, TaskOutcome

log = logging.getLogger(__name__)

MAX_ORDER_CHARACTERS = 8 * 1024 * 1024
"""Orders of one reply: base64 makes 4/3 of it, and the rest of `MAX_WORK_BYTES` is for what is around them."""
_OF_STATUS = {
    "succeeded": TaskEvent.RESULT_SUCCEEDED,
    "failed": TaskEvent.RESULT_FAILED,
    "cancelled": TaskEvent.RESULT_CANCELLED,
    "unknown": TaskEvent.RESULT_UNKNOWN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenTask:
    """A task under a lease, with its signed order."""

    task: ActionTask
    order: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerWorkGiven:
    """The answer to a pull at the moment *now*. *ended* are the runs whose tasks it ended, and the runners with new ones."""

    now: int
    attendance: Attendance
    given: tuple[GivenTask, ...]
    cancel: tuple[str, ...]
    more: bool
    ended: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptOutcome:
    """The end of one pushed result: `accepted`, `duplicate`, `superseded`, or `rejected` with its reason.

    *ended*: the run's task has ended by it.
    """

    result: str
    disposition: str
    run: str = ""
    reason: str = ""
    ended: bool = False


@dataclass(frozen=True, slots=True)
class KeptOutcomes:
    """The ends of a push, and the ids of runners that have new tasks by it."""

    kept: tuple[KeptOutcome, ...]
    woken: frozenset[str]


async def pull(
    database: Database, clock: Clock, grace: Grace, caller: RunnerCaller, message: RunnerPull, *, present: Present
) -> RunnerWorkGiven:
    """Record the heartbeat, move what the instance says of its tasks, and give it what is queued.

    Raises SequenceError; and RefusedError for an instance that is the runner no longer, once all it said is stored.
    """

    def begin(connection: AsyncConnection) -> Coroutine[Any, Any, RunnerWorkGiven]:
        now = epoch.milliseconds(clock)
        grace.expiry(now)
        return _pull(connection, database, caller, message, now=now, present=present())

    weight = 1 + len(message.holding) + len(message.previous) + _wanted(message)
    try:
        given = await database.share(begin, location=caller.runner.id, weight=weight)
    except DatabaseError:
        grace.interrupted()
        raise
    if given.attendance.refusal is not None:
        raise given.attendance.refusal
    return given


async def _pull(
    connection: AsyncConnection,
    database: Database,
    caller: RunnerCaller,
    message: RunnerPull,
    *,
    now: int,
    present: bool,
) -> RunnerWorkGiven:
    stamp = database.versions.memory(calm.STANDINGS).stamp()
    attended = await attendance.attend(connection, caller, message, now=now)
    ended, held = await _take_in(connection, caller, message, now)
    cancel = tuple(one.lease for one in held if one.state is TaskState.CANCELLING)
    wanted = _wanted(message) if attended.refusal is None and present else 0
    given, more, refused = await _give(connection, database.sealer, caller, wanted, now)
    ended = (*ended, *refused, *await steps.advance(connection, database, {*ended, *refused}, now=now))
    if wanted and not (given or more or held or ended):
        calm.remember(database, caller, message, attended, stamp)
    return RunnerWorkGiven(now=now, attendance=attended, given=given, cancel=cancel, more=more, ended=ended)


async def pull_calmly(
    database: Database, clock: Clock, grace: Grace, caller: RunnerCaller, message: RunnerPull
) -> RunnerWorkGiven | None:
    """Do as `pull` does where nothing has changed since the last one of the same instance; None where that is not so."""
    heard = await calm.pull(database, clock, grace, caller, message)
    if heard is None:
        return None
    now, attended = heard
    return RunnerWorkGiven(now=now, attendance=attended, given=(), cancel=(), more=False, ended=())


async def look_again(
    database: Database, clock: Clock, caller: RunnerCaller, message: RunnerPull, before: RunnerWorkGiven
) -> RunnerWorkGiven:
    """Give what has been queued, and name what is to be cancelled, since *before*: the same pull, which has waited.

    Whoever was woken has something to take, as a rule: one transaction looks and gives.
    """
    wanted = _wanted(message)
    async with database.write() if wanted else database.read() as connection:
        now = epoch.milliseconds(clock)
        held = await tasks.held_by(connection, runner=caller.runner.id, instance=caller.proof.instance)
        given, more, refused = await _give(connection, database.sealer, caller, wanted, now)
        moved = await steps.advance(connection, database, refused, now=now)
    cancel = tuple(one.lease for one in held if one.state is TaskState.CANCELLING)
    ended = (*before.ended, *refused, *moved)
    return RunnerWorkGiven(now=now, attendance=before.attendance, given=given, cancel=cancel, more=more, ended=ended)


def _wanted(message: RunnerPull) -> int:
    if message.draining or message.degraded is not None:
        return 0
    return min(message.free_slots, MOST_TASKS)


async def _take_in(
    connection: AsyncConnection, caller: RunnerCaller, message: RunnerPull, now: int
) -> tuple[tuple[str, ...], Sequence[ActionTask]]:
    """Move tasks by what a pull says of them; returns the runs that this ended, and the tasks that the instance has now."""
    runner, instance = caller.runner.id, caller.proof.instance
    moves: list[tuple[ActionTask, TaskEvent]] = []
    for predecessor in message.previous:
        moves += await _told_of(connection, runner, predecessor, instance, now)
    mine = await tasks.held_by(connection, runner=runner, instance=instance)
    holding, released = {one.lease: one for one in message.holding}, frozenset(message.release)
    renewed = [one.id for one in mine if one.lease in holding]
    for one in mine:
        if one.lease in released:
            moves.append((one, TaskEvent.RELEASED))
        elif one.lease not in holding and one.state in HELD:
            moves.append((one, TaskEvent.MISSING))
        elif one.lease in holding and holding[one.lease].started and not one.began:
            said = holding[one.lease].effect
            await tasks.note_began(connection, one.id, None if said is None else TaskEffect(said))
    if renewed:
        await tasks.renew(connection, renewed, now=now)
    if not moves:
        return (), mine
    ended = await _moved(connection, moves, now)
    return ended, await tasks.held_by(connection, runner=runner, instance=instance)


async def _told_of(
    connection: AsyncConnection, runner: str, predecessor: Predecessor, instance: str, now: int
) -> list[tuple[ActionTask, TaskEvent]]:
    """The moves of what an earlier instance had, by the journal that this one read."""
    started, finished = frozenset(predecessor.started), frozenset(predecessor.finished)
    moves = []
    for one in await tasks.held_by(connection, runner=runner, instance=predecessor.instance):
        if one.lease in finished:
            await tasks.hand_over(connection, one.id, instance=instance, now=now)
        elif one.lease in started:
            moves.append((one, TaskEvent.BEGUN))
        else:
            moves.append((one, TaskEvent.NEVER_BEGUN))
    return moves


async def _moved(
    connection: AsyncConnection, moves: Sequence[tuple[ActionTask, TaskEvent]], now: int
) -> tuple[str, ...]:
    ended = []
    for task, event in moves:
        after = await tasks.move(connection, task, event, now=now, reason=why(task, event))
        extra = {"action": "task_moved", "task": task.id, "event": event.value, "state": str(after)}
        log.info("task %s: %s, and now %s", task.id, event.value, after, extra=extra)
        if after in ENDED:
            ended.append(task.run)
    return tuple(ended)


def why(task: ActionTask, event: TaskEvent) -> str | None:
    """A sentence for a task that ends without a result."""
    taken = f"taken by instance {task.instance}"
    match event:
        case TaskEvent.BEGUN:
            return f"{taken}, whose journal has its start and no end; it may have run"
        case TaskEvent.FORSAKEN:
            return f"{taken}, which vanished; it may have run"
        case TaskEvent.SILENT:
            return f"{taken}, which fell silent"
        case TaskEvent.LATE:
            return "nobody started it in time"
    return None


async def _give(
    connection: AsyncConnection, sealer: Sealer, caller: RunnerCaller, wanted: int, now: int
) -> tuple[tuple[GivenTask, ...], bool, tuple[str, ...]]:
    """Lease up to *wanted* queued tasks, the oldest first; whether there are more; and the runs of orders that are not ours."""
    if wanted < 1:
        return (), False, ()
    refused: list[str] = []
    runner, given, characters = caller.runner.id, list[GivenTask](), 0
    queued = await tasks.queued(connection, runner=runner, now=now, limit=wanted + 1)
    for one in queued[:wanted]:
        order = await tasks.order_of(connection, sealer, one.id)
        if order is None:
            await _refuse_planted(connection, one, now)
            refused.append(one.run)
            continue
        characters += len(order)
        if given and characters > MAX_ORDER_CHARACTERS:
            return tuple(given), True, tuple(refused)
        leased = await tasks.give(connection, one, instance=caller.proof.instance, now=now)
        if leased is not None:
            given.append(GivenTask(task=leased, order=order))
    return tuple(given), len(queued) > wanted, tuple(refused)


async def _refuse_planted(connection: AsyncConnection, task: ActionTask, now: int) -> None:
    """End a task whose order does not open: somebody wrote it into the database."""
    extra = {"action": "task_unreadable", "task": task.id}
    log.error(
        "the order of task %s does not open under the database's key: it was not stored by us", task.id, extra=extra
    )
    await tasks.fail(connection, task, now=now, code="SIGNATURE", reason="the stored order does not open")


async def push(database: Database, clock: Clock, caller: RunnerCaller, results: Sequence[ResultItem]) -> KeptOutcomes:
    """Store results, and make the next steps of workflows; both are on disk when this returns. Raises SequenceError."""
    async with database.write() as connection:
        now = epoch.milliseconds(clock)
        await attendance.count(connection, caller, "results", now=now)
        named = {item.result: read_lease(item.lease) for item in results}
        known = await tasks.by_ids(connection, {lease[0] for lease in named.values() if lease is not None})
        kept = []
        for item in results:
            lease = named[item.result]
            task = None if lease is None else known.get(lease[0])
            if task is None or lease is None or task.runner != caller.runner.id or not 1 <= lease[1] <= task.delivery:
                kept.append(KeptOutcome(result=item.result, disposition="rejected", reason="no lease of this runner's"))
                continue
            kept.append(await _keep(connection, database.sealer, task, item, now))
            if len(results) > len(known):  # another one may be of the same task
                known |= await tasks.by_ids(connection, [task.id])
        ended = {one.run for one in kept if one.ended}
        woken = await steps.advance(connection, database, ended, now=now)
        return KeptOutcomes(tuple(kept), woken)


async def _keep(
    connection: AsyncConnection, sealer: Sealer, task: ActionTask, item: ResultItem, now: int
) -> KeptOutcome:
    try:
        outcome = messages.decode(TaskOutcome, bytes(item.outcome))
    except MessageError as error:
        return KeptOutcome(result=item.result, disposition="rejected", run=task.run, reason=str(error)[:300])
    if outcome.order_sha256 not in ("", task.order_sha256):
        reason = "it obeyed another order than the one that was given"
        return KeptOutcome(result=item.result, disposition="rejected", run=task.run, reason=reason)
    if await tasks.result_of(connection, task.id) == item.result:
        return KeptOutcome(result=item.result, disposition="duplicate", run=task.run)
    moved = await tasks.move(
        connection,
        task,
        _OF_STATUS[outcome.status],
        now=now,
        outcome_sealed=tasks.sealed_outcome(sealer, task.id, bytes(item.outcome)),
        result_id=item.result,
        code=None if outcome.error is None else outcome.error.code[:40],
        reason=None,
        effect=outcome.effect or task.effect.value,
    )
    disposition = "superseded" if moved is None else "accepted"
    return KeptOutcome(result=item.result, disposition=disposition, run=task.run, ended=moved in ENDED)


async def settle(database: Database, clock: Clock, grace: Grace) -> tuple[str, ...]:
    """Move tasks that time moves: expired, silent, forsaken. Returns runs whose tasks ended, and runners with new ones."""
    ended: list[str] = []
    while True:
        async with database.read() as connection:
            now = epoch.milliseconds(clock)
            found = await tasks.overdue(connection, now=now, expiry=now - LEASE_MS)
        if not found:
            return tuple(ended)
        async with database.write() as connection:
            now = epoch.milliseconds(clock)
            expiry = _expiry(grace, now)  # of a database that made everybody wait, nobody is silent
            again = await tasks.overdue(connection, now=now, expiry=expiry)
            moved = await _moved(connection, again, now)
            ended += (*moved, *await steps.advance(connection, database, moved, now=now))
        if len(again) < tasks.BATCH:
            return tuple(ended)
        await clock.sleep(database.rest_seconds)


def _expiry(grace: Grace, now: int) -> int:
    """The moment before which an instance must have been heard last to count as silent; 0 while nobody does."""
    expiry = grace.expiry(now)
    return max(0, expiry + LEASE_TTL - LEASE_MS) if expiry else 0
