"""`serve`: run the control plane."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
from aiohttp.http_exceptions import HttpProcessingError

from controlplane import app
from controlplane.commands.session import Session, run, with_session
from worker.text import harmless
from worker.wire import signing


class Lines(logging.Formatter):
    """`TIME LEVEL message key=value…`, one line a record whatever is in it, as the worker's logs look."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
        details = {name: value for name, value in vars(record).items() if name not in _OWN}
        words = [f"{moment}Z", f"{record.levelname:7}", harmless(record.getMessage())]
        words += [f"{name}={harmless(str(value))}" for name, value in details.items()]
        line = " ".join(words)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What every record has."""


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
@click.option("--tls-cert", type=click.Path(path_type=Path), help="Serve TLS with this certificate chain (PEM).")
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
    verbose: bool,
) -> None:
    """Serve workers until SIGTERM or Ctrl-C."""
    if tls_key is not None and tls_cert is None:
        raise click.UsageError("--tls-key needs --tls-cert")
    _log_to_stderr(verbose=verbose)
    host, port = listen
    settings = app.Settings(
        database=session.database,
        keyring=session.keyring(),
        host=host,
        port=port,
        public_urls=public,
        tls_cert=tls_cert,
        tls_key=tls_key,
        retention_days=retention_days,
    )
    run(app.serve(settings, session.clock, _announce), session)


def _announce(url: str) -> None:
    click.echo(f"listening on {url}")
    sys.stdout.flush()


def _malformed_is_a_line(record: logging.LogRecord) -> bool:
    """Bytes that are no HTTP are their sender's mistake: aiohttp logs them with a traceback of ours."""
    if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
        record.msg, record.args = "refused what is no HTTP: %s", (record.exc_info[1].message,)
        record.exc_info, record.levelno, record.levelname = None, logging.INFO, "INFO"
        record.action = "request_refused"
    return True


def _log_to_stderr(*, verbose: bool) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(Lines())
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("aiohttp.server").addFilter(_malformed_is_a_line)
    if verbose:
        logging.getLogger("controlplane").setLevel(logging.DEBUG)
