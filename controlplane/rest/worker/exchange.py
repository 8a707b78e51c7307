"""One signed exchange: prove the sender, read within bounds, answer, sign the answer. Nothing is read for who proves nothing.

Unknown senders get an unsigned 401 and learn nothing. Everybody who holds a location's key gets every answer signed, refusals and
our own failures included, because workers believe nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

from aiohttp import web

from controlplane.errors import DatabaseError, RefusedError, UnknownCallerError
from controlplane.rest import replies
from controlplane.rest.bodies import body_of
from controlplane.rest.context import CONTEXT, Context, is_present, visitor_address
from controlplane.rest.replies import RETRY_SECONDS, STALE, Asker, HandlerReply, answered
from controlplane.service import callers
from controlplane.service.callers import Caller
from controlplane.service.pulls import Present
from controlplane.store.locations import Access, Location
from controlplane.store.versions import Stamp
from controlplane.store.workers import Origin
from worker.errors import SignatureError
from worker.wire import messages, signing
from worker.wire.messages import Refusal
from worker.wire.signing import AuthenticRequestError, Claim, ReceivedHead, VerifiedRequest

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A proven request: its caller, what it brought, and if the caller is still there to be answered.

    *sign* signs a reply to it, for who has time to do so before the reply may go out; all others are signed as they do.
    """

    caller: Caller
    body: bytes
    sign: Callable[[HandlerReply], HandlerReply]
    present: Present = lambda: True


EndpointHandler = Callable[[Context, Asked], Awaitable[HandlerReply]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sender:
    """A proven sender. *seen* is the stamp of an access that is remembered, None of one that was looked up."""

    access: Access
    claim: Claim
    verified: VerifiedRequest
    seen: Stamp | None = None


def exchange(
    endpoint: EndpointHandler, *, max_bytes: int, content_type: str, remembered: bool = False
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Wrap *endpoint*. Headers are judged first; a body above *max_bytes* is refused, unread where it announces its size.

    An endpoint that may be given a caller who is *remembered* answers `STALE` where the caller may have changed since.
    """

    async def handle(request: web.Request) -> web.Response:
        context = request.app[CONTEXT]
        sender = await _sender(context, request, content_type, remembered=remembered)
        if isinstance(sender, web.Response):
            return sender
        location = sender.access.location
        async with body_of(request, context.bodies, location=location.id, max_bytes=max_bytes) as (body, unread):
            problem = unread or _disproof(sender.verified, body)
            if problem is not None:
                return _refuse(context, location, sender.verified, problem)
            async with context.bodies.turn(body):
                answer = await _answer(context, endpoint, request, sender, body)
                if answer is STALE:
                    sender = await _sender(context, request, content_type, remembered=False)
                    if isinstance(sender, web.Response):
                        return sender
                    answer = await _answer(context, endpoint, request, sender, body)
            return _signed(context, sender.verified, answer)

    return handle


async def _sender(
    context: Context, request: web.Request, content_type: str, *, remembered: bool
) -> _Sender | web.Response:
    """Tell who asks, going by what is *remembered* as far as that proves it; or the answer for whoever may not."""
    access: Access | None = None
    try:
        claim = signing.read_claim(request.headers)
        if remembered and (sender := _recalled(context, claim, request, content_type)) is not None:
            return sender
        access, failed = await _access(context, claim)
        verified, problem = _prove(context, access, claim, request)
    except UnknownCallerError as error:
        _log_stranger(request, str(error))
        return _unsigned(401, "unknown access key")
    except SignatureError as error:
        _log_stranger(request, f"{error}{_of_secret(error.reason, access)}")
        return _unsigned(401, "the signature does not hold")
    except DatabaseError as error:
        log.error("cannot look up who asks: %s", replies.reason(error), extra=replies.failure(error))  # noqa: TRY400
        return _unsigned(503, "the database does not answer")
    if failed is not None:
        log.error("cannot look up who asks: %s", replies.reason(failed), extra=replies.failure(failed))
        return _signed(context, verified, replies.unanswered(_message))
    problem = problem or _misplaced(request, access.location, content_type)
    if problem is not None:
        return _refuse(context, access.location, verified, problem)
    return _Sender(access=access, claim=claim, verified=verified)


def _recalled(context: Context, claim: Claim, request: web.Request, content_type: str) -> _Sender | None:
    """The sender as it was when it was looked up last; None where that may not hold any more, or where anything is wrong."""
    known = callers.recall(context.database, context.clock, access_key=claim.access_key, location=claim.location)
    if known is None or _misplaced(request, known.access.location, content_type) is not None:
        return None
    try:
        verified, problem = _prove(context, known.access, claim, request)
    except SignatureError:
        return None
    return None if problem else _Sender(access=known.access, claim=claim, verified=verified, seen=known.seen)


async def _access(context: Context, claim: Claim) -> tuple[Access, DatabaseError | None]:
    """Look up the claim's key; where the database does not answer, give what it opened last, and the error, or raise that."""
    try:
        access = await callers.look_up(
            context.database, context.clock, access_key=claim.access_key, location=claim.location
        )
    except DatabaseError as error:
        known = context.callers.recall(claim.access_key, claim.location)
        if known is None:
            raise
        return known, error
    context.callers.remember(claim.access_key, claim.location, access)
    return access, None


def _log_stranger(request: web.Request, reason: str) -> None:
    address = visitor_address(request)
    extra = {"action": "request_refused", "code": "stranger", "remote": address}
    log.warning("refused a request of %s: %s", address, reason, extra=extra)


def _of_secret(reason: str, access: Access | None) -> str:
    """The likely cause of a signature that does not hold although its access key is known."""
    if access is None or reason != signing.Reason.SIGNATURE:
        return ""
    return f", with an access key of the location {access.location.name!r}: its secretAccessKey is not that of its config file"


def _prove(
    context: Context, access: Access, claim: Claim, request: web.Request
) -> tuple[VerifiedRequest, RefusedError | None]:
    """Check the signature and what it covers but the body. Raises SignatureError where nothing is proven."""
    received = ReceivedHead(method=request.method, path=request.raw_path, headers=request.headers)
    try:
        verified = signing.verify_head(claim, access.secret, received, hosts=context.hosts, now=context.clock.now())
    except AuthenticRequestError as refused:
        return refused.verified, RefusedError(401, refused.reason, f"{refused}{_of_host(context, request, refused)}")
    return verified, None


def _disproof(verified: VerifiedRequest, body: bytes) -> RefusedError | None:
    try:
        signing.verify_body(verified, body)
    except AuthenticRequestError as refused:
        return RefusedError(401, refused.reason, str(refused))
    return None


def _refuse(context: Context, location: Location, verified: VerifiedRequest, problem: RefusedError) -> web.Response:
    log.warning(
        "refused a request of %s: %s",
        location.name,
        problem,
        extra={"action": "request_refused", "code": problem.code, "worker": verified.worker},
    )
    return _signed(
        context,
        verified,
        replies.refusal(problem, _message, retry_after=RETRY_SECONDS if problem.status == 503 else None),
    )


def _of_host(context: Context, request: web.Request, refused: AuthenticRequestError) -> str:
    if refused.reason != signing.Reason.HOST:
        return ""
    names = ", ".join(context.hosts)
    return f": it asks for {request.host}, and this one is {names}; `serve --public-url` names it, or correct intakeUrl"


def _misplaced(request: web.Request, location: Location, content_type: str) -> RefusedError | None:
    if not location.enabled:
        return RefusedError(403, "disabled", f"the location {location.name!r} is disabled")
    if request.content_type != content_type:
        return RefusedError(400, "content_type", f"expected {content_type}")
    return None


async def _answer(
    context: Context, endpoint: EndpointHandler, request: web.Request, sender: _Sender, body: bytes
) -> HandlerReply:
    verified, location = sender.verified, sender.access.location
    origin = Origin(address=visitor_address(request)[:64], access_key=sender.claim.access_key)
    asked = Asked(
        caller=Caller(
            access=sender.access, origin=origin, worker=verified.worker, seq=verified.seq, remembered=sender.seen
        ),
        body=body,
        sign=partial(_with_signature, context, verified),
        present=partial(is_present, request),
    )
    asker = Asker(name=location.name, extra={"worker": verified.worker, "location": location.id})
    return await answered(lambda: endpoint(context, asked), asker, _message)


def _message(refused: RefusedError) -> bytes:
    return messages.encode(Refusal(error=refused.code, message=str(refused)[:1000], last=refused.last))


def _with_signature(context: Context, verified: VerifiedRequest, answer: HandlerReply) -> HandlerReply:
    headers = signing.sign_reply(
        verified,
        status=answer.status,
        now=context.clock.now(),
        retry_after=answer.retry_after,
        body=answer.body,
    )
    return replace(answer, signature=headers)


def _signed(context: Context, verified: VerifiedRequest, answer: HandlerReply) -> web.Response:
    signed = answer if answer.signature is not None else _with_signature(context, verified, answer)
    return web.Response(
        status=answer.status,
        headers=signed.signature,
        body=answer.body or None,
        content_type=answer.content_type,
    )


def _unsigned(status: int, reason: str) -> web.Response:
    return web.Response(status=status, text=f"{reason}\n")
