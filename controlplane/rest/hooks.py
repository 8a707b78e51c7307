"""Hooks over HTTP: `POST /hooks/{id}`, answered at once, without keys: the proof is in the request.

Slack takes nothing but 200 for an answer, and shows its text to who typed the command; everybody else gets 202.
"""

from __future__ import annotations

import logging

from aiohttp import web

from controlplane.actions.hooks import HEADERS
from controlplane.errors import DatabaseError, HookRefusedError
from controlplane.rest.bodies import body_of
from controlplane.rest.context import CONTEXT, Context, visitor_address
from controlplane.service import hooks
from controlplane.service.hooks import HookRequest, HookTaken

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024
"""An event of GitHub has tens of kilobytes; each run keeps its own."""
_SHARE = "hooks"
"""The owner of these bodies in the budget: nobody in particular."""
_LONGEST_ID = 40


def routes(prefix: str = "") -> list[web.RouteDef]:
    return [web.post(f"{prefix}/hooks/{{hook}}", receive)]


async def receive(request: web.Request) -> web.Response:
    """Answer a hook."""
    context = request.app[CONTEXT]
    address = visitor_address(request)
    hook = request.match_info["hook"][:_LONGEST_ID]
    wait = context.failures.wait(address, hook.encode("utf-8", "surrogatepass"))
    if wait:
        return _refusal(429, "too many requests whose proof does not hold", {"Retry-After": str(wait)})
    headers = {name: request.headers[name] for name in HEADERS if name in request.headers}
    if any(len(request.headers.getall(name)) > 1 for name in headers):
        return _refusal(400, "a header is there twice")
    async with body_of(request, context.bodies, location=_SHARE, max_bytes=MAX_BODY_BYTES) as (body, unread):
        if unread is not None:
            return _refusal(unread.status, str(unread))
        async with context.bodies.turn(body):
            return await _answer(context, HookRequest(hook=hook, headers=headers, body=body), address)


async def _answer(context: Context, request: HookRequest, address: str) -> web.Response:
    try:
        taken = await hooks.receive(context.database, context.clock, request)
    except HookRefusedError as error:
        return _refused(context, request, error, address)
    except DatabaseError as error:
        log.error("a hook was not taken: %s", error, extra={"action": "database_failed"})  # noqa: TRY400
        return _refusal(503, "come back later", {"Retry-After": "5"})
    context.failures.good(request.hook.encode())
    context.counters.hooks[taken.workflow, taken.result] += 1
    if taken.runner:
        context.wakeups.ring(taken.runner)
    return _accepted(taken)


def _accepted(taken: HookTaken) -> web.Response:
    if taken.result == "greeted":
        return web.json_response({"workflow": taken.workflow})
    if taken.verify == "slack":
        text = f"{taken.workflow}: run {taken.run}"
        return web.json_response({"response_type": "ephemeral", "text": text})
    return web.json_response({"run": taken.run}, status=202)


def _refused(context: Context, request: HookRequest, error: HookRefusedError, address: str) -> web.Response:
    context.counters.hooks[error.workflow, error.code] += 1
    extra = {"action": "request_refused", "code": error.code, "remote": address, "workflow": error.workflow}
    log.warning("refused a hook from %s: %s", address, error, extra=extra)
    if error.status == 401:
        context.failures.note(address, request.hook.encode("utf-8", "surrogatepass"))
    return _refusal(error.status, str(error))


def _refusal(status: int, reason: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": reason}, status=status, headers=headers)
