"""Podman on a storage of its own, which is kept between runs: the base image and the dependencies' layers are what takes long.

No registry is asked for an image: the base is a Debian made by debootstrap, under the name that the Dockerfile's FROM uses.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.checkout import ROOT
from tests.support.peers import missing, peer
from tests.support.waiting import eventually

BASE = "localhost/python:3.13-slim"
SUITE = "trixie"
"""The Debian that has this Python."""

_CONTAINERS = """
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
_STORAGE = """
[storage]
driver = "overlay"
graphroot = "{folder}/storage"
runroot = "{folder}/run"
"""


class Engine:
    """One podman, its storage, and the containers that a test started."""

    def __init__(self) -> None:
        self._podman = peer("podman")
        for name in ("buildah", "runc", "conmon", "catatonit", "debootstrap"):
            peer(name)
        if os.geteuid() != 0:
            missing("making a base image needs root")
        folder = Path("/var/cache/open-private-location")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "containers.conf").write_text(_CONTAINERS)
        (folder / "storage.conf").write_text(_STORAGE.format(folder=folder))
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        }

    def podman(
        self, *arguments: str, seconds: float = 60, stdin: str = "", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [self._podman, *arguments],
            env=self._environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"podman {arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def as_docker(self, folder: Path) -> None:
        """Write a program `docker` into *folder*: this podman, whose containers are on this machine's network."""
        variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in self._environment.items())
        flags = " ".join((*_RUN, "--network=host"))
        program = folder / "docker"
        program.write_text(
            f'#!/bin/sh -eu\n[ "$1" = run ]; shift\nexec env {variables} {self._podman} run {flags} "$@"\n'
        )
        program.chmod(0o755)

    def make_base(self) -> None:
        if self.podman("image", "exists", BASE, check=False).returncode == 0:
            return
        with tempfile.TemporaryDirectory(prefix="base-") as folder:
            wanted = "--include=python3,python3-pip,python3-venv,ca-certificates"
            _run(peer("debootstrap"), "--variant=minbase", wanted, SUITE, folder, _mirror())
            for kept in ("var/cache/apt/archives", "var/lib/apt/lists"):
                shutil.rmtree(Path(folder, kept))
            archive = Path(folder).with_suffix(".tar")
            try:
                _run("tar", "-C", folder, "-cf", str(archive), ".")
                self.podman("import", str(archive), BASE, seconds=120)
            finally:
                archive.unlink(missing_ok=True)

    def build(self, tags: Mapping[str, Sequence[str]]) -> None:
        """Build each target of the Dockerfile under its *tags*."""
        for target, names in tags.items():
            certificates = "--volume=/etc/ssl/certs:/etc/ssl/certs:ro"
            flags = ("--format=docker", "--pull=never", "--network=host", certificates, f"--target={target}")
            self.podman("build", *flags, *(f"--tag={name}" for name in names), str(ROOT), seconds=800)
        # Layers of earlier versions of the code; those that are still parents of an image stay.
        self.podman("image", "prune", "--force", "--filter", "until=48h", check=False)

    def inspect(self, image: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.podman("image", "inspect", image).stdout)[0]
        return found

    @contextmanager
    def files(self, image: str) -> Iterator[Path]:
        """The root of *image*, to be read; absolute links in it lead to this machine's files."""
        try:
            yield Path(self.podman("image", "mount", image).stdout.strip())
        finally:
            self.podman("image", "unmount", image)

    def run(self, *arguments: str, seconds: float = 60, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """`docker run --rm` to the end; the caller looks at the exit code."""
        return self.podman("run", "--rm", *_RUN, *arguments, seconds=seconds, stdin=stdin, check=False)

    @contextmanager
    def serving(self, socket: Path) -> Iterator[str]:
        """Docker's API at *socket*, for programs that speak to an engine; its address as they want it."""
        address = f"unix://{socket}"
        command = [self._podman, "system", "service", "--time=0", address]
        with subprocess.Popen(command, env=self._environment, stderr=subprocess.DEVNULL) as service:
            try:
                eventually(socket.exists, "the engine's socket")
                yield address
            finally:
                service.terminate()

    def start(self, *arguments: str) -> Container:
        """`docker run --detach`. It stays when it ends, so that its exit code can be asked for."""
        name = self.podman("run", "--detach", *_RUN, *arguments).stdout.strip()
        return Container(self, name)


_RUN = ("--pull=never", "--no-healthcheck")
"""No registry; and no timers for health checks, for which podman wants a systemd. Tests execute the check themselves."""


class Container:
    """One running container; `remove` ends it for good."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self.name = name

    @property
    def output(self) -> str:
        logs = self._engine.podman("logs", self.name, check=False)
        return logs.stdout + logs.stderr

    def wait_for(self, text: str) -> str:
        """The first line of output with *text* in it."""
        return eventually(
            lambda: next((line for line in self.output.splitlines() if text in line), None),
            f"{text!r} in the output",
            lambda: self.output,
        )

    def execute(self, *command: str) -> int:
        return self._engine.podman("exec", self.name, *command, check=False).returncode

    def tell(self, *command: str) -> str:
        """What the command prints; it must end well."""
        return self._engine.podman("exec", self.name, *command).stdout

    def signal(self, name: str) -> None:
        self._engine.podman("kill", "--signal", name, self.name)

    def wait(self) -> int:
        """The exit code."""
        return int(self._engine.podman("wait", self.name).stdout)

    def remove(self) -> None:
        self._engine.podman("rm", "--force", "--ignore", "--time=0", self.name)


def _mirror() -> str:
    """Where this machine gets its Debian from."""
    targets = _run("apt-get", "indextargets", "--format", "$(RELEASE) $(SITE)", "Created-By: Packages")
    found = re.search(r"^(?:bookworm|trixie|forky|stable|testing|sid) (\S+)$", targets, re.MULTILINE)
    if found is None:
        missing("no Debian mirror is configured here")
    return found[1]


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=800, check=False)
    if done.returncode:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout
