"""One proven exchange with a runner: prove the sender, read within bounds, answer, sign the answer.

Whoever proves nothing gets an unsigned 401, and none of its body is read. Everybody who holds a runner's key gets every answer
signed, refusals and our own failures included, because runners believe nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache

from aiohttp import web

from controlplane.errors import DatabaseError, RefusedError
from controlplane.rest import replies
from controlplane.rest.bodies import body_of
from controlplane.rest.context import CONTEXT, Context, visitor_address
from controlplane.rest.replies import Asker, HandlerReply, answered
from controlplane.service import enrolments
from controlplane.service.attendance import RunnerCaller
from controlplane.service.runnerkeys import RunnerKeys
from controlplane.store import runners
from controlplane.store.runners import RunnerIdentity, StoredRunner
from worker.errors import SignatureError
from worker.wire import proof, runner_messages
from worker.wire.jws import Unverified
from worker.wire.proof import Proof, ProvenRequestError, RunnerEndpoint
from worker.wire.runner_messages import RunnerRefusal
from worker.wire.signingkey import VerifyingKey

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerAsked:
    """A proven request of an enabled runner: its caller, what it brought, and if the caller is still there to be answered."""

    caller: RunnerCaller
    path: str
    body: bytes
    present: Callable[[], bool] = lambda: True


RunnerHandler = Callable[[Context, RunnerAsked], Awaitable[HandlerReply]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The runner that a kid names, which of its identities, and the keys to answer with."""

    runner: StoredRunner
    identity: RunnerIdentity
    keys: RunnerKeys


def runner_exchange(
    handler: RunnerHandler, *, endpoint: RunnerEndpoint, max_bytes: int
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Wrap *handler*. The proof is judged first; a body above *max_bytes* is refused, unread where it announces its size."""

    async def handle(request: web.Request) -> web.Response:
        context = request.app[CONTEXT]
        try:
            unverified = proof.read(request.headers.get("Authorization"))
            known = await _known(context, unverified)
            proven, problem = _prove(context, known, unverified, request, endpoint)
        except SignatureError as error:
            return _stranger(request, str(error))
        except DatabaseError as error:
            log.error("cannot look up who asks: %s", replies.reason(error), extra=replies.failure(error))  # noqa: TRY400
            return web.Response(status=503, text="the database does not answer\n")
        problem = problem or _disabled(known)
        if problem is not None:
            return _refused(context, known, proven, problem)
        async with body_of(request, context.bodies, location=known.runner.id, max_bytes=max_bytes) as (body, unread):
            problem = unread or _disproof(proven, body)
            if problem is not None:
                return _refused(context, known, proven, problem)
            async with context.bodies.turn(body):
                answer = await answered(
                    lambda: _handle(context, handler, known, proven, request, body), _asker(known, proven), _message
                )
            return _signed(context, known, proven, answer)

    return handle


async def _handle(
    context: Context, handler: RunnerHandler, known: _Known, proven: Proof, request: web.Request, body: bytes
) -> HandlerReply:
    runner = known.runner
    if runner.next_identity is not None and known.identity.kid == runner.next_identity.kid:
        runner = await enrolments.complete_rotation(context.database, context.clock, runner)
    caller = RunnerCaller(runner=runner, proof=proven, keys=known.keys, address=visitor_address(request)[:64])
    asked = RunnerAsked(
        caller=caller,
        path=request.raw_path,
        body=body,
        present=lambda: request.transport is not None and not request.transport.is_closing(),
    )
    return await handler(context, asked)


async def _known(context: Context, unverified: Unverified) -> _Known:
    """Look up who has the key of this name. Raises SignatureError where nobody has, DatabaseError."""
    async with context.database.read() as connection:
        keys = await context.runner_keyring.current(connection)
        runner = await runners.by_kid(connection, context.database.sealer, unverified.kid)
    if keys is None or runner is None:
        raise SignatureError(proof.ProofReason.KEY, "no runner has this key")
    for identity in (runner.identity, runner.next_identity):
        if identity is not None and identity.kid == unverified.kid:
            return _Known(runner=runner, identity=identity, keys=keys)
    raise SignatureError(proof.ProofReason.KEY, "no runner has this key")


def _prove(
    context: Context, known: _Known, unverified: Unverified, request: web.Request, endpoint: RunnerEndpoint
) -> tuple[Proof, RefusedError | None]:
    """Check the proof but for its body. Raises SignatureError where nothing is proven."""
    try:
        proven = proof.check(
            unverified,
            _key(tuple(known.identity.jwk.items())),
            iss=enrolments.urn(known.runner),
            audiences=context.public_urls,
            method=request.method,
            path=request.raw_path,
            now=context.clock.now(),
        )
    except ProvenRequestError as refused:
        return refused.proof, RefusedError(401, refused.reason, str(refused))
    if proven.endpoint is not endpoint:
        return proven, RefusedError(401, proof.ProofReason.REQUEST, "numbered for another endpoint")
    return proven, None


@lru_cache(maxsize=4096)
def _key(members: tuple[tuple[str, str], ...]) -> VerifyingKey:
    """A runner's public key: reading it takes as long as verifying by it."""
    return VerifyingKey.from_jwk(dict(members), "ES256")


def _disabled(known: _Known) -> RefusedError | None:
    if known.runner.state == "enrolled":
        return None
    return RefusedError(403, "revoked", f"the runner {known.runner.name!r} is {known.runner.state}")


def _disproof(proven: Proof, body: bytes) -> RefusedError | None:
    try:
        proof.check_body(proven, body)
    except ProvenRequestError as refused:
        return RefusedError(401, refused.reason, str(refused))
    return None


def _refused(context: Context, known: _Known, proven: Proof, problem: RefusedError) -> web.Response:
    log.warning(
        "refused a request of %s: %s",
        known.runner.name,
        problem,
        extra={"action": "request_refused", "code": problem.code, "instance": proven.instance},
    )
    retry_after = replies.RETRY_SECONDS if problem.status == 503 else None
    return _signed(context, known, proven, replies.refusal(problem, _message, retry_after=retry_after))


def _asker(known: _Known, proven: Proof) -> Asker:
    return Asker(name=known.runner.name, extra={"runner": known.runner.id, "instance": proven.instance})


def _message(refused: RefusedError) -> bytes:
    return runner_messages.encode(
        RunnerRefusal(error=refused.code, message=str(refused)[:1000], last=refused.last, instance=refused.instance)
    )


def _signed(context: Context, known: _Known, proven: Proof, answer: HandlerReply) -> web.Response:
    value = proof.reply(
        known.keys.signing,
        proven,
        status=answer.status,
        now=context.clock.now(),
        retry_after=None if answer.retry_after is None else int(answer.retry_after),
        body=answer.body,
    )
    return web.Response(
        status=answer.status,
        headers={proof.REPLY_HEADER: value},
        body=answer.body or None,
        content_type=answer.content_type,
    )


def _stranger(request: web.Request, reason: str) -> web.Response:
    address = visitor_address(request)
    extra = {"action": "request_refused", "code": "stranger", "remote": address}
    log.warning("refused a request of %s: %s", address, reason, extra=extra)
    return web.Response(status=401, text="the proof does not hold\n")
