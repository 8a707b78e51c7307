"""Pulls: the heartbeat of a worker, and work where it has room for it and is well."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.errors import DatabaseError, SequenceError
from controlplane.leases import Grace
from controlplane.service import callers, subtests, variables
from controlplane.service.callers import Caller
from controlplane.store import dispatch, workers
from controlplane.store.database import Database
from controlplane.store.dispatch import Lease, Taker
from controlplane.store.variables import StoredVariable
from controlplane.store.versions import TableMemory
from worker.clock import Clock
from worker.wire.messages import Pull

Present = Callable[[], bool]
"""Tell if the caller still waits for its answer."""

FEW_LEASES = 50
"""Named by a pull, whose jobs are looked up in its own transaction; more of them are, before it begins."""
MAX_JOBS = 1000
"""Jobs of one reply, whatever a worker has free."""
MAX_DEFINITION_CHARACTERS = 10 * 1024 * 1024
"""Definitions of one reply: base64 makes 4/3 of it, and the rest of MAX_REPLY_BYTES is for what is around them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOut:
    """The outcome of a pull at the moment *now*: *leases* given out, and whether there is *more*.

    *cancel* are leases that nobody waits for any more, *unanswered* jobs that the worker was given and does not hold. *job_key*
    is the PEM of the key to seal jobs with, None where the worker holds none of the location's: then nothing was given out.
    *variables* are, by the job that names them, the global ones that there are.
    """

    now: int
    leases: tuple[Lease, ...]
    more: bool
    cancel: tuple[str, ...]
    unanswered: tuple[str, ...]
    job_key: str | None
    variables: Mapping[str, tuple[StoredVariable, ...]]


async def pull(
    database: Database, clock: Clock, grace: Grace, caller: Caller, message: Pull, *, present: Present
) -> HandedOut | None:
    """Record the heartbeat, take back what the worker no longer holds, and lease it what is due.

    A worker that was no longer *present* when its turn came is given nothing: nobody would get it. None, and nothing
    is done, for a remembered caller whose access may have changed since. Raises SequenceError.
    """
    location = caller.access.location.id
    named = len(message.holding) + len(message.finished) + len(message.release)
    quiet = database.versions.memory(dispatch.QUIET)

    def begin(connection: AsyncConnection) -> Coroutine[Any, Any, HandedOut | None]:
        now = epoch.milliseconds(clock)  # now that it is this pull's turn: it may have waited for the lock
        if not callers.is_current(database, caller, now=now):
            return _nothing()
        turn = _Turn(now=now, expiry=grace.expiry(now), present=present(), known=known, quiet=quiet)
        return _pull(connection, caller, message, turn)

    try:
        known = None
        if named > FEW_LEASES:  # what grows with what the worker holds keeps nobody else waiting
            async with database.read() as connection:
                known = await _known(connection, caller, message)
        given = await database.share(begin, location=location, weight=1 + named + _wanted(message))
        if given is None:
            return None
        if any(subtests.plays_subtests(lease.definition) for lease in given.leases):
            async with database.read() as connection:
                whole = await subtests.complete(connection, given.leases, characters=MAX_DEFINITION_CHARACTERS)
            given = replace(given, leases=whole)
        used = {lease.job: names for lease in given.leases if (names := variables.used_by(lease.definition))}
        if not used:
            return given
        async with database.read() as connection:
            return replace(given, variables=await _values(connection, database, used))
    except DatabaseError:
        grace.interrupted()
        raise


async def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The open jobs that were *given* to a worker, and leases that it holds and nobody waits for."""

    given: Sequence[Any]
    cancel: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """The moment at which a pull has the lock, and what is *known* from before it, None where that is still to be read."""

    now: int
    expiry: int
    present: bool
    known: _Known | None
    quiet: TableMemory[str, int]


async def _known(connection: AsyncConnection, caller: Caller, message: Pull) -> _Known:
    location = caller.access.location.id
    rows = await dispatch.given(connection, location=location, worker=caller.worker)
    cancel = await dispatch.unwanted(connection, rows, location=location, holding=message.holding)
    return _Known(given=rows, cancel=cancel)


async def _pull(connection: AsyncConnection, caller: Caller, message: Pull, turn: _Turn) -> HandedOut:
    location, worker, now = caller.access.location.id, caller.worker, turn.now
    key = _newest_held(caller.access.job_keys, message)
    last = await workers.advance_pull(
        connection,
        location=location,
        worker=worker,
        origin=caller.origin,
        seq=caller.seq,
        pull=message,
        now=now,
    )
    if last is not None:
        raise SequenceError(last)
    known = turn.known or await _known(connection, caller, message)
    back = await dispatch.take_back(connection, known.given, location=location, worker=worker, pull=message, now=now)
    taker = Taker(
        location=location,
        worker=worker,
        jobs=_wanted(message) if key is not None and turn.present else 0,
        characters=MAX_DEFINITION_CHARACTERS,
    )
    leases, more = await _given_out(connection, taker, turn, freed=bool(back.released or back.unanswered))
    return HandedOut(
        now=now, leases=leases, more=more, cancel=known.cancel, unanswered=back.unanswered, job_key=key, variables={}
    )


async def _given_out(
    connection: AsyncConnection, taker: Taker, turn: _Turn, *, freed: bool
) -> tuple[tuple[Lease, ...], bool]:
    """Lease what is due, and remember until when nothing is where there was nothing."""
    location, now = taker.location, turn.now
    until = turn.quiet.recall(location, location)
    if taker.jobs == 0 or (until is not None and now < until and not freed):
        return (), False
    stamp = turn.quiet.stamp(location)
    leases, more = await dispatch.give_out(connection, taker, now=now, expiry=turn.expiry)
    if not leases and not more and turn.expiry:  # in a time of grace nobody can tell whose jobs become free when
        turn.quiet.keep(location, await dispatch.quiet_until(connection, location, now=now), stamp)
    return leases, more


async def _values(
    connection: AsyncConnection, database: Database, used: Mapping[str, Collection[str]]
) -> dict[str, tuple[StoredVariable, ...]]:
    """The variables of each job, of those that it uses."""
    found = await variables.named(connection, database.sealer, {name for names in used.values() for name in names})
    return {job: tuple(found[name] for name in sorted(names) if name in found) for job, names in used.items()}


def _wanted(message: Pull) -> int:
    if message.draining or message.degraded is not None:
        return 0
    return min(message.free_slots, MAX_JOBS)


def _newest_held(known: Sequence[tuple[str, str]], message: Pull) -> str | None:
    """The newest of the location's job keys, (kid, PEM), that the worker holds."""
    held = frozenset(message.keys)
    return next((pem for kid, pem in known if kid in held), None)
