"""A location's config file: made once, written once. Its secrets are in that file and, sealed, in the database; nowhere else.

The private half of the job key is in the file alone: who loses the file makes a new one with `location rotate`.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from controlplane.errors import UnusableError
from controlplane.store.locations import Credential
from worker.secret import Secret
from worker.wire import keys
from worker.wire.keys import PrivateKey

KeyKind = Literal["x25519", "rsa4096"]

IMAGE = "open-private-location"
MOUNT = "/etc/datadog/synthetics-check-runner.json"
"""Where a worker in a container looks for its config file."""
MAX_SLUG = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """A config file that is to be written, and what the control plane keeps of it."""

    text: Secret[str]
    credential: Credential


def location_id(name: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:MAX_SLUG].strip("-") or "location"
    return f"pl:{slug}-{secrets.token_hex(16)}"


def make(location: str, *, key_kind: KeyKind, intake_url: str) -> NewFile:
    """Make keys and secrets. RSA takes seconds."""
    job_key, results_key = keys.generate(key_kind), keys.generate(key_kind)
    credential = Credential(
        access_key=secrets.token_hex(16),
        secret=Secret(secrets.token_hex(32)),
        jobs_kid=job_key.kid,
        jobs_public_pem=job_key.public.pem,
        results_kid=results_key.kid,
        results_private_pem=results_key.pem,
    )
    return NewFile(text=Secret(_text(location, intake_url, credential, job_key, results_key)), credential=credential)


def _text(location: str, intake_url: str, credential: Credential, job_key: PrivateKey, results_key: PrivateKey) -> str:
    content = {
        "id": location,
        "intakeUrl": intake_url,
        "accessKey": credential.access_key,
        "secretAccessKey": credential.secret.reveal(),
        "privateKey": job_key.pem.reveal(),
        "publicKey": {"pem": results_key.public.pem, "fingerprint": results_key.kid},
    }
    return json.dumps(content, indent=2) + "\n"


def check_intake_url(url: str) -> str:
    """The URL as it goes into the file. Raises UnusableError."""
    parts = urlsplit(url)
    try:
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or parts.username is not None:
        raise UnusableError(f"--intake-url {url}: expected http(s)://host[:port][/path]")
    return url.rstrip("/")


def write(path: Path, text: Secret[str]) -> None:
    """Into a new file of mode 0600, on disk when this returns. Raises UnusableError; an existing file is not touched."""
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


def commands(path: Path, intake_url: str) -> str:
    """How to start a worker with the file: on this machine, in Docker, in Kubernetes; and what will not work as it is."""
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
