"""The composition root of `serve`: database, web server, and the sweep that records what nobody asks for. One TaskGroup."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from controlplane import epoch
from controlplane.errors import StatementError, UnusableError
from controlplane.leases import Grace
from controlplane.rest import site
from controlplane.rest.context import Context
from controlplane.service import upkeep
from controlplane.store.database import Keyring, open_database
from controlplane.store.engines.engine import Engine
from worker.clock import Clock
from worker.web.address import EVERYWHERE, listen
from worker.web.connections import ClientLimits, serving
from worker.wire import signing

log = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0
"""Between looks at what was missed; a tenth of that is noise beside the shortest period of 30 s."""
PRUNE_SWEEPS = 60
"""Sweeps between looks at what is too old."""
MOST_CONNECTIONS = 10_000
"""The limit however many files may be open: a worker needs two, and one process does not serve five thousand of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """The options of `serve`. *public_urls* are the URLs by which workers reach it; empty means the listen address."""

    engine: Engine
    keyring: Keyring
    host: str
    port: int
    public_urls: Sequence[str] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    retention_days: float


async def serve(settings: ServeSettings, clock: Clock, announce: Callable[[str], None]) -> None:
    """Run until SIGTERM or SIGINT. *announce* is told the URL really listened on. Raises ControlPlaneError."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tls = _tls(settings)
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(_listen(settings.host, settings.port))
        url = _url(settings.host or "::", listener.getsockname()[1], secure=tls is not None)
        database = await open_database(settings.engine, settings.keyring, create=True)
        stack.push_async_callback(database.close)
        context = Context(
            database=database,
            clock=clock,
            grace=Grace(epoch.milliseconds(clock)),
            hosts=tuple(signing.authority(public) for public in settings.public_urls or _own_urls(url)),
        )
        # Runs that were missed while nobody served are written down before anybody is served.
        await upkeep.settle(database, clock, context.grace, look_ahead=True)
        runner = site.runner(site.build(context, public_urls=settings.public_urls))
        await stack.enter_async_context(serving(runner, listener, ClientLimits(connections=_room()), tls=tls))
        announce(url)
        if settings.host in EVERYWHERE and not settings.public_urls:
            log.warning(
                "requests signed for other names than %s are refused: say with --public-url how workers reach this",
                url,
                extra={"action": "public_url_missing"},
            )
        await _until(stop, context, settings.retention_days)


def _room() -> int:
    """The number of connections that the limit of open files leaves beside the database's and the log's."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if files == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, files * 3 // 4)


async def _until(stop: asyncio.Event, context: Context, retention_days: float) -> None:
    async with asyncio.TaskGroup() as group:
        upkeep_task = group.create_task(_keep_up(context, retention_days), name="upkeep")
        await stop.wait()
        log.info("stopping", extra={"action": "stopping"})
        upkeep_task.cancel()


async def _keep_up(context: Context, retention_days: float) -> None:
    """Sweep for ever. A database that fails for a while is logged and tried again; anything else ends the process."""
    sweeps, last = 0, epoch.milliseconds(context.clock)
    while True:
        await context.clock.sleep(SWEEP_SECONDS)
        before, last = last, epoch.milliseconds(context.clock)
        try:
            await upkeep.settle(context.database, context.clock, context.grace, look_ahead=last < before)
            if sweeps % PRUNE_SWEEPS == 0:
                await upkeep.prune(context.database, context.clock, retention_days=retention_days)
        except StatementError as error:
            extra = {"action": "database_failed", "trouble": error.trouble.value}
            log.error("the database failed: %s", error.reason, extra=extra)  # noqa: TRY400
        sweeps += 1


def _tls(settings: ServeSettings) -> ssl.SSLContext | None:
    if settings.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except OSError as error:  # ssl.SSLError is one
        raise UnusableError(f"--tls-cert {settings.tls_cert}: {error.strerror or error}") from error
    return context


def _listen(host: str, port: int) -> socket.socket:
    try:
        return listen(host, port)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None) or 0
        reason = os.strerror(number) if number > 0 else getattr(error, "strerror", None) or str(error)
        raise UnusableError(f"--listen {host}:{port}: {reason}") from error


def _url(host: str, port: int, *, secure: bool) -> str:
    return f"{'https' if secure else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def _own_urls(url: str) -> tuple[str, ...]:
    """The listen address as workers may write it: on loopback, and where all addresses are listened on, loopback by its names."""
    parts = urlsplit(url)
    if parts.hostname in ("127.0.0.1", "::1", "localhost", *EVERYWHERE):
        return tuple(f"{parts.scheme}://{host}:{parts.port}" for host in ("127.0.0.1", "[::1]", "localhost"))
    return (url,)
