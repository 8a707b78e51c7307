"""One request for a page: who asks, within bounds, the form, the use case, and the reply or the page of its error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from aiohttp import web
from multidict import MultiDict, MultiDictProxy

from controlplane.pages import errorpages, rendering
from controlplane.pages.forms import read_form
from controlplane.pages.page import PageReply, PageRoute, Visit
from controlplane.rest.bodies import body_of
from controlplane.rest.context import CONTEXT, Context
from controlplane.service.principal import Principal

NOBODY = Principal(name="", via="page", scopes=frozenset())


def handle(route: PageRoute, prefix: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Wrap the handler of *route* below *prefix*."""

    async def handled(request: web.Request) -> web.Response:
        visit = visit_of(request, prefix)
        try:
            reply = await _reply(route, visit, request)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the top of a request: it is logged there, and answered
            reply = errorpages.of(error)
        return rendering.response(reply, visit, request)

    return handled


def visit_of(request: web.Request, prefix: str) -> Visit:
    """The visit of somebody who is not known yet."""
    return Visit(
        context=request.app[CONTEXT],
        by=NOBODY,
        prefix=prefix,
        url=request.path.removeprefix(prefix),
        path=request.match_info,
        query=request.query,
    )


async def _reply(route: PageRoute, visit: Visit, request: web.Request) -> PageReply:
    if route.method != "POST":
        return await route.handler(visit)
    form = await _form(request, visit.context, visit.by, route.max_bytes)
    return await route.handler(replace(visit, form=form))


async def _form(request: web.Request, context: Context, by: Principal, max_bytes: int) -> MultiDictProxy[str]:
    """Raises RefusedError."""
    payer = f"page:{by.name or request.remote}"
    async with body_of(request, context.bodies, location=payer, max_bytes=max_bytes) as (body, unread):
        if unread is not None:
            raise unread
        async with context.bodies.turn(body):
            return read_form(request.content_type, body) if body else MultiDictProxy(MultiDict())
