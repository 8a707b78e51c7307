"""`serve`: run the control plane."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import sys
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

import click
import uvloop
from aiohttp.http_exceptions import HttpProcessingError

from controlplane import app
from controlplane.commands.provideroptions import provider_options
from controlplane.commands.session import Session, with_session
from controlplane.delivery.egress import AlertEgress
from controlplane.epoch import DAY_MS
from controlplane.identity.settings import ProviderSettings
from controlplane.rest.forwarding import ForwardTrust
from controlplane.rest.headertrust import HeaderTrust
from controlplane.rest.series import ALL_TESTS, SeriesChoice, is_label
from controlplane.service.upkeep import Retention
from worker.egress.address_table import Network
from worker.egress.rules import parse_range
from worker.errors import PolicyError
from worker.program.hardening import protect_memory
from worker.secret import Secret
from worker.telemetry import log
from worker.web.certificate import CertificateFiles
from worker.wire import signing

INFO, DEBUG = 3, 4
"""Verbosity, as the worker's log counts it."""
COLLECT_AFTER = 10_000
"""New objects after which garbage is looked for: some megabytes. Python's own 700 are those of a few requests, so that all pulls
that wait would be looked through again and again."""


def listen_address(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, int]:
    host, colon, port = value.rpartition(":")
    if not colon or not port.isdecimal() or not port.isascii() or int(port) > 65535:
        raise click.BadParameter(f"{value!r} is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def public_urls(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            signing.authority(value)
        except ValueError as error:
            raise click.BadParameter(f"{value!r}: {error}") from error
        if "://" not in value:
            raise click.BadParameter(f"{value!r} is not a URL: expected http(s)://host[:port]")
    return values


def ranges(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[Network, ...]:
    try:
        return tuple(parse_range(value) for value in values)
    except PolicyError as error:
        raise click.BadParameter(str(error)) from error


def metric_tags(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, ...]:
    keys = tuple(dict.fromkeys(key.strip() for key in value.split(",") if key.strip()))
    for key in keys:
        if not is_label(key):
            raise click.BadParameter(f"{key!r} is not a valid label, or is one that has a meaning already")
    return keys


def header_name(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", value) is None:
        raise click.BadParameter(f"{value!r} is not a valid name of a header")
    return value


def networks(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(value) for value in values)
    except ValueError as error:
        raise click.BadParameter(f"is not a valid network: {error}") from error


@click.command()
@click.option(
    "--listen",
    default="127.0.0.1:8080",
    show_default=True,
    metavar="HOST:PORT",
    callback=listen_address,
    help="Where to listen. Port 0 takes a free one.",
)
@click.option(
    "--public-url",
    "public",
    multiple=True,
    metavar="URL",
    callback=public_urls,
    help="How workers reach this control plane, once for each URL. [default: the listen address]",
)
@click.option(
    "--tls-cert",
    type=click.Path(path_type=Path),
    help="Serve TLS with this certificate chain (PEM). It is read again when the file changes, and on SIGHUP.",
)
@click.option(
    "--tls-key", type=click.Path(path_type=Path), help="The certificate's key, if it is in a file of its own."
)
@click.option(
    "--retention-days",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="Results older than this are deleted.",
)
@click.option(
    "--keep-results-per-test",
    type=click.IntRange(min=1),
    metavar="N",
    help="Of each test, only the newest N results are kept, and those of the last hour.  [default: as many as there are]",
)
@click.option(
    "--metric-tags",
    default="",
    metavar="KEY,...",
    callback=metric_tags,
    help="Keys of tags that are labels of the series of single tests in /metrics: env,team.",
)
@click.option(
    "--metric-tests",
    type=click.IntRange(min=0),
    default=ALL_TESTS.most,
    show_default=True,
    metavar="N",
    help="Tests, each at one location, that have series of their own in /metrics, with names and tags; 0 for none.",
)
@click.option(
    "--trust-user-header",
    "user_header",
    metavar="NAME",
    callback=header_name,
    help="A header by which a proxy names the user of a page whom it has signed in; needs --from.",
)
@click.option(
    "--from",
    "proxies",
    multiple=True,
    metavar="CIDR",
    callback=networks,
    help="The proxies whose word that header is, once for each network. From all others it is nothing.",
)
@click.option(
    "--trust-forwarded-for",
    "forwarders",
    multiple=True,
    metavar="CIDR",
    callback=networks,
    help="Proxies in front, once for each network: visitors are told apart by the X-Forwarded-For that these send.",
)
@click.option(
    "--alert-allow-range",
    "alert_ranges",
    multiple=True,
    metavar="RANGE",
    callback=ranges,
    help="Addresses that alerts may be sent to beside public ones, once for each: 10.1.2.3, 10.0.0.0/8.",
)
@click.option(
    "--alert-ca-file",
    "alert_ca_files",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Authorities (PEM) that receivers of alerts are believed by, beside the system's.",
)
@provider_options
@click.option("--verbose", is_flag=True, help="Log every request.")
@with_session
def serve(
    session: Session,
    *,
    listen: tuple[str, int],
    public: tuple[str, ...],
    tls_cert: Path | None,
    tls_key: Path | None,
    retention_days: float,
    keep_results_per_test: int | None,
    metric_tags: tuple[str, ...],
    metric_tests: int,
    user_header: str | None,
    proxies: tuple[IPv4Network | IPv6Network, ...],
    forwarders: tuple[IPv4Network | IPv6Network, ...],
    alert_ranges: tuple[Network, ...],
    alert_ca_files: tuple[Path, ...],
    provider: ProviderSettings | None,
    verbose: bool,
) -> None:
    """Serve workers and pages until SIGTERM or Ctrl-C."""
    if (user_header is None) != (not proxies):
        raise click.UsageError("--trust-user-header and --from need each other: a header from anybody is nobody's word")
    if tls_key is not None and tls_cert is None:
        raise click.UsageError("--tls-key needs --tls-cert")
    log_to_stderr(verbose=verbose)
    for protection in protect_memory():  # asked once more, now that there is a log for the answer
        logging.getLogger(__name__).warning(
            "This system does not give the control plane %s",
            protection,
            extra={"action": "protection_missing", "protection": protection},
        )
    host, port = listen
    settings = app.ServeSettings(
        engine=session.engine,
        keyring=session.keyring(),
        host=host,
        port=port,
        public_urls=public,
        tls=None if tls_cert is None else _certificate_files(tls_cert, tls_key),
        retention=Retention(age_ms=round(retention_days * DAY_MS), per_test=keep_results_per_test),
        series=SeriesChoice(metric_tags, metric_tests),
        provider=provider,
        header_trust=None if user_header is None else HeaderTrust(name=user_header, proxies=proxies),
        forward_trust=ForwardTrust(forwarders),
        alerts=AlertEgress(allow=alert_ranges, ca_files=alert_ca_files),
    )
    announcements = app.Announcements(listening=_announce, first_link=_invite)
    gc.set_threshold(COLLECT_AFTER)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(app.serve(settings, session.clock, announcements))


def _certificate_files(cert: Path, key: Path | None) -> CertificateFiles:
    return CertificateFiles(cert=cert, key=key, cert_option="--tls-cert", key_option="--tls-key")


def _announce(url: str) -> None:
    click.echo(f"listening on {url}")
    sys.stdout.flush()


def _invite(address: Secret[str]) -> None:
    click.echo(f"nobody can sign in yet; the first administrator begins here, within an hour: {address.reveal()}")
    sys.stdout.flush()


def _malformed_is_a_line(record: logging.LogRecord) -> bool:
    """Log bytes that are not HTTP as one line. They are the sender's mistake, and aiohttp logs them with a traceback of ours."""
    if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
        record.msg, record.args = "refused what is not valid HTTP: %s", (record.exc_info[1].message,)
        record.exc_info, record.levelno, record.levelname = None, logging.INFO, "INFO"
        record.action = "request_refused"
    return True


def log_to_stderr(*, verbose: bool) -> None:
    log.configure("pretty", DEBUG if verbose else INFO, sys.stderr, packages=("controlplane", "worker"))
    logging.getLogger("aiohttp.server").addFilter(_malformed_is_a_line)
