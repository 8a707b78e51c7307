"""Pull and results of the runner protocol: wire messages in and out. A pull waits here until there is something to say."""

from __future__ import annotations

from functools import lru_cache

from aiohttp import web

from controlplane.rest.bodies import LARGE_BYTES
from controlplane.rest.context import Context
from controlplane.rest.replies import STALE, HandlerReply
from controlplane.rest.runner.claim import claim
from controlplane.rest.runner.exchange import RunnerAsked, runner_exchange
from controlplane.rest.runner.rotate import rotate
from controlplane.service import enrolments, tasks
from controlplane.service.tasks import GivenTask, RunnerWorkGiven
from worker.clock import heard
from worker.wire import compact, enrolment, envelope, messages, runner_messages
from worker.wire.keys import PublicKey
from worker.wire.messages import Rejection, Results, ResultsReply
from worker.wire.proof import RunnerEndpoint
from worker.wire.runner_messages import LEASE_MS, RunnerPull, RunnerWork, WorkItem


def routes(prefix: str = "") -> list[web.RouteDef]:
    """The proven endpoints, below the path that a public URL may have."""
    pulling = runner_exchange(pull, endpoint=RunnerEndpoint.PULL, max_bytes=runner_messages.MAX_PULL_BYTES)
    pushing = runner_exchange(push, endpoint=RunnerEndpoint.RESULTS, max_bytes=runner_messages.MAX_OUTCOMES_BYTES)
    rotating = runner_exchange(rotate, endpoint=RunnerEndpoint.ROTATE, max_bytes=enrolment.MAX_ENROL_BYTES)
    claiming = runner_exchange(claim, endpoint=RunnerEndpoint.CLAIM, max_bytes=runner_messages.MAX_CLAIM_BYTES)
    return [
        web.post(prefix + runner_messages.PULL_PATH, pulling),
        web.post(prefix + runner_messages.RESULTS_PATH, pushing),
        web.post(prefix + runner_messages.CLAIM_PATH, claiming),
        web.post(prefix + enrolment.ROTATE_PATH, rotating),
    ]


async def pull(context: Context, asked: RunnerAsked) -> HandlerReply:
    """The heartbeat; and tasks, at once or within the wait that the runner asks for."""
    payload = _open(asked, runner_messages.PULL, runner_messages.MAX_PULL_BYTES)
    message = messages.decode(RunnerPull, payload)
    # A large body is worked on alone: nobody may wait with that turn in hand.
    wait_ms = 0 if len(asked.body) > LARGE_BYTES else message.wait_ms
    given = await _work(context, asked, message, wait_ms)
    if given is None:
        return STALE
    runs = {one.task.run for one in given.given} | set(given.ended)
    for run in runs:
        context.wakeups.ring(run)
    reply = RunnerWork(
        epoch=given.attendance.epoch,
        tasks=tuple(_item(one, given.now) for one in given.given),
        cancel=given.cancel,
        more=given.more,
        keyset=given.attendance.keyset,
        rotate=given.attendance.rotate,
        send_details=given.attendance.send_details,
    )
    if not _says_something(given, message):
        return HandlerReply(status=204)
    identity = asked.caller.runner.identity
    assert identity is not None, "a runner that proves itself has enrolled"
    token = envelope.seal(
        messages.encode(reply),
        _public_key(identity.opening_key),
        typ=runner_messages.WORK,
        location=enrolments.urn(asked.caller.runner),
    )
    return HandlerReply(status=200, content_type=compact.CONTENT_TYPE, body=token)


async def _work(context: Context, asked: RunnerAsked, message: RunnerPull, wait_ms: int) -> RunnerWorkGiven | None:
    """Look; then look again whenever the bell rings, until there is something, the wait is over, or this process ends.

    None for a caller who is remembered, where anything may have changed since.
    """
    deadline_ns = context.clock.monotonic_ns() + wait_ms * 1_000_000
    database, clock, caller = context.database, context.clock, asked.caller
    with context.wakeups.listening(caller.runner.id) as bell:
        if asked.remembered:
            calm = await tasks.pull_calmly(database, clock, context.grace, caller, message)
            if calm is None:
                return None
            given = calm
        else:
            given = await tasks.pull(database, clock, context.grace, caller, message, present=asked.present)
        while not (_says_something(given, message) or context.wakeups.ended):
            left = (deadline_ns - clock.monotonic_ns()) / 1e9
            if left <= 0 or not await heard(bell, clock, left) or not asked.present():
                break
            bell.clear()
            given = await tasks.look_again(database, clock, caller, message, given)
        return given


def _says_something(given: RunnerWorkGiven, message: RunnerPull) -> bool:
    attended = given.attendance
    changed = attended.keyset is not None or attended.rotate or attended.send_details or attended.epoch != message.epoch
    return bool(given.given or given.cancel or changed)


async def push(context: Context, asked: RunnerAsked) -> HandlerReply:
    """Store outcomes. They are on disk before the reply says so."""
    payload = _open(asked, runner_messages.OUTCOMES, runner_messages.MAX_OUTCOMES_BYTES)
    message = messages.decode(Results, payload)
    stored = await tasks.push(context.database, context.clock, asked.caller, message.results)
    kept = stored.kept
    for name in (*(one.run for one in kept), *stored.woken):
        context.wakeups.ring(name)
    named = {
        said: tuple(one.result for one in kept if one.disposition == said)
        for said in ("accepted", "duplicate", "superseded")
    }
    rejected = tuple(Rejection(result=one.result, reason=one.reason) for one in kept if one.disposition == "rejected")
    reply = ResultsReply(rejected=rejected, **named)
    return HandlerReply(status=200, content_type="application/json", body=messages.encode(reply))


def _open(asked: RunnerAsked, typ: str, max_bytes: int) -> bytes:
    """The message that the runner sealed. Raises EnvelopeError."""
    location = enrolments.urn(asked.caller.runner)
    return envelope.unseal(asked.body, asked.caller.keys.results, typ=typ, location=location, max_bytes=max_bytes)


def _item(given: GivenTask, now: int) -> WorkItem:
    return WorkItem(
        task=given.order,
        lease=given.task.lease,
        lease_ms=LEASE_MS,
        start_by=min(max(given.task.expires_at - now, 0), messages.MAX_MILLISECONDS),
        delivery=given.task.delivery,
    )


@lru_cache(maxsize=256)
def _public_key(pem: str) -> PublicKey:
    return PublicKey.from_pem(pem)
