"""A runner as a real process beside a real control plane: its folder, its start, and runs by the command line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.programs import ControlPlane, Program, run

RUNNER = "worker.actionrunner.cli"


class RunnerProgram:
    """A folder of configuration for a runner that `create` has made; `start` and `kill` may alternate."""

    def __init__(
        self, plane: ControlPlane, folder: Path, name: str = "berlin", *, create: Sequence[str] = (), **options: Any
    ) -> None:
        self.plane = plane
        self.folder = folder
        self.name = name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.token = json.loads(plane.command("runner", "create", name, "--base-url", plane.url, *create, "--json"))[
            "token"
        ]
        usual = {"whitelistedRange.4": ["127.0.0.1/32"], "stateDirectory": str(folder / "state")}
        asked = {**usual, "port": 0, "probesPort": 0, **options}
        self.configure({name: value for name, value in asked.items() if value is not None})
        self.program: Program | None = None
        self.starts = 0

    def configure(self, options: Mapping[str, Any]) -> None:
        (self.folder / "config.yaml").write_text(json.dumps(options))

    def allow(self, rules: Iterable[Mapping[str, Any]], connections: Mapping[str, Any] | None = None) -> None:
        """Write the operator's files."""
        (self.folder / "policy.yaml").write_text(json.dumps({"rules": list(rules)}))
        (self.folder / "connections.yaml").write_text(json.dumps(connections or {}))

    @property
    def log(self) -> Path:
        return self.folder.parent / f"{self.name}.log"

    def start(self, program: str = RUNNER, *arguments: str, **environment: str) -> Program:
        """Start it, and wait until it is the runner. Another *program* is one that runs it."""
        environment |= {"RUNNER_ENROLLMENT_TOKEN": self.token, "DD_PRIVATE_RUNNER_CONFIG_DIR": str(self.folder)}
        self.starts += 1
        log = self.log.with_suffix(f".{self.starts}.log")
        self.program = Program(log, program, *arguments, env=environment)
        self.program.wait_for("this instance is the runner")
        return self.program

    def kill(self) -> None:
        if self.program is not None:
            self.program.kill()

    def order(self, action: str, given: Mapping[str, Any], *flags: str) -> subprocess.CompletedProcess[str]:
        """`action run`, to its end."""
        return run("controlplane", *self.arguments(action, given, flags), env=self.plane.env)

    def arguments(self, action: str, given: Mapping[str, Any], flags: Sequence[str]) -> list[str]:
        words = ["action", "run", action, "--runner", self.name, "--input", json.dumps(given), *flags]
        return [*words, *self.plane.database_flag]

    def ordered(self, action: str, given: Mapping[str, Any], *flags: str) -> str:
        """`action run --no-wait`: the run's id."""
        done = self.order(action, given, "--no-wait", *flags)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def show(self, run_id: str) -> dict[str, Any]:
        done = run("controlplane", "run", "show", run_id, "--json", *self.plane.database_flag, env=self.plane.env)
        found: dict[str, Any] = json.loads(done.stdout)
        return found
