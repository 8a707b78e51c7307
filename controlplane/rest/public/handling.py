"""One request of the public API: who asks, within bounds, the body as its type, the use case, the reply as JSON.

Keys come in the headers that the clients send; the application key alone as a Bearer token too. Nothing is read for nobody.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from controlplane.errors import UnusableError
from controlplane.operations.operation import decoder, encode
from controlplane.rest.bodies import body_of
from controlplane.rest.context import CONTEXT, Context, visitor_address
from controlplane.rest.public import refusals
from controlplane.rest.public.route import JSON_TYPE, APIReply, Call, Keys, Route
from controlplane.service import keys
from controlplane.service.principal import Principal

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 10 * 1024 * 1024
"""A definition of the largest size, or a thousand ordinary ones in one trigger."""
_NOBODY = Principal(name="", via="api", scopes=frozenset())
_BEARER = "bearer "


def handle(route: Route) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Wrap the handler of *route*."""
    reader = None if route.body is None else decoder(route.body)

    async def handled(request: web.Request) -> web.Response:
        context = request.app[CONTEXT]
        try:
            by = await _caller(context, request, route.keys)
            if isinstance(by, web.Response):
                return by
            async with body_of(request, context.bodies, location=f"key:{by.key}", max_bytes=MAX_BODY_BYTES) as (
                body,
                unread,
            ):
                if unread is not None:
                    return refusals.of(unread)
                async with context.bodies.turn(body):
                    call = Call(
                        context=context,
                        by=by,
                        path=request.match_info,
                        query=request.query,
                        headers=request.headers,
                        body=None if reader is None else _decode(reader, request, body),
                    )
                    reply = await route.handler(call)
            return _response(reply if reply.later is None else await reply.later())
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the top of a request: it is logged there, and answered
            return refusals.with_cause(error) if route.tells_cause else refusals.of(error)

    return handled


async def unknown(_request: web.Request) -> web.Response:
    """Answer a path that nothing is at."""
    return refusals.not_found()


async def _caller(context: Context, request: web.Request, wanted: Keys) -> Principal | web.Response:
    """Find out who asks, or make the refusal."""
    if wanted is Keys.NONE:
        return _NOBODY
    api_key, app_key = _keys_of(request)
    if not api_key and not app_key:
        return refusals.errors(403 if wanted is Keys.API else 401, "API key required")
    if wanted is Keys.BOTH and not app_key:
        return refusals.errors(401, "Unauthorized: an application key is required")
    address, shown = visitor_address(request), keys.fingerprint(api_key, app_key)
    if wait := context.failures.wait(address, shown):
        reset = {"X-Ratelimit-Reset": str(wait), "Retry-After": str(wait)}
        return refusals.errors(429, "Too many requests with keys that open nothing", headers=reset)
    found = await keys.identify(context.database, context.clock, api_key=api_key, app_key=app_key)
    if found is None:
        context.failures.note(address, shown)
        extra = {"action": "request_refused", "code": "keys", "remote": address}
        log.warning("refused keys that open nothing, from %s", address, extra=extra)
        return refusals.errors(403, "Forbidden")
    context.failures.good(shown)
    return found


def _keys_of(request: web.Request) -> tuple[str | None, str | None]:
    authorization = request.headers.get("Authorization", "")
    bearer = authorization[len(_BEARER) :].strip() if authorization.lower().startswith(_BEARER) else None
    return request.headers.get("DD-API-KEY"), request.headers.get("DD-APPLICATION-KEY") or bearer


def _decode(reader: msgspec.json.Decoder[Any], request: web.Request, body: bytes) -> Any:
    """Raises UnusableError with the place of the first mistake."""
    coding = request.headers.get("Content-Encoding", "identity")
    if coding.lower() not in ("identity", ""):
        raise UnusableError(f"the content encoding {coding[:40]!r} is not supported: send the body as it is")
    try:
        body.decode()
        return reader.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnusableError(f"the body is not valid: {str(error)[:300]}") from error


def _response(reply: APIReply) -> web.Response:
    if reply.empty:
        return web.Response(status=reply.status, content_type="text/html")
    if reply.typed:
        return web.Response(status=reply.status, body=encode(reply.body), content_type=JSON_TYPE)
    return web.Response(status=reply.status, text=json.dumps(reply.body), content_type=JSON_TYPE)
