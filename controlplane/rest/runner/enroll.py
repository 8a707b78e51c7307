"""Enrolment over HTTP, and the public keyset. Who brings no proof learns nothing; who brings one gets root-signed answers."""

from __future__ import annotations

import logging
import re

from aiohttp import web

from controlplane import epoch
from controlplane.errors import DatabaseError, RefusedError
from controlplane.rest import replies
from controlplane.rest.bodies import body_of
from controlplane.rest.context import CONTEXT, Context, visitor_address
from controlplane.service import enrolments
from controlplane.service.enrolments import Enrolling
from controlplane.service.runnerkeys import RunnerKeys
from worker.errors import MessageError, SignatureError
from worker.wire import compact, enrolment, proof
from worker.wire.enrolment import EnrolRefusal
from worker.wire.proof import Proof, ProvenRequestError, RunnerEndpoint
from worker.wire.signingkey import VerifyingKey

log = logging.getLogger(__name__)

_MAC = re.compile(r"[0-9a-f]{64}")
_NEWCOMERS = "enrolling"
"""All of them share one part of the budget for bodies."""


def routes(prefix: str = "") -> list[web.RouteDef]:
    return [web.post(prefix + enrolment.ENROLL_PATH, enroll), web.get(prefix + enrolment.KEYSET_PATH, keyset)]


async def enroll(request: web.Request) -> web.Response:
    """Answer a new key."""
    context = request.app[CONTEXT]
    try:
        keys = await _keys_to_answer(context)
        proven, key, problem = _prove(context, request)
    except SignatureError as error:
        address = visitor_address(request)
        extra = {"action": "request_refused", "code": "stranger", "remote": address}
        log.warning("refused an enrolment from %s: %s", address, error, extra=extra)
        return web.Response(status=401, text="the proof does not hold\n")
    except DatabaseError as error:
        return _failed(error)
    if problem is not None or key is None:
        return _refused(context, keys, proven, problem or RefusedError(401, "token", "no key"))
    async with body_of(request, context.bodies, location=_NEWCOMERS, max_bytes=enrolment.MAX_ENROL_BYTES) as (
        body,
        unread,
    ):
        if unread is not None:
            return _refused(context, keys, proven, unread)
        try:
            proof.check_body(proven, body)
            asked = Enrolling(message=enrolment.decode_enrol(body), proof=proven, key=key, mac=_mac_of(request))
            enrolled = await enrolments.enrol(context.database, context.clock, keys, asked)
        except ProvenRequestError as error:
            return _refused(context, keys, proven, RefusedError(401, error.reason, str(error)))
        except MessageError as error:
            return _refused(context, keys, proven, RefusedError(400, "message", str(error)))
        except RefusedError as error:
            return _refused(context, keys, proven, error)
        except DatabaseError as error:
            return _failed(error)
    log.info("runner %s enrolled", enrolled.name, extra={"action": "runner_enrolled", "runner": enrolled.urn})
    return web.Response(text=enrolment.answer(keys.root, enrolled), content_type=compact.CONTENT_TYPE)


async def keyset(request: web.Request) -> web.Response:
    """Answer anybody with the newest keyset: the root has signed it, and nothing in it is secret."""
    try:
        keys = await _keys(request.app[CONTEXT])
    except DatabaseError as error:
        return _failed(error)
    if keys is None:
        return web.Response(status=404, text="there are no runners here\n")
    return web.Response(text=keys.keyset.token, content_type=compact.CONTENT_TYPE)


async def _keys_to_answer(context: Context) -> RunnerKeys:
    keys = await _keys(context)
    if keys is None:
        raise SignatureError(proof.ProofReason.KEY, "there are no runners here")
    return keys


async def _keys(context: Context) -> RunnerKeys | None:
    async with context.database.read() as connection:
        return await context.runner_keyring.current(connection)


def _prove(context: Context, request: web.Request) -> tuple[Proof, VerifyingKey | None, RefusedError | None]:
    """The proof and its key; or the proof and what is wrong with what it says. Raises SignatureError."""
    try:
        proven, key = proof.check_new(
            request.headers.get("Authorization"),
            audiences=context.public_urls,
            method=request.method,
            path=request.raw_path,
            now=context.clock.now(),
        )
    except ProvenRequestError as refused:
        return refused.proof, None, RefusedError(401, refused.reason, str(refused))
    if proven.endpoint is not RunnerEndpoint.ENROLL:
        return proven, None, RefusedError(401, proof.ProofReason.REQUEST, "numbered for another endpoint")
    return proven, key, None


def _mac_of(request: web.Request) -> str:
    mac = request.headers.get(enrolment.MAC_HEADER, "")
    if not _MAC.fullmatch(mac):
        raise MessageError(f"{enrolment.MAC_HEADER} is not 64 hexadecimal digits")
    return mac


def _refused(context: Context, keys: RunnerKeys, proven: Proof, problem: RefusedError) -> web.Response:
    extra = {"action": "request_refused", "code": problem.code, "kid": proven.kid}
    log.warning("refused an enrolment: %s", problem, extra=extra)
    message = EnrolRefusal(
        rq=compact.digest(proven.token.encode()),
        error=problem.code,
        message=str(problem)[:1000],
        at=epoch.milliseconds(context.clock),
    )
    return web.Response(
        status=problem.status, text=enrolment.answer(keys.root, message), content_type=compact.CONTENT_TYPE
    )


def _failed(error: DatabaseError) -> web.Response:
    log.error("the database failed: %s", replies.reason(error), extra=replies.failure(error))
    return web.Response(
        status=503, text="the database does not answer\n", headers={"Retry-After": replies.RETRY_SECONDS}
    )
