"""A real PostgreSQL server with TLS, of its own data and on a port of its own, run by an unprivileged user."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.certificates import issue
from tests.support.peers import missing

PASSWORD = "pg-s3cret-of-the-test"
_PLACES = (
    "/usr/lib/postgresql/17/bin",
    "/usr/lib/postgresql/16/bin",
    "/usr/lib/postgresql/15/bin",
    "/usr/local/bin",
    "/usr/bin",
)
_SETTINGS = (
    "fsync=off",
    "ssl=on",
    "ssl_cert_file=server.pem",
    "ssl_key_file=server.key",
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=20",
    "shared_buffers=1MB",
    "log_statement=all",
)
_TRIES = 3


@dataclass(frozen=True, kw_only=True)
class PostgresServer:
    """*ca_file* is the authority of its certificate, which is for `db.test`; the user `reader` has PASSWORD."""

    port: int
    ca_file: Path
    directory: Path
    programs: Path

    def log(self) -> str:
        return (self.directory / "log").read_text()


@contextmanager
def running_postgresql() -> Iterator[PostgresServer]:
    programs = next((Path(place) for place in _PLACES if (Path(place) / "initdb").exists()), None)
    if programs is None:
        missing("PostgreSQL is not installed")
    user = _user()
    directory = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        _initialise(programs, directory, user)
        for _ in range(_TRIES):
            server = _start(programs, directory, user)
            if server is not None:
                break
        else:
            raise AssertionError((directory / "log").read_text())
        try:
            yield server
        finally:
            subprocess.run(
                [programs / "pg_ctl", "-D", directory / "data", "-m", "immediate", "-w", "stop"],
                user=user,
                cwd="/",
                check=True,
                stdout=subprocess.DEVNULL,
            )
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _user() -> str | None:
    """The server refuses to run as root."""
    if os.getuid() != 0:
        return None
    return next(entry.pw_name for entry in pwd.getpwall() if entry.pw_name in ("postgres", "nobody"))


def _initialise(programs: Path, directory: Path, user: str | None) -> None:
    root = issue("pg root", ca=True)
    leaf = issue("db.test", root, names=["db.test", "127.0.0.1"])
    (directory / "password").write_text(PASSWORD)
    (directory / "ca.pem").write_text(root.pem)
    if user is not None:
        shutil.chown(directory, user)
    command = [
        "initdb",
        "-D",
        "data",
        "-U",
        "reader",
        "--auth=scram-sha-256",
        "--pwfile=password",
        "--no-sync",
        "-E",
        "UTF8",
    ]
    subprocess.run(
        [programs / command[0], *command[1:], "--locale=C"],
        cwd=directory,
        user=user,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    data = directory / "data"
    (data / "server.pem").write_text(leaf.pem)
    (data / "server.key").write_text(leaf.key_pem)
    (data / "server.key").chmod(0o600)
    for name in ("server.pem", "server.key"):
        if user is not None:
            shutil.chown(data / name, user)


def _start(programs: Path, directory: Path, user: str | None) -> PostgresServer | None:
    """None where somebody else has taken the port meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = " ".join(f"-c {setting}" for setting in (*_SETTINGS, f"port={port}"))
    started = subprocess.run(
        [programs / "pg_ctl", "-D", "data", "-l", "log", "-w", "-o", settings, "start"],
        cwd=directory,
        user=user,
        stdout=subprocess.DEVNULL,
    )
    if started.returncode != 0:
        return None
    return PostgresServer(port=port, ca_file=directory / "ca.pem", directory=directory, programs=programs)
