"""The two programs as real processes, driven only by what their users have: commands, files, signals and output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import worker
from tests.support.waiting import PATIENCE, eventually

IMPORT_FROM = Path(worker.__file__).resolve().parent.parent


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(IMPORT_FROM), "HOME": "/nonexistent", **(extra or {})}


def command(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", program, *arguments]


def run(
    program: str, *arguments: str, env: Mapping[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run to the end; the caller looks at the exit code."""
    return subprocess.run(
        command(program, *arguments),
        env=environment(env),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


class Program:
    """One running process. Its output goes to a file, so that a full pipe never holds it up."""

    def __init__(self, log: Path, program: str, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command(program, *arguments),
                env=environment(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, text: str) -> str:
        """The first line of output with *text* in it."""

        def found() -> str | None:
            if self.process.poll() is not None and text not in self.output:
                raise AssertionError(f"ended with {self.process.returncode} before {text!r}:\n{self.output}")
            return next((line for line in self.output.splitlines() if text in line), None)

        return eventually(found, f"{text!r} in the output", lambda: self.output)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = PATIENCE) -> int:
        """The exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"still running after {seconds} s:\n{self.output}") from error

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


StartWorker = Callable[..., Program]
"""Starts a worker on a config file, with flags."""


class ControlPlane:
    """A control plane on a database file; `start` and `kill` may alternate on the same port."""

    def __init__(self, folder: Path, *flags: str, scheme: str = "http", env: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.env = env
        self.flags = flags
        self.scheme = scheme
        self.database = folder / "controlplane.db"
        self.port = 0
        self.program: Program | None = None
        self.follower: Program | None = None

    def start(self) -> None:
        self.program = Program(
            self.folder / "controlplane.log",
            "controlplane",
            "serve",
            *self.database_flag,
            "--listen",
            f"127.0.0.1:{self.port}",
            *self.flags,
            env=self.env,
        )
        line = self.program.wait_for(f"{self.scheme}://127.0.0.1:")
        self.port = int(line.partition("://127.0.0.1:")[2].split()[0])

    @property
    def database_flag(self) -> tuple[str, str]:
        return ("--database", str(self.database))

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def command(self, *arguments: str) -> str:
        done = run("controlplane", *arguments, *self.database_flag, env=self.env)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def create_location(self, name: str = "office", *extra: str) -> Path:
        config = self.folder / f"{name}.json"
        self.command("location", "create", name, "--intake-url", self.url, "--output", str(config), *extra)
        return config

    def push(self, definitions: Sequence[Mapping[str, Any]], location: str = "office") -> None:
        path = self.folder / "definitions.json"
        path.write_text(json.dumps(list(definitions)))
        self.command("test", "push", str(path), "--location", location)

    def results(self) -> list[dict[str, Any]]:
        """The outcome of every stored result so far, oldest first, as one `results --follow` prints them."""
        if self.follower is None:
            flags = ("--follow", "--json", "--limit", "10000")
            self.follower = Program(
                self.folder / "results.jsonl", "controlplane", "results", *flags, *self.database_flag
            )
        whole = self.follower.output.rpartition("\n")[0]
        return [json.loads(line)["outcome"] for line in whole.splitlines()]

    def wait_for_results(self, count: int) -> list[dict[str, Any]]:
        """All results, once there are *count* of them."""

        def enough() -> list[dict[str, Any]] | None:
            found = self.results()
            return found if len(found) >= count else None

        return eventually(enough, f"{count} results", lambda: str(self.results()))

    def stop(self) -> None:
        for program in (self.program, self.follower):
            if program is not None:
                program.kill()
