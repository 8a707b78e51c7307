"""The composition root of `serve`: database, web server, certificate, and the sweep that records what nobody asks for."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import shutil
import signal
import socket
from collections.abc import Callable, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from controlplane import epoch, site
from controlplane.alerts.notices import OwnState
from controlplane.alerts.transitions import Transition
from controlplane.boot import monotonic_line
from controlplane.delivery.dispatcher import NotificationDispatcher
from controlplane.delivery.egress import PUBLIC, AlertEgress
from controlplane.delivery.telling import ChannelTeller
from controlplane.errors import DatabaseTrouble, StatementError, UnusableError
from controlplane.identity.settings import ProviderSettings
from controlplane.leases import Grace
from controlplane.rest.context import Context
from controlplane.rest.forwarding import NO_PROXY, ForwardTrust
from controlplane.rest.headertrust import HeaderTrust
from controlplane.rest.series import ALL_TESTS, SeriesChoice
from controlplane.service import links
from controlplane.service.health import WriteHealth
from controlplane.service.notices import NoticeWatch
from controlplane.service.upkeep import Retention, Upkeep, take_up_time
from controlplane.store.database import Database, Keyring, Opening, open_database
from controlplane.store.engines.engine import Engine
from controlplane.store.tables import REVISION
from worker.clock import Clock
from worker.secret import Secret
from worker.web.address import EVERYWHERE, listen
from worker.web.certificate import CertificateError, CertificateFiles, ServedCertificate
from worker.web.connections import ClientLimits, serving
from worker.wire import signing

if TYPE_CHECKING:
    from controlplane.identity.provider import IdentityProvider

log = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0
"""Between looks at what was missed; a tenth of that is noise beside the shortest period of 30 s."""
LOCK_SECONDS = 60.0
"""For whoever holds the database's lock when this starts: an upgrade, a copy; each attempt waits for some seconds itself."""
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
    tls: CertificateFiles | None = None
    retention: Retention
    series: SeriesChoice = ALL_TESTS
    forward_trust: ForwardTrust = NO_PROXY
    header_trust: HeaderTrust | None = None
    provider: ProviderSettings | None = None
    alerts: AlertEgress = PUBLIC


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcements:
    """*listening* is told the URL really listened on; *first_link* the address of the first administrator's page."""

    listening: Callable[[str], None]
    first_link: Callable[[Secret[str]], None]


async def serve(settings: ServeSettings, clock: Clock, announce: Announcements) -> None:
    """Run until SIGTERM or SIGINT. Raises ControlPlaneError."""
    certificate = _certificate(settings.tls, clock)
    stop = _on_signals(certificate)
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(_listen(settings.host, settings.port))
        url = _url(settings.host or "::", listener.getsockname()[1], secure=certificate is not None)
        database = await _open(settings, clock, stop)
        if database is None:
            return
        stack.push_async_callback(database.close)
        _tell_of_an_upgrade(database, settings.engine.place)
        steady = await take_up_time(database, clock, monotonic_line())
        health = WriteHealth(database, steady)
        stack.push_async_callback(health.close)
        context = Context(
            database=database,
            clock=steady,
            steady=steady,
            grace=Grace(epoch.milliseconds(steady)),
            health=health,
            certificate=certificate,
            series=settings.series,
            forward_trust=settings.forward_trust,
            header_trust=settings.header_trust,
            provider=_provider(settings.provider, steady),
            intake_url=settings.public_urls[0].rstrip("/") if settings.public_urls else url,
            public_urls=tuple(public.rstrip("/") for public in settings.public_urls or _own_urls(url)),
            hosts=tuple(signing.authority(public) for public in settings.public_urls or _own_urls(url)),
        )
        runner = site.runner(site.build(context, public_urls=settings.public_urls))
        limits = ClientLimits(connections=_room())
        secure = None if certificate is None else certificate.context
        await stack.enter_async_context(serving(runner, listener, limits, tls=secure))
        first_link = await _first_link(context)
        announce.listening(url)
        if first_link is not None:
            announce.first_link(first_link)
        if settings.host in EVERYWHERE and not settings.public_urls:
            log.warning(
                "requests signed for other names than %s are refused: say with --public-url how workers reach this",
                url,
                extra={"action": "public_url_missing"},
            )
        upkeep = Upkeep(
            database,
            steady,
            context.grace,
            retention=settings.retention,
            counters=context.counters,
            on_ended=context.wakeups.ring,
        )
        teller = ChannelTeller(settings.alerts, steady, _links(context.public_urls))
        watch = NoticeWatch(database, steady, partial(_own_state, context, settings.engine.place))
        dispatcher = NotificationDispatcher(database, steady, teller.tell, context.counters)
        await _until(stop, context, upkeep, dispatcher, watch)


def _provider(settings: ProviderSettings | None, clock: Clock) -> IdentityProvider | None:
    if settings is None:
        return None
    from controlplane.identity.provider import IdentityProvider  # noqa: PLC0415 - a client of its own, for who names a provider

    return IdentityProvider(settings, clock)


async def _first_link(context: Context) -> Secret[str] | None:
    """The address of the first administrator's page, while nobody can sign in. A database that fails now is no reason to end."""
    try:
        link = await links.create_first(context.database, context.clock)
    except StatementError as error:
        extra = {"action": "database_failed", "trouble": error.trouble.value}
        log.warning("cannot make the first sign-in link: %s", error.reason, extra=extra)
        return None
    return None if link is None else Secret(next(iter(context.public_urls)) + link.path.reveal())


async def _open(settings: ServeSettings, clock: Clock, stop: asyncio.Event) -> Database | None:
    """Open the database; wait for whoever holds its lock, `LOCK_SECONDS` at most. None where *stop* was set meanwhile."""
    patience_ends = clock.monotonic_ns() + round(LOCK_SECONDS * 1e9)
    while not stop.is_set():
        try:
            return await open_database(settings.engine, settings.keyring, Opening(create=True, upgrade=True))
        except StatementError as error:
            if error.trouble is not DatabaseTrouble.LOCKED or clock.monotonic_ns() >= patience_ends:
                raise
            log.warning(
                "database %s is locked by another process: waiting for it",
                settings.engine.place,
                extra={"action": "database_locked"},
            )
    return None


def _certificate(files: CertificateFiles | None, clock: Clock) -> ServedCertificate | None:
    """Raises UnusableError."""
    try:
        return None if files is None else ServedCertificate(files, clock)
    except CertificateError as error:
        raise UnusableError(str(error)) from error


def _on_signals(certificate: ServedCertificate | None) -> asyncio.Event:
    """SIGTERM and SIGINT set the event; SIGHUP, which would end the process, looks at the certificate's files."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, _reload, certificate)
    return stop


def _reload(certificate: ServedCertificate | None) -> None:
    log.info("SIGHUP: looking at the certificate's files", extra={"action": "reload"})
    if certificate is not None:
        certificate.look()


def _tell_of_an_upgrade(database: Database, place: str) -> None:
    if database.upgraded is not None:
        log.warning(
            "database %s: schema %s is now %s; as it was before: %s",
            place,
            database.upgraded.from_revision,
            REVISION,
            database.upgraded.backup,
            extra={"action": "database_upgraded"},
        )


def _room() -> int:
    """The number of connections that the limit of open files leaves beside the database's and the log's."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if files == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, files * 3 // 4)


async def _until(
    stop: asyncio.Event, context: Context, upkeep: Upkeep, dispatcher: NotificationDispatcher, watch: NoticeWatch
) -> None:
    """Keep up until *stop* is set, or until that cannot go on, which raises its error."""
    tasks: list[asyncio.Task[object]] = [asyncio.create_task(stop.wait(), name="stop")]
    tasks.append(asyncio.create_task(_keep_up(context.clock, upkeep), name="upkeep"))
    tasks.append(asyncio.create_task(context.wakeups.run(), name="wakeups"))
    tasks.append(asyncio.create_task(dispatcher.run(), name="dispatcher"))
    tasks.append(asyncio.create_task(watch.run(), name="notices"))
    if context.certificate is not None:
        tasks.append(asyncio.create_task(context.certificate.follow(), name="certificate"))
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
        log.info("stopping", extra={"action": "stopping"})
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _keep_up(clock: Clock, upkeep: Upkeep) -> None:
    """Take its turns for ever. A database that fails for a while is logged and tried again; anything else ends the process.

    So does a newer version's change of the schema: what this one would write is not what that one reads.
    """
    while True:
        try:
            await upkeep.turn()
        except StatementError as error:
            extra = {"action": "database_failed", "trouble": error.trouble.value}
            log.error("the database failed: %s", error.reason, extra=extra)  # noqa: TRY400
        await clock.sleep(SWEEP_SECONDS)


def _own_state(context: Context, place: str) -> OwnState:
    served = context.certificate
    soon = served is not None and served.ends_soon(context.clock.now())
    return own_state(place, served.not_after if served is not None and soon else None)


def own_state(place: str, certificate_ends: datetime | None) -> OwnState:
    """The disk of the database at *place*, as far as that is a path, and the end of a certificate where it is near."""
    try:
        disk = shutil.disk_usage(Path(place).parent)
    except OSError:
        return OwnState(certificate_ends=certificate_ends)
    return OwnState(free=disk.free, size=disk.total, certificate_ends=certificate_ends)


def _links(public_urls: Collection[str]) -> Callable[[Transition], str]:
    """The page on which people see what a transition tells of: the run that decided, else the test."""
    base = next(iter(public_urls))

    def link(told: Transition) -> str:
        if told.test is None:
            return base + "/"
        failing = told.detail.failing
        return f"{base}/tests/{told.test}" + (f"/results/{quote(failing[0].result, safe='')}" if failing else "")

    return link


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
