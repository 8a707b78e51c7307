"""The ports for probes: `port` answers /liveness and /readiness as existing manifests ask, `probesPort` figures besides."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import orjson
from aiohttp import web

from worker.actionrunner.figures import RunnerMetrics
from worker.actionrunner.readiness import RunnerReadiness
from worker.actionrunner.serving import RunnerServing
from worker.agent import readings
from worker.telemetry.status import probe_application, status_application, status_server


@asynccontextmanager
async def probes(readiness: RunnerReadiness, metrics: RunnerMetrics, *, host: str, port: int) -> AsyncIterator[None]:
    """Answer on `probesPort` for as long as the context lasts. Raises ConfigError where it cannot be listened on."""
    told = status_application(readiness, metrics)
    told.add_routes([web.get("/status", _status(readiness))])
    async with status_server(told, host, port, option="probesPort"):
        yield


@asynccontextmanager
async def bare_probes(readiness: RunnerReadiness, *, host: str, port: int) -> AsyncIterator[None]:
    """Answer on `port` where there is nothing else on it. Raises ConfigError."""
    async with status_server(probe_application(readiness), host, port, option="port"):
        yield


def show(metrics: RunnerMetrics, serving: RunnerServing, readiness: RunnerReadiness) -> None:
    """Show what merely is: slots, pulls and waiting results of the agent, and the runner's own standing."""
    readings.show(metrics, slots=serving.slots, inflight=serving.inflight, poller=serving.poller, outbox=serving.outbox)
    chain, channel, files = readiness.chain, readiness.channel, readiness.files
    metrics.watch("ready", "1 while orders would be carried out.", lambda: readiness.ready)
    metrics.watch("epoch", "The number of this instance's takeover.", lambda: chain.epoch)
    metrics.watch(
        "clock_offset_seconds",
        "Seconds that the control plane's clock is ahead.",
        lambda: channel.clock_offset.total_seconds(),  # noqa: PLW0108  # the offset is replaced, not changed
    )
    metrics.watch("keyset_seq", "The number of the newest keyset.", lambda: channel.keyset_seq)
    metrics.watch("policy_readable", "0 while nothing is allowed.", lambda: files.state.trouble is None)
    metrics.watch(
        "connections_unusable", "Connections that cannot be used.", lambda: len(files.state.connections.unusable)
    )


def _status(readiness: RunnerReadiness) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def status(_: web.Request) -> web.Response:
        return web.Response(body=orjson.dumps(readiness.status()), content_type="application/json")

    return status
