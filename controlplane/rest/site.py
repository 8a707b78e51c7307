"""The web application: the worker protocol, a plain line for curl, and a health check."""

from __future__ import annotations

import logging
from collections.abc import Collection

from aiohttp import web
from yarl import URL

from controlplane.rest.access import AccessLog
from controlplane.rest.context import CONTEXT, Context
from controlplane.rest.worker import endpoints

SHUTDOWN_SECONDS = 5.0
"""For requests under way when a signal comes; all of them take milliseconds."""


def build(context: Context, *, public_urls: Collection[str] = ()) -> web.Application:
    """Make the application. The path of each of *public_urls* serves everything, as does the root."""
    site = web.Application()
    site[CONTEXT] = context
    paths = {URL(public).path_safe.rstrip("/") for public in public_urls}  # decoded: the router encodes them
    for prefix in sorted({"", *paths}):
        site.add_routes(endpoints.routes(prefix))
        site.add_routes([web.get(prefix + "/", greet), web.get(prefix + "/healthz", health)])
    return site


def runner(site: web.Application) -> web.AppRunner:
    """Make the runner of the application, which logs requests and hands bodies on as they come."""
    return web.AppRunner(
        site,
        access_log_class=AccessLog,
        access_log=logging.getLogger("controlplane.access"),
        auto_decompress=False,  # what is signed is what was sent
        shutdown_timeout=SHUTDOWN_SECONDS,
    )


async def greet(_request: web.Request) -> web.Response:
    return web.Response(text="synthetics control plane: workers pull from here\n")


async def health(request: web.Request) -> web.Response:
    """200 while the database answers."""
    try:
        await request.app[CONTEXT].database.check()
    except Exception:  # noqa: BLE001 - whatever the driver raises, the answer is the same
        return web.Response(status=503, text="the database does not answer\n")
    return web.Response(text="ok\n")
