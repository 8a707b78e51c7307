"""The server for status probes: `GET /liveness`, `/readiness` and `/metrics`; nothing else, and no request body is read.

`start` imports it only where `enableStatusProbes` asks for it: a web server is much to import.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web

from worker.errors import ConfigError
from worker.telemetry.health import Health
from worker.telemetry.metrics import CONTENT_TYPE, Metrics
from worker.web.address import listen
from worker.web.connections import ClientLimits, serving

log = logging.getLogger(__name__)

IDLE_SECONDS = 10.0
"""For the head of a request, and between requests: a port that somebody can reach must not be kept busy by saying nothing."""
MAX_CONNECTIONS = 100
"""Far more than an orchestrator and its collectors keep open."""


@asynccontextmanager
async def status_server(
    health: Health, metrics: Metrics, host: str, port: int, *, idle_seconds: float = IDLE_SECONDS
) -> AsyncIterator[tuple[str, int]]:
    """Serve for as long as the context lasts, at the address that it yields. Raises ConfigError if nothing can listen there."""
    runner = web.AppRunner(status_application(health, metrics), access_log=None)
    limits = ClientLimits(connections=MAX_CONNECTIONS, head_seconds=idle_seconds, idle_seconds=idle_seconds)
    async with AsyncExitStack() as stack:
        try:
            sockets = await stack.enter_async_context(serving(runner, listen(host, port), limits))
        except OSError as error:
            raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}", option="statusProbesPort") from error
        bound = sockets[0].getsockname()[1]
        log.info(
            "status probes on %s, port %d", host, bound, extra={"action": "status_probes", "host": host, "port": bound}
        )
        yield host, bound


def status_application(health: Health, metrics: Metrics) -> web.Application:
    """The three answers, for a server of any address."""

    async def liveness(_: web.Request) -> web.Response:
        return _answer("alive", holds=health.alive)

    async def readiness(_: web.Request) -> web.Response:
        return _answer("ready", holds=health.ready)

    async def scrape(_: web.Request) -> web.Response:
        return web.Response(body=metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    application = web.Application(client_max_size=1024)
    application.add_routes(
        [web.get("/liveness", liveness), web.get("/readiness", readiness), web.get("/metrics", scrape)]
    )
    return application


def _answer(word: str, *, holds: bool) -> web.Response:
    return web.Response(text=f"{word}\n" if holds else f"not {word}\n", status=200 if holds else 503)
