"""Rotation over HTTP: a runner names the keys that are to follow its own, proven by both."""

from __future__ import annotations

from controlplane.errors import RefusedError
from controlplane.rest.context import Context
from controlplane.rest.replies import HandlerReply
from controlplane.rest.runner.exchange import RunnerAsked
from controlplane.service import enrolments
from worker.errors import SignatureError
from worker.wire import enrolment, proof
from worker.wire.proof import RunnerEndpoint


async def rotate(context: Context, asked: RunnerAsked) -> HandlerReply:
    """Keep the next keys. They count from their first request on."""
    message = enrolment.decode_rotation(asked.body)
    try:
        introduced, key = proof.check_new(
            proof.SCHEME + message.proof,
            audiences=context.public_urls,
            method="POST",
            path=asked.path,
            now=context.clock.now(),
        )
        proof.check_body(introduced, message.opening_key.encode())
    except SignatureError as error:
        raise RefusedError(400, "message", f"the new key's proof does not hold: {error}") from error
    if introduced.endpoint is not RunnerEndpoint.ROTATE or introduced.instance != asked.caller.proof.instance:
        raise RefusedError(400, "message", "the new key's proof is for another endpoint or instance")
    await enrolments.rotate(context.database, context.clock, asked.caller, key, message.opening_key)
    return HandlerReply(status=204)
