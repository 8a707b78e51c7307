"""The worker protocol's two endpoints. What they mean is docs/protocol.md's; what they decide is `leases`' and `schedule`'s."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache

import msgspec
from aiohttp import web

from controlplane.leases import LEASE_TTL
from controlplane.rest.context import Service
from controlplane.rest.worker.exchange import Answer, Asked, RefusedError, exchange
from controlplane.store import dispatch, results, workers
from controlplane.store.dispatch import Lease, Taker
from controlplane.store.results import Fate
from worker.wire import envelope, messages
from worker.wire.keys import PrivateKey, PublicKey
from worker.wire.messages import Job, Jobs, Pull, Rejection, Results, ResultsReply

log = logging.getLogger(__name__)

PULL = "/worker/v1/pull"
RESULTS = "/worker/v1/results"

MAX_JOBS = 1000
"""Jobs of one reply, whatever a worker has free."""
MAX_DEFINITION_CHARACTERS = 10 * 1024 * 1024
"""Definitions of one reply: base64 makes 4/3 of it, and the rest of MAX_REPLY_BYTES is for what is around them."""


def routes(prefix: str = "") -> list[web.RouteDef]:
    """Both endpoints, below the path that a public URL may have."""
    pull_handler = exchange(pull, max_bytes=messages.MAX_PULL_BYTES, content_type="application/json")
    push_handler = exchange(push, max_bytes=messages.MAX_PUSH_BYTES, content_type="application/jose")
    return [web.post(prefix + PULL, pull_handler), web.post(prefix + RESULTS, push_handler)]


async def pull(service: Service, asked: Asked) -> Answer:
    """The heartbeat; and work, where the worker has room for it and is well."""
    message = messages.decode(Pull, asked.body)
    now = service.now()
    expiry = service.grace.expiry(now)
    key = _choose(asked.access.job_keys, message)
    location = asked.access.location.id
    async with service.database.write() as connection:
        last = await workers.advance_pull(
            connection, location=location, worker=asked.worker, seq=asked.seq, pull=message, now=now
        )
        if last is not None:
            raise _stale(last)
        back = await dispatch.take_back(
            connection, location=location, worker=asked.worker, holding=message.holding, release=message.release
        )
        cancel = await dispatch.unwanted(connection, location=location, holding=message.holding)
        taker = Taker(
            location=location,
            worker=asked.worker,
            jobs=_appetite(message) if key is not None else 0,
            characters=MAX_DEFINITION_CHARACTERS,
        )
        given, more = await dispatch.give_out(connection, taker, now=now, expiry=expiry)
    for job in back.unanswered:
        extra = {"action": "job_unanswered", "job": job, "worker": asked.worker}
        log.warning("a job never arrived, or was dropped: offering it again", extra=extra)
    if key is None:
        raise RefusedError(
            403, "keys", "none of the worker's private keys is one of this location: an old config file?"
        )
    if not given and not cancel:
        return Answer(status=204)
    reply = Jobs(jobs=tuple(_job(lease, now) for lease in given), more=more, cancel=cancel)
    token = envelope.seal(messages.encode(reply), key, typ=envelope.JOBS, location=location)
    return Answer(status=200, content_type="application/jose", body=token)


async def push(service: Service, asked: Asked) -> Answer:
    """Store results. They are on disk before the reply says so."""
    location, now = asked.access.location.id, service.now()
    payload = envelope.unseal(
        asked.body,
        [_private_key(pem.reveal()) for pem in asked.access.results_keys],
        typ=envelope.RESULTS,
        location=location,
        max_bytes=messages.MAX_PUSH_BYTES,
    )
    message = messages.decode(Results, payload)
    async with service.database.write() as connection:
        last = await workers.advance_push(connection, location=location, worker=asked.worker, seq=asked.seq, now=now)
        if last is not None:
            raise _stale(last)
        kept = await results.keep(connection, location=location, worker=asked.worker, items=message.results, now=now)
    for one in kept:
        if one.fate is Fate.REJECTED:
            extra = {"action": "result_rejected", "result": one.result, "worker": asked.worker}
            log.warning("rejected a result: %s", one.reason, extra=extra)
    reply = ResultsReply(
        accepted=tuple(one.result for one in kept if one.fate is Fate.ACCEPTED),
        duplicate=tuple(one.result for one in kept if one.fate is Fate.DUPLICATE),
        superseded=tuple(one.result for one in kept if one.fate is Fate.SUPERSEDED),
        rejected=tuple(Rejection(result=one.result, reason=one.reason) for one in kept if one.fate is Fate.REJECTED),
    )
    return Answer(status=200, content_type="application/json", body=messages.encode(reply))


def _appetite(message: Pull) -> int:
    if message.draining or message.degraded is not None:
        return 0
    return min(message.free_slots, MAX_JOBS)


def _stale(last: int) -> RefusedError:
    return RefusedError(409, "sequence", "the number is not newer than the last one", last=last)


def _choose(known: Sequence[tuple[str, str]], message: Pull) -> PublicKey | None:
    """The newest of the location's job keys that the worker holds."""
    held = frozenset(message.keys)
    return next((_public_key(pem) for kid, pem in known if kid in held), None)


def _job(lease: Lease, now: int) -> Job:
    return Job(
        job=lease.job,
        lease=lease.name,
        lease_ms=LEASE_TTL,
        scheduled_at=lease.scheduled_at,
        start_by=lease.until - now,
        delivery=lease.delivery,
        test=msgspec.Raw(lease.definition.encode()),
    )


@lru_cache(maxsize=256)
def _public_key(pem: str) -> PublicKey:
    return PublicKey.from_pem(pem)


@lru_cache(maxsize=256)
def _private_key(pem: str) -> PrivateKey:
    """Kept, because checking an RSA key takes longer than using it."""
    return PrivateKey.from_pem(pem)
