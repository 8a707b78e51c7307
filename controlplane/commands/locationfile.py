"""A location's config file on disk, and the commands that use it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from controlplane import baseurl
from controlplane.errors import UnusableError
from controlplane.service import startcommands
from controlplane.service.startcommands import ConfigPath
from worker.secret import Secret

ROOM_BYTES = 16 * 1024
"""More than a config file has, with RSA keys too."""
STREAM = Path("-")
"""Standard output in place of a file, as everywhere."""


def check_intake_url(url: str) -> str:
    """Give the URL as it goes into the file. Raises UnusableError naming the option."""
    try:
        return baseurl.read(url)
    except UnusableError as error:
        raise UnusableError(f"--intake-url {error}") from error


@contextmanager
def reserved(path: Path) -> Iterator[Callable[[Secret[str]], None]]:
    """Make a new file of mode 0600 with room for a config file, before there is one: keys that cannot be kept are not asked for.

    The block is given what writes into it, on disk when that returns. Left without that, the file is gone. Standard output where
    *path* is STREAM. Raises UnusableError, also where the file exists.
    """
    if path == STREAM:
        yield lambda text: click.echo(text.reveal(), nl=False)
        return
    file = _room(path)
    written = False

    def write(text: Secret[str]) -> None:
        nonlocal written
        try:
            _fill(file, text.reveal().encode())
        except OSError as error:
            raise UnusableError(f"--output {path}: {error.strerror}; `location rotate` makes another file") from error
        written = True

    try:
        yield write
    finally:
        os.close(file)
        if not written:
            path.unlink(missing_ok=True)


def _room(path: Path) -> int:
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise UnusableError(f"--output {path}: the file exists; it may hold the only copy of a key") from error
    except OSError as error:
        raise UnusableError(f"--output {path}: {error.strerror}") from error
    try:
        _fill(file, bytes(ROOM_BYTES))
    except OSError as error:
        os.close(file)
        path.unlink(missing_ok=True)
        raise UnusableError(f"--output {path}: {error.strerror}") from error
    return file


def _fill(file: int, content: bytes) -> None:
    """Let *content* be all that is in the file, on disk."""
    at = 0
    while at < len(content):
        at += os.pwrite(file, content[at:], at)
    os.ftruncate(file, len(content))
    os.fsync(file)


def how_to_start(path: Path, intake_url: str) -> str:
    """Commands that start a worker with the file, here and in containers; what tests of private targets need; and warnings."""
    typed = ConfigPath(text=str(path))
    commands = (startcommands.reaching(intake_url), *startcommands.starting(typed, intake_url))
    lines = [line for one in commands for line in (one.title, *(f"  {command}" for command in one.lines))]
    lines += [
        "Tests of private targets need more, as flags behind these commands or as keys of the file:",
        "  --whitelistedRange.4=10.0.0.0/8   private ranges that tests may reach; none until you name them",
        "  --dnsUseHost                      the machine's own name servers; or --dnsServer=ADDRESS",
        "  --caFile=authority.pem            an internal authority of targets or control plane; in a container, mount it",
        "                                    in /etc/datadog/certs/ instead",
    ]
    return "\n".join([*lines, *startcommands.warnings(intake_url)])
