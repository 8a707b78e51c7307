"""A location's config file on disk, and the commands that use it."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from urllib.parse import urlsplit

from controlplane.errors import UnusableError
from controlplane.service import locations
from worker.secret import Secret

IMAGE = "open-private-location"
MOUNT = "/etc/datadog/synthetics-check-runner.json"
"""The path at which a worker in a container looks for its config file."""


def check_intake_url(url: str) -> str:
    """Give the URL as it goes into the file. Raises UnusableError naming the option."""
    try:
        return locations.check_intake_url(url)
    except UnusableError as error:
        raise UnusableError(f"--intake-url {error}") from error


STREAM = Path("-")
"""Standard output in place of a file, for whoever keeps secrets elsewhere."""


def write(path: Path, text: Secret[str]) -> None:
    """Write *text* into a new file of mode 0600, on disk when this returns; or to standard output.

    Raises UnusableError, also where the file exists.
    """
    if path == STREAM:
        sys.stdout.write(text.reveal())
        sys.stdout.flush()
        return
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise UnusableError(f"--output {path}: the file exists; it may hold the only copy of a key") from error
    except OSError as error:
        raise UnusableError(f"--output {path}: {error.strerror}") from error
    with os.fdopen(handle, "w") as file:
        file.write(text.reveal())
        file.flush()
        os.fsync(file.fileno())


def how_to_start(path: Path, intake_url: str) -> str:
    """Commands that start a worker with the file: on this machine, in Docker, in Kubernetes; and warnings."""
    parts = urlsplit(intake_url)
    host = parts.hostname or ""
    loopback = host in ("localhost", "::1") or host.startswith("127.")
    shown = shlex.quote(str(path))
    mounted = shown if path.is_absolute() else f"$PWD/{shown}"
    network = " --network host" if loopback else ""
    lines = [
        "Start a worker here:",
        f"  synthetics-worker --config {shown}",
        "in Docker (as you, because the file is yours alone):",
        f"  docker run --rm -v {mounted}:{MOUNT} --user $(id -u){network} {IMAGE}",
        "in Kubernetes:",
        f"  cp {shown} k8s/worker/worker-config.json && kubectl apply -k k8s/worker",
    ]
    if loopback:
        lines.append(f"Workers on other machines do not reach {intake_url}: name another with --intake-url.")
    elif parts.scheme == "http":
        lines.append("Workers refuse plain HTTP to another machine unless they are given --insecureIntake.")
    return "\n".join(lines)
