"""The web application: the worker protocol, a plain line for curl, and a health check."""

from __future__ import annotations

from collections.abc import Collection

from aiohttp import web
from sqlalchemy import text

from controlplane.rest import worker
from controlplane.rest.service import SERVICE, Service


def build(service: Service, *, prefixes: Collection[str] = ("",)) -> web.Application:
    """*prefixes* are the paths of the public URLs; each of them serves everything."""
    site = web.Application()
    site[SERVICE] = service
    for prefix in sorted({"", *prefixes}):
        site.add_routes(worker.routes(prefix))
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
