"""One request for a page: who asks, within bounds, the form and its proof, the use case, and the reply or its error's page."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import quote, unquote, urlsplit

from aiohttp import web
from multidict import MultiDict, MultiDictProxy

from controlplane.errors import RefusedError
from controlplane.pages import cookies, csrf, errorpages, rendering
from controlplane.pages.cookies import PageCookie
from controlplane.pages.forms import read_form
from controlplane.pages.page import Entry, PageReply, PageRoute, Rendered, SeeOther, Visit
from controlplane.pages.recognition import recognised
from controlplane.rest.bodies import body_of
from controlplane.rest.context import CONTEXT, visitor_address
from controlplane.service.principal import Principal
from controlplane.service.sessions import Visitor
from worker.secret import Secret

NOBODY = Principal(name="", via="page", scopes=frozenset())
SIGN_IN = "/sign-in"
_SECRET_BYTES = 32


def handle(route: PageRoute, prefix: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Wrap the handler of *route* below *prefix*."""

    async def handled(request: web.Request) -> web.Response:
        visit, fresh = arrived(request, prefix)
        try:
            holder = await recognised(request, visit.context)
            if holder is not None:
                visit = replace(visit, by=holder.by, holder=holder)
            reply = await _reply(route, visit, request)
            response = rendering.response(reply, visit, request)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the top of a request: it is logged there, and answered
            reply = errorpages.of(error)
            response = rendering.response(reply, visit, request)
        if fresh is not None and isinstance(reply, Rendered):
            cookies.put(response, request, fresh)
        return response

    return handled


def arrived(request: web.Request, prefix: str) -> tuple[Visit, PageCookie | None]:
    """The visit of somebody who is not known yet, and the cookie that they need for their forms to be told from others'."""
    session = cookies.read(request, cookies.SESSION)
    sign_on = cookies.read(request, cookies.SIGN_ON)
    known = session or cookies.read(request, cookies.VISITOR)
    secret = known or secrets.token_urlsafe(_SECRET_BYTES)
    visit = Visit(
        context=request.app[CONTEXT],
        by=NOBODY,
        prefix=prefix,
        base=_base(request, prefix),
        url=request.path.removeprefix(prefix),
        path=request.match_info,
        query=request.query,
        visitor=Visitor(address=visitor_address(request), agent=request.headers.get("User-Agent", "")),
        session=None if session is None else Secret(session),
        sign_on=None if sign_on is None else Secret(sign_on),
        csrf=csrf.token(secret),
        notice=unquote(cookies.read(request, cookies.NOTICE) or "")[: cookies.MAX_NOTICE],
    )
    return visit, None if known else PageCookie(name=cookies.VISITOR, value=secret)


def _base(request: web.Request, prefix: str) -> str:
    """The public URL that the visitor used; the first one where what stands before us has changed the host."""
    urls = request.app[CONTEXT].public_urls
    host = request.host.lower()
    own = [url for url in urls if urlsplit(url).path.rstrip("/") == prefix]
    return next((url for url in own if urlsplit(url).netloc.lower() == host), next(iter(own or urls), ""))


async def _reply(route: PageRoute, visit: Visit, request: web.Request) -> PageReply:
    if route.entry is Entry.USER and visit.holder is None:
        return _to_sign_in(route, request, visit.prefix)
    if route.method != "POST":
        return await route.handler(visit)
    form = await _form(request, visit, route.max_bytes)
    return await route.handler(replace(visit, form=form))


def _to_sign_in(route: PageRoute, request: web.Request, prefix: str) -> SeeOther:
    if route.method == "POST":
        return SeeOther(to=SIGN_IN, notice="You were signed out meanwhile: nothing was changed.")
    wanted = request.path_qs.removeprefix(prefix)
    return SeeOther(to=SIGN_IN if wanted == "/" else f"{SIGN_IN}?next={quote(wanted, safe='')}")


async def _form(request: web.Request, visit: Visit, max_bytes: int) -> MultiDictProxy[str]:
    """The fields of a form that comes from a page of ours. Raises RefusedError."""
    context = visit.context
    if csrf.is_foreign(request.headers, request.host, context.public_urls):
        raise RefusedError(403, "foreign_form", "this form was sent from another site")
    payer = f"page:{visit.by.name}"  # all of nobody's forms together have one share: none of a worker's results waits for them
    async with body_of(request, context.bodies, location=payer, max_bytes=max_bytes) as (body, unread):
        if unread is not None:
            raise unread
        async with context.bodies.turn(body):
            form = read_form(request.content_type, body) if body else MultiDictProxy(MultiDict())
    secret = cookies.read(request, cookies.SESSION) or cookies.read(request, cookies.VISITOR)
    if secret is None or not csrf.is_token(secret, form.get(csrf.FIELD, "")):
        raise RefusedError(403, "csrf", "this form is too old, or its cookie is missing: load its page again")
    return form
