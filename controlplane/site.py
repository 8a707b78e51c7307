"""The web application: the worker and runner protocols, hooks, the public API, pages, a health check and figures."""

from __future__ import annotations

import logging
from collections.abc import Collection

from aiohttp import web
from yarl import URL

from controlplane.pages import table as pages
from controlplane.rest import hooks, metrics
from controlplane.rest.access import AccessLog
from controlplane.rest.context import CONTEXT, Context
from controlplane.rest.public import table
from controlplane.rest.runner import endpoints as runner_endpoints
from controlplane.rest.runner import enroll
from controlplane.rest.worker import endpoints

SHUTDOWN_SECONDS = 5.0
"""For requests under way when a signal comes; all of them take milliseconds."""

MAX_LINE_BYTES = 64 * 1024
"""Of a request's first line: a pipeline names all results of its batch in one address, 28 bytes each, two thousand at most."""


def build(context: Context, *, public_urls: Collection[str] = ()) -> web.Application:
    """Make the application. The path of each of *public_urls* serves everything, as does the root."""
    site = web.Application()
    site[CONTEXT] = context
    paths = {URL(public).path_safe.rstrip("/") for public in public_urls}  # decoded: the router encodes them
    for prefix in sorted({"", *paths}):
        site.add_routes(endpoints.routes(prefix))
        site.add_routes(enroll.routes(prefix))
        site.add_routes(runner_endpoints.routes(prefix))
        site.add_routes(hooks.routes(prefix))
        site.add_routes(table.routes(prefix))
        site.add_routes(
            [
                web.get(prefix + "/healthz", health),
                web.get(prefix + "/readyz", health),
                web.get(prefix + "/metrics", figures),
            ]
        )
    for prefix in sorted({"", *paths}, reverse=True):  # the root's last route takes any address
        site.add_routes(pages.routes(prefix))
    return site


def runner(site: web.Application) -> web.AppRunner:
    """Make the runner of the application, which logs requests and hands bodies on as they come."""
    return web.AppRunner(
        site,
        access_log_class=AccessLog,
        access_log=logging.getLogger("controlplane.access"),
        auto_decompress=False,  # what is signed is what was sent
        max_line_size=MAX_LINE_BYTES,
        shutdown_timeout=SHUTDOWN_SECONDS,
    )


async def health(request: web.Request) -> web.Response:
    """200 while the database can be written to: without that, every pull is answered with 503."""
    trouble = await request.app[CONTEXT].health.trouble()
    if trouble:
        return web.Response(status=503, text=f"the database takes no writes: {trouble}\n")
    return web.Response(text="ok\n")


async def figures(request: web.Request) -> web.Response:
    """Answer a scrape."""
    text = await request.app[CONTEXT].scrapes.text()
    return web.Response(body=text, headers={"Content-Type": metrics.CONTENT_TYPE})
