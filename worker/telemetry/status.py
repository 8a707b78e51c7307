"""The server for status probes: `GET /liveness`, `/readiness` and `/metrics`; nothing else, and no request body is read.

`start` imports it only where `enableStatusProbes` asks for it: a web server is much to import.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from aiohttp import web

from worker.errors import ConfigError
from worker.telemetry.metrics import CONTENT_TYPE
from worker.web.address import listen
from worker.web.connections import ClientLimits, serving

log = logging.getLogger(__name__)

IDLE_SECONDS = 10.0
"""For the head of a request, and between requests: a port that somebody can reach must not be kept busy by saying nothing."""
MAX_CONNECTIONS = 100
"""Far more than an orchestrator and its collectors keep open."""


class Probed(Protocol):
    """The part of a program's health that is asked for."""

    @property
    def alive(self) -> bool: ...

    @property
    def ready(self) -> bool: ...


class Scraped(Protocol):
    """Figures as a collector reads them."""

    def text(self) -> bytes: ...


@asynccontextmanager
async def status_server(
    application: web.Application, host: str, port: int, *, option: str, idle_seconds: float = IDLE_SECONDS
) -> AsyncIterator[tuple[str, int]]:
    """Serve for as long as the context lasts, at the address that it yields. Raises ConfigError if nothing can listen there.

    *option* is the one that says the port.
    """
    runner = web.AppRunner(application, access_log=None)
    limits = ClientLimits(connections=MAX_CONNECTIONS, head_seconds=idle_seconds, idle_seconds=idle_seconds)
    async with AsyncExitStack() as stack:
        try:
            sockets = await stack.enter_async_context(serving(runner, listen(host, port), limits))
        except OSError as error:
            raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}", option=option) from error
        bound = sockets[0].getsockname()[1]
        log.info(
            "status probes on %s, port %d", host, bound, extra={"action": "status_probes", "host": host, "port": bound}
        )
        yield host, bound


def status_application(health: Probed, metrics: Scraped) -> web.Application:
    """The three answers, for a server of any address."""
    application = probe_application(health)
    application.add_routes([web.get("/metrics", scrape(metrics))])
    return application


def probe_application(health: Probed) -> web.Application:
    """Liveness and readiness alone."""

    async def liveness(_: web.Request) -> web.Response:
        return _answer("alive", holds=health.alive)

    async def readiness(_: web.Request) -> web.Response:
        return _answer("ready", holds=health.ready)

    application = web.Application(client_max_size=1024)
    application.add_routes([web.get("/liveness", liveness), web.get("/readiness", readiness)])
    return application


def scrape(metrics: Scraped) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The answer to a collector."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    return answer


def _answer(word: str, *, holds: bool) -> web.Response:
    return web.Response(text=f"{word}\n" if holds else f"not {word}\n", status=200 if holds else 503)
