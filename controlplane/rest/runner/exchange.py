"""One proven exchange with a runner: prove the sender, read within bounds, answer, sign the answer.

Whoever proves nothing gets an unsigned 401, and none of its body is read. Everybody who holds a runner's key gets every answer
signed, refusals and our own failures included, because runners believe nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache, partial

from aiohttp import web

from controlplane.errors import DatabaseError, RefusedError
from controlplane.rest import replies
from controlplane.rest.bodies import body_of
from controlplane.rest.context import CONTEXT, Context, is_present, visitor_address
from controlplane.rest.replies import STALE, Asker, HandlerReply, answered
from controlplane.service import enrolments
from controlplane.service.attendance import RunnerCaller
from controlplane.service.runnerkeys import RunnerKeys
from controlplane.store import runners
from controlplane.store.runners import RunnerIdentity, StoredRunner
from controlplane.store.versions import Stamp
from worker.errors import SignatureError
from worker.wire import messages, proof
from worker.wire.jws import Unverified
from worker.wire.proof import Proof, ProvenRequestError, RunnerEndpoint
from worker.wire.runner_messages import RunnerRefusal
from worker.wire.signingkey import VerifyingKey

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerAsked:
    """A proven request of an enabled runner: its caller, what it brought, and if the caller is still there to be answered.

    A caller who is *remembered* may have changed since: whoever finds that answers `STALE`, having done nothing, and is asked
    again with the caller as it is.
    """

    caller: RunnerCaller
    path: str
    body: bytes
    remembered: bool = False
    present: Callable[[], bool] = lambda: True


RunnerHandler = Callable[[Context, RunnerAsked], Awaitable[HandlerReply]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The runner that a kid names, which of its identities, and the keys to answer with."""

    runner: StoredRunner
    identity: RunnerIdentity
    keys: RunnerKeys
    seen: Stamp

    @property
    def is_settled(self) -> bool:
        """Nothing about the runner is about to change by its own doing."""
        return self.runner.state == "enrolled" and self.runner.next_identity is None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proven:
    """A proven sender, what its request is refused for all the same, and whether it is *remembered*."""

    known: _Known
    proof: Proof
    problem: RefusedError | None
    remembered: bool = False


def runner_exchange(
    handler: RunnerHandler, *, endpoint: RunnerEndpoint, max_bytes: int
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Wrap *handler*. The proof is judged first; a body above *max_bytes* is refused, unread where it announces its size."""

    async def handle(request: web.Request) -> web.Response:
        context = request.app[CONTEXT]
        sender = await _sender(context, request, endpoint, remembered=endpoint is RunnerEndpoint.PULL)
        if isinstance(sender, web.Response):
            return sender
        if sender.problem is not None:
            return _refused(context, sender.known, sender.proof, sender.problem)
        runner = sender.known.runner.id
        async with body_of(request, context.bodies, location=runner, max_bytes=max_bytes) as (body, unread):
            problem = unread or _disproof(sender.proof, body)
            if problem is not None:
                return _refused(context, sender.known, sender.proof, problem)
            async with context.bodies.turn(body):
                return await _answer(context, handler, endpoint, sender, request, body)

    return handle


async def _answer(
    context: Context,
    handler: RunnerHandler,
    endpoint: RunnerEndpoint,
    sender: _Proven,
    request: web.Request,
    body: bytes,
) -> web.Response:
    known, proven = sender.known, sender.proof
    answer = await answered(lambda: _handle(context, handler, sender, request, body), _asker(known, proven), _message)
    if answer is not STALE:
        return _signed(context, known, proven, answer)
    again = await _sender(context, request, endpoint, remembered=False)
    if isinstance(again, web.Response):
        return again
    if again.problem is not None:
        return _refused(context, again.known, again.proof, again.problem)
    return await _answer(context, handler, endpoint, again, request, body)


async def _handle(
    context: Context, handler: RunnerHandler, sender: _Proven, request: web.Request, body: bytes
) -> HandlerReply:
    known, runner = sender.known, sender.known.runner
    if runner.next_identity is not None and known.identity.kid == runner.next_identity.kid:
        runner = await enrolments.complete_rotation(context.database, context.clock, runner)
    address = visitor_address(request)[:64]
    caller = RunnerCaller(runner=runner, proof=sender.proof, keys=known.keys, seen=known.seen, address=address)
    asked = RunnerAsked(
        caller=caller,
        path=request.raw_path,
        body=body,
        remembered=sender.remembered,
        present=partial(is_present, request),
    )
    return await handler(context, asked)


async def _sender(
    context: Context, request: web.Request, endpoint: RunnerEndpoint, *, remembered: bool
) -> _Proven | web.Response:
    """Tell who asks, going by what is *remembered* as far as that proves it; or the answer for whoever proves nothing."""
    try:
        unverified = proof.read(request.headers.get("Authorization"))
        if remembered and (sender := _recalled(context, unverified, request, endpoint)) is not None:
            return sender
        known = await _known(context, unverified)
        proven, problem = _prove(context, known, unverified, request, endpoint)
    except SignatureError as error:
        return _stranger(request, str(error))
    except DatabaseError as error:
        log.error("cannot look up who asks: %s", replies.reason(error), extra=replies.failure(error))  # noqa: TRY400
        return web.Response(status=503, text="the database does not answer\n")
    return _Proven(known=known, proof=proven, problem=problem or _disabled(known))


def _recalled(
    context: Context, unverified: Unverified, request: web.Request, endpoint: RunnerEndpoint
) -> _Proven | None:
    """The sender as it was when it was looked up last; None where that is too long ago, or proves nothing."""
    known: _Known | None = context.database.versions.memory(runners.CALLERS).recall(unverified.kid)
    if known is None:
        return None
    try:
        proven, problem = _prove(context, known, unverified, request, endpoint)
    except SignatureError:
        return None
    return None if problem else _Proven(known=known, proof=proven, problem=None, remembered=True)


async def _known(context: Context, unverified: Unverified) -> _Known:
    """Look up who has the key of this name. Raises SignatureError where nobody has, DatabaseError."""
    memory = context.database.versions.memory(runners.CALLERS)
    stamp = memory.stamp()
    async with context.database.read() as connection:
        keys = await context.runner_keyring.current(connection)
        runner = await runners.by_kid(connection, context.database.sealer, unverified.kid)
    if keys is None or runner is None:
        raise SignatureError(proof.ProofReason.KEY, "no runner has this key")
    for identity in (runner.identity, runner.next_identity):
        if identity is not None and identity.kid == unverified.kid:
            known = _Known(runner=runner, identity=identity, keys=keys, seen=stamp)
            if known.is_settled:
                memory.keep(unverified.kid, known, stamp)
            return known
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
    return messages.encode(
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
