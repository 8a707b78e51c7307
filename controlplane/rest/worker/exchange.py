"""One signed exchange: read within bounds, prove the sender, answer, sign the answer.

Unknown senders get an unsigned 401 and learn nothing. Everybody who holds a location's key gets every answer signed, refusals and
our own failures included, because workers believe nothing else. No traceback leaves the process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from controlplane.errors import DatabaseError, RefusedError, SequenceError, StatementError
from controlplane.rest.context import CONTEXT, Context
from controlplane.service import pulls
from controlplane.service.pulls import Caller, Present
from controlplane.store.locations import Access, Location
from worker.errors import EnvelopeError, MessageError, SignatureError
from worker.wire import messages, signing
from worker.wire.messages import Refusal
from worker.wire.signing import AuthenticRequestError, Claim, ReceivedRequest, VerifiedRequest

log = logging.getLogger(__name__)

BODY_SECONDS = 10.0
"""For a whole body to arrive: as long as a worker waits for a whole exchange."""
RETRY_SECONDS = "1"
"""Retry-After of a failure of our own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerReply:
    status: int
    content_type: str | None = None
    body: bytes = b""
    retry_after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A proven request: its caller, what it brought, and if the caller is still there to be answered."""

    caller: Caller
    body: bytes
    present: Present = lambda: True


Endpoint = Callable[[Context, Asked], Awaitable[HandlerReply]]


def exchange(
    endpoint: Endpoint, *, max_bytes: int, content_type: str
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Wrap *endpoint*. A body above *max_bytes* is refused, unread where it announces its size."""

    async def handle(request: web.Request) -> web.Response:
        context = request.app[CONTEXT]
        try:
            claim = signing.read_claim(request.headers)
            access = await pulls.access(
                context.database, context.clock, access_key=claim.access_key, location=claim.location
            )
            if access is None:
                return _unsigned(401, "unknown access key")
            body, problem = await _read(request, max_bytes)
            verified, disproof = _prove(context, access, claim, request, body)
        except SignatureError as error:
            log.info("refused: %s", error, extra={"action": "request_refused", "remote": request.remote})
            return _unsigned(401, "the signature does not hold")
        except DatabaseError as error:
            log.error("cannot look up who asks: %s", _reason(error), extra=_failure(error))  # noqa: TRY400
            return _unsigned(503, "the database does not answer")
        problem = problem or disproof or _misplaced(request, access.location, content_type)
        if problem is not None:
            log.warning(
                "refused a request of %s: %s",
                access.location.name,
                problem,
                extra={"action": "request_refused", "code": problem.code, "worker": verified.worker},
            )
            return _signed(context, verified, _refusal(problem))
        asked = Asked(
            caller=Caller(access=access, worker=verified.worker, seq=verified.seq),
            body=body,
            present=lambda: request.transport is not None and not request.transport.is_closing(),
        )
        return _signed(context, verified, await _answer(context, endpoint, asked))

    return handle


async def _read(request: web.Request, max_bytes: int) -> tuple[bytes, RefusedError | None]:
    """The body, or nothing and why it was not read."""
    too_large = RefusedError(413, "too_large", f"the body is larger than {max_bytes} bytes")
    if (request.content_length or 0) > max_bytes:
        return b"", too_large
    chunks, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_chunked(64 * 1024):
                size += len(chunk)
                if size > max_bytes:
                    return b"", too_large
                chunks.append(chunk)
    except TimeoutError:
        return b"", RefusedError(408, "timeout", f"the body did not arrive in {BODY_SECONDS:.0f} s")
    except (ConnectionError, web.RequestPayloadError):  # nobody may be there to read the answer
        return b"", RefusedError(400, "body", "the body ended early, or its framing is broken")
    return b"".join(chunks), None


def _prove(
    context: Context, access: Access, claim: Claim, request: web.Request, body: bytes
) -> tuple[VerifiedRequest, RefusedError | None]:
    """Check the signature; a body that was not read disproves itself, and the refusal can still be signed."""
    received = ReceivedRequest(method=request.method, path=request.raw_path, headers=request.headers, body=body)
    try:
        verified = signing.verify_request(claim, access.secret, received, hosts=context.hosts, now=context.clock.now())
    except AuthenticRequestError as refused:
        return refused.verified, RefusedError(401, refused.reason, str(refused))
    return verified, None


def _misplaced(request: web.Request, location: Location, content_type: str) -> RefusedError | None:
    if not location.enabled:
        return RefusedError(403, "disabled", f"the location {location.name!r} is disabled")
    if request.content_type != content_type:
        return RefusedError(400, "content_type", f"expected {content_type}")
    return None


async def _answer(context: Context, endpoint: Endpoint, asked: Asked) -> HandlerReply:
    location = asked.caller.access.location
    sender = {"worker": asked.caller.worker, "location": location.id}
    try:
        return await endpoint(context, asked)
    except (RefusedError, SequenceError) as error:
        refused = (
            RefusedError(409, "sequence", str(error), last=error.last) if isinstance(error, SequenceError) else error
        )
        action = {"action": "request_refused", "code": refused.code} | sender
        log.warning("refused a request of %s: %s", location.name, refused, extra=action)
        return _refusal(refused)
    except (MessageError, EnvelopeError) as error:
        code = "message" if isinstance(error, MessageError) else "envelope"
        log.warning("refused a request: %s", error, extra={"action": "request_refused", "code": code} | sender)
        return _refusal(RefusedError(400, code, str(error)))
    except StatementError as error:
        log.error("the database failed: %s", error.reason, extra=_failure(error) | sender)  # noqa: TRY400
        return _refusal(RefusedError(503, "database", "the database does not answer"), retry_after=RETRY_SECONDS)
    except Exception:
        log.exception("a request failed", extra={"action": "request_failed"} | sender)
        return _refusal(RefusedError(500, "internal", "the control plane failed"), retry_after=RETRY_SECONDS)


def _refusal(refused: RefusedError, *, retry_after: str | None = None) -> HandlerReply:
    refusal = Refusal(error=refused.code, message=str(refused)[:1000], last=refused.last)
    body = messages.encode(refusal)
    return HandlerReply(status=refused.status, content_type="application/json", body=body, retry_after=retry_after)


def _signed(context: Context, verified: VerifiedRequest, answer: HandlerReply) -> web.Response:
    headers = signing.sign_reply(
        verified,
        status=answer.status,
        now=context.clock.now(),
        retry_after=answer.retry_after,
        body=answer.body,
    )
    return web.Response(
        status=answer.status,
        headers=headers,
        body=answer.body or None,
        content_type=answer.content_type,
    )


def _unsigned(status: int, reason: str) -> web.Response:
    return web.Response(status=status, text=f"{reason}\n")


def _reason(error: DatabaseError) -> str:
    return error.reason if isinstance(error, StatementError) else str(error)


def _failure(error: DatabaseError) -> dict[str, str]:
    trouble = {"trouble": error.trouble.value} if isinstance(error, StatementError) else {}
    return {"action": "database_failed"} | trouble
