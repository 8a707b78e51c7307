"""The two endpoints of the worker protocol: wire messages in and out. The decisions are the service layer's."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache

import msgspec
from aiohttp import web

from controlplane.errors import RefusedError
from controlplane.leases import LEASE_TTL
from controlplane.rest.context import Context
from controlplane.rest.replies import STALE, HandlerReply
from controlplane.rest.worker.exchange import Asked, exchange
from controlplane.service import pulls, results, variables
from controlplane.service.callers import Caller
from controlplane.service.pulls import HandedOut
from controlplane.store.dispatch import Lease
from controlplane.store.results import Disposition, Kept
from worker.wire import compact, envelope, messages
from worker.wire.keys import PrivateKey, PublicKey
from worker.wire.messages import Job, Jobs, OneTime, Pull, Rejection, Results, ResultsReply

log = logging.getLogger(__name__)

MOST_NAMED = 10
"""Records of one pull about jobs that never arrived: one worker could name ten thousand, a record each."""


def routes(prefix: str = "") -> list[web.RouteDef]:
    """Both endpoints, below the path that a public URL may have."""
    pull_handler = exchange(pull, max_bytes=messages.MAX_PULL_BYTES, content_type="application/json", remembered=True)
    push_handler = exchange(push, max_bytes=messages.MAX_PUSH_BYTES, content_type=compact.CONTENT_TYPE)
    return [web.post(prefix + messages.PULL_PATH, pull_handler), web.post(prefix + messages.RESULTS_PATH, push_handler)]


async def pull(context: Context, asked: Asked) -> HandlerReply:
    """The heartbeat; and work, where the worker has room for it and is well. While that is being committed the answer is made."""
    message = messages.decode(Pull, asked.body)
    caller, present = asked.caller, asked.present
    async with pulls.pull(context.database, context.clock, context.grace, caller, message, present=present) as given:
        made = None if given is None else _reply(given, caller.access.location.id)
        reply = None if made is None else asked.sign(made)
    if given is None:
        return STALE
    _note(context, given, caller)
    if reply is None:
        raise RefusedError(
            403, "keys", "none of the worker's private keys is one of this location: an old config file?"
        )
    return reply


def _reply(given: HandedOut, location: str) -> HandlerReply | None:
    """The reply, None where the worker holds no key to seal it for."""
    if given.job_key is None:
        return None
    if not given.leases and not given.cancel:
        return HandlerReply(status=204)
    jobs = Jobs(jobs=tuple(_job(lease, given) for lease in given.leases), more=given.more, cancel=given.cancel)
    token = envelope.seal(messages.encode(jobs), _public_key(given.job_key), typ=envelope.JOBS, location=location)
    return HandlerReply(status=200, content_type=compact.CONTENT_TYPE, body=token)


def _note(context: Context, given: HandedOut, caller: Caller) -> None:
    """Count what was given out, and log what never arrived."""
    if given.leases:
        first = (lease for lease in given.leases if lease.delivery == 1 and lease.attempt == 1)
        context.counters.leased(caller.access.location.id, (given.now - lease.scheduled_at for lease in first))
    for job in given.unanswered[:MOST_NAMED]:
        extra = {"action": "job_unanswered", "job": job, "worker": caller.worker}
        log.warning("a job never arrived: offering it again", extra=extra)
    if (more := len(given.unanswered) - MOST_NAMED) > 0:
        extra = {"action": "job_unanswered", "jobs": str(more), "worker": caller.worker}
        log.warning("%d more jobs never arrived: offering them again", more, extra=extra)


async def push(context: Context, asked: Asked) -> HandlerReply:
    """Store results. They are on disk before the reply says so."""
    payload = envelope.unseal(
        asked.body,
        [_private_key(pem.reveal()) for pem in asked.caller.access.results_keys],
        typ=envelope.RESULTS,
        location=asked.caller.access.location.id,
        max_bytes=messages.MAX_PUSH_BYTES,
    )
    message = messages.decode(Results, payload)
    kept = await results.push(context.database, context.clock, asked.caller, message.results)
    for one in kept:
        context.counters.pushed[one.disposition.value] += 1
        if one.disposition is Disposition.ACCEPTED:
            context.counters.results[asked.caller.access.location.id, one.status] += 1
        if one.disposition is Disposition.REJECTED:
            extra = {"action": "result_rejected", "result": one.result, "worker": asked.caller.worker}
            log.warning("rejected a result: %s", one.reason, extra=extra)
    reply = ResultsReply(
        accepted=_with(Disposition.ACCEPTED, kept),
        duplicate=_with(Disposition.DUPLICATE, kept),
        superseded=_with(Disposition.SUPERSEDED, kept),
        rejected=tuple(
            Rejection(result=one.result, reason=one.reason) for one in kept if one.disposition is Disposition.REJECTED
        ),
    )
    return HandlerReply(status=200, content_type="application/json", body=messages.encode(reply))


def _with(disposition: Disposition, kept: Sequence[Kept]) -> tuple[str, ...]:
    return tuple(one.result for one in kept if one.disposition is disposition)


def _job(lease: Lease, given: HandedOut) -> Job:
    job = Job(
        job=lease.job,
        lease=lease.name,
        lease_ms=LEASE_TTL,
        scheduled_at=lease.scheduled_at,
        start_by=min(
            max(lease.until - given.now, 0), messages.MAX_MILLISECONDS
        ),  # whatever a clock says: nobody reads another
        delivery=lease.delivery,
        test=msgspec.Raw(lease.definition.encode()),
    )
    known = given.variables.get(lease.job)
    if not known:
        return job
    return msgspec.structs.replace(
        job,
        variables={one.name: one.value.reveal() for one in known if one.value is not None},
        secure=tuple(one.name for one in known if one.secure),
        one_time={one.name: OneTime(**form) for one in known if (form := variables.one_time(one)) is not None},
    )


@lru_cache(maxsize=256)
def _public_key(pem: str) -> PublicKey:
    return PublicKey.from_pem(pem)


@lru_cache(maxsize=256)
def _private_key(pem: str) -> PrivateKey:
    """Kept, because checking an RSA key takes longer than using it."""
    return PrivateKey.from_pem(pem)
