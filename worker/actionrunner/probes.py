"""The two ports for probes: `port` answers /liveness and /readiness as existing manifests ask, `probesPort` figures besides."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import orjson
from aiohttp import web

from worker.actionrunner.figures import RunnerMetrics
from worker.actionrunner.readiness import RunnerReadiness
from worker.telemetry.status import probe_application, status_application, status_server


@asynccontextmanager
async def probes(
    readiness: RunnerReadiness, metrics: RunnerMetrics, *, host: str, port: int, probes_port: int
) -> AsyncIterator[None]:
    """Answer for as long as the context lasts. Raises ConfigError where a port cannot be listened on."""
    told = status_application(readiness, metrics)
    told.add_routes([web.get("/status", _status(readiness))])
    async with (
        status_server(probe_application(readiness), host, port, option="port"),
        status_server(told, host, probes_port, option="probesPort"),
    ):
        yield


def _status(readiness: RunnerReadiness) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def status(_: web.Request) -> web.Response:
        return web.Response(body=orjson.dumps(readiness.status()), content_type="application/json")

    return status
