"""Claims over HTTP: one of several instances of a runner spends an app's token, before it does what the token allows."""

from __future__ import annotations

from controlplane.errors import ConflictError, RefusedError
from controlplane.rest.context import Context
from controlplane.rest.replies import HandlerReply
from controlplane.rest.runner.exchange import RunnerAsked
from controlplane.service import apps
from worker.wire import messages
from worker.wire.runner_messages import TokenClaim


async def claim(context: Context, asked: RunnerAsked) -> HandlerReply:
    """Let the first one have it."""
    message = messages.decode(TokenClaim, asked.body)
    try:
        await apps.claim(context.database, context.clock, asked.caller, message.jti)
    except ConflictError as error:
        raise RefusedError(409, "used", "the token was used before") from error
    return HandlerReply(status=204)
