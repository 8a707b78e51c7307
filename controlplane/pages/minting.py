"""The one request that an app's page makes to its own site: a token for a query, and for the digest of an input that stays there.

It takes the session of who asks, a header that no other site's form can send, and the browser's word that the page is ours.
"""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from controlplane.errors import RefusedError
from controlplane.operations.operation import encode
from controlplane.pages import csrf
from controlplane.pages.recognition import recognised
from controlplane.rest.bodies import body_of
from controlplane.rest.context import CONTEXT, Context
from controlplane.rest.public import refusals
from controlplane.service import apps
from controlplane.service.apps import MintedToken, WantedToken
from controlplane.service.principal import Principal
from worker.wire.apptoken import Digest

PATH = "/v1/apps/{app}/queries/{query}/token"
HEADER = "X-App-Page"
"""A header of ours: a browser sends it to another site after a preflight alone, which is not answered here."""
MAX_BODY_BYTES = 1024


class TokenWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    digest: Digest


async def mint(request: web.Request) -> web.Response:
    """Answer a page of ours with a token."""
    context = request.app[CONTEXT]
    try:
        origin = _own_origin(request, context)
        minted = await _minted(request, context, await _person(request, context), origin)
    except asyncio.CancelledError:
        raise
    except Exception as error:  # noqa: BLE001 - the top of a request: it is logged there, and answered
        return refusals.of(error)
    headers = {"Cache-Control": "no-store"}
    return web.Response(body=encode(minted), content_type="application/json", headers=headers)


def route(prefix: str) -> web.RouteDef:
    return web.post(prefix + PATH, mint)


def _own_origin(request: web.Request, context: Context) -> str:
    """The page's origin, which is ours. Raises RefusedError."""
    origin = request.headers.get("Origin")
    is_foreign = csrf.is_foreign(request.headers, request.host, context.public_urls)
    if origin is None or is_foreign or HEADER not in request.headers or request.content_type != "application/json":
        raise RefusedError(403, "foreign_page", "only a page of this site may ask for a token")
    return origin


async def _person(request: web.Request, context: Context) -> Principal:
    """Raises RefusedError."""
    holder = await recognised(request, context)
    if holder is None:
        raise RefusedError(401, "signed_out", "you are signed out: load the page again")
    if not context.mints.take(holder.by.name):
        raise RefusedError(429, "rate", "too many requests: ten a second are a person's")
    return holder.by


async def _minted(request: web.Request, context: Context, by: Principal, origin: str) -> MintedToken:
    async with body_of(request, context.bodies, location=f"page:{by.name}", max_bytes=MAX_BODY_BYTES) as (body, unread):
        if unread is not None:
            raise unread
        try:
            wish = msgspec.json.decode(body, type=TokenWish)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RefusedError(400, "body", 'the body is not valid: expected {"digest"}') from error
    wanted = WantedToken(
        app=request.match_info["app"], query=request.match_info["query"], digest=wish.digest, origin=origin
    )
    return await apps.mint(context.database, context.clock, by, wanted)
