"""The web application: the worker protocol, a plain line for curl, and a health check."""

from __future__ import annotations

from collections.abc import Collection

from aiohttp import web
from sqlalchemy import text
from yarl import URL

from controlplane.rest.context import SERVICE, Service
from controlplane.rest.worker import endpoints


def build(service: Service, *, public_urls: Collection[str] = ()) -> web.Application:
    """The path of each of *public_urls* serves everything, as does the root."""
    site = web.Application()
    site[SERVICE] = service
    paths = {URL(public).path_safe.rstrip("/") for public in public_urls}  # decoded: the router encodes them
    for prefix in sorted({"", *paths}):
        site.add_routes(endpoints.routes(prefix))
        site.add_routes([web.get(prefix + "/", greet), web.get(prefix + "/healthz", health)])
    return site


async def greet(_request: web.Request) -> web.Response:
    return web.Response(text="synthetics control plane: workers pull from here\n")


async def health(request: web.Request) -> web.Response:
    """200 while the database answers."""
    try:
        async with request.app[SERVICE].database.read() as connection:
            await connection.execute(text("SELECT 1"))
    except Exception:  # noqa: BLE001 - whatever the driver raises, the answer is the same
        return web.Response(status=503, text="the database does not answer\n")
    return web.Response(text="ok\n")
