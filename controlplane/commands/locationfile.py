"""A location's config file on disk, and the commands that use it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import click

from controlplane.errors import UnusableError
from controlplane.service import locations
from worker.secret import Secret

IMAGE = "open-private-location"
MOUNT = "/etc/datadog/synthetics-check-runner.json"
"""The path at which a worker in a container looks for its config file."""
POD_KEY = "worker-config.json"
"""The file's name in the ConfigMap of k8s/private-worker-pod.yaml."""
ROOM_BYTES = 16 * 1024
"""More than a config file has, with RSA keys too."""
STREAM = Path("-")
"""Standard output in place of a file, as everywhere."""


def check_intake_url(url: str) -> str:
    """Give the URL as it goes into the file. Raises UnusableError naming the option."""
    try:
        return locations.check_intake_url(url)
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
    parts = urlsplit(intake_url)
    loopback = _is_loopback(parts.hostname or "")
    shown = shlex.quote(str(path))
    lines = [
        "Try from the worker's machine whether the control plane can be reached (--cacert FILE for an internal authority):",
        f"  curl -sS {shlex.quote(intake_url + '/')}",
        f"  curl -sS --proxy http://PROXY:PORT {shlex.quote(intake_url + '/')}",
        "Start a worker here:",
        f"  synthetics-worker --config {shown}",
        "in Docker:",
        f"  {docker(path, loopback=loopback)}",
        "in Docker on Windows, in PowerShell, where the file is (Linux containers):",
        f"  {powershell(path)}",
        "in Kubernetes, one pod with a ConfigMap:",
        f"  kubectl create configmap private-worker-config --from-file={POD_KEY}={shown}",
        "  kubectl apply -f k8s/private-worker-pod.yaml",
        "or, to stay, three workers:",
        f"  cp {shown} k8s/worker/worker-config.json && kubectl apply -k k8s/worker",
        "Tests of private targets need more, as flags behind these commands or as keys of the file:",
        "  --whitelistedRange.4=10.0.0.0/8   private ranges that tests may reach; none until you name them",
        "  --dnsUseHost                      the machine's own name servers; or --dnsServer=ADDRESS",
        "  --caFile=authority.pem            an internal authority of targets or control plane; in a container, mount it",
        "                                    in /etc/datadog/certs/ instead",
    ]
    if loopback:
        lines.append(f"Workers on other machines do not reach {intake_url}: name another with --intake-url.")
    elif parts.scheme == "http":
        lines.append("Workers refuse plain HTTP to another machine unless they are given --insecureIntake.")
    return "\n".join(lines)


def docker(path: Path, *, loopback: bool = False) -> str:
    """The `docker run` of a POSIX shell, as you: the file is yours alone, and the image's own user could not read it."""
    network = "--network host " if loopback else ""
    source = shlex.quote(str(path)) if path.is_absolute() else f'"$PWD"/{shlex.quote(str(path))}'
    return f'docker run --rm --user "$(id -u)" {network}-v {source}:{MOUNT}:ro {IMAGE}'


_LIVE_IN_POWERSHELL = re.compile('[`$"\u201c\u201d\u201e]')
"""What means something within its double quotes (about_Quoting_Rules), typographic ones among them."""


def powershell(path: Path) -> str:
    """The `docker run` of PowerShell. Docker Desktop lets every user read what Windows mounts."""
    name = _LIVE_IN_POWERSHELL.sub("`\\g<0>", path.name)
    return f'docker run --rm -v "${{PWD}}/{name}:{MOUNT}:ro" {IMAGE}'


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
