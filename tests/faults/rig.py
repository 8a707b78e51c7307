"""The rig of a round: the two programs as processes, each behind a shim, a gate before each worker, and notes of what was done.

Faults act through it and by no other way. It judges nothing, and ends every process that it started, by its id.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

from tests.faults.auditor import unaccounted
from tests.faults.gate import Gate
from tests.faults.peers import running_peers
from tests.faults.record import CONTROL_PLANE, Demand, End, Outage, Pause, Record, read_database
from tests.faults.shim import Shim
from tests.faults.target import HonestTarget
from tests.support.definitions import http_test
from tests.support.programs import ControlPlane, Program, run
from tests.support.waiting import eventually

LEASE = 15_000
"""Milliseconds: the `lease_ms` of docs/protocol.md."""
PERIOD = 30_000
"""Milliseconds: the shortest `tick_every` that a test may have."""
TESTS = 24
SLOWEST = 2_000
"""Milliseconds that the slowest target takes, so that some run is always under way."""
LAST_LINES = 20
"""Lines of a worker's output that are told when it has ended by itself."""
LARGE = 4_000_000
"""Bytes of the body of every sixth test: a worker short of memory has no room for it."""


def now() -> int:
    return round(time.time() * 1000)


class Worker:
    """One place for a worker: its gate and shim stay while its processes come and go. *spools* says that it has a journal."""

    def __init__(self, name: str, folder: Path, library: Path, gate: Gate, *, spools: bool) -> None:
        self.name = name
        self.gate = gate
        self.spool = folder / f"{name}-spool"
        self.spool.mkdir()
        self.shim = Shim(library, folder / f"{name}.page", self.spool)
        self.spools = spools
        self.config = Path()
        self.program: Program | None = None
        self.id = ""
        self._folder = folder
        self._starts = 0

    @property
    def running(self) -> Program:
        assert self.program is not None
        return self.program

    def start(self) -> None:
        """Start a process, and return once it serves."""
        self._starts += 1
        self.program = Program(
            self._folder / f"{self.name}-{self._starts}.log",
            "worker",
            f"--config={self.config}",
            f"--intakeUrl={self.gate.url}",
            "--whitelistedRange.4=127.0.0.1/32",
            f"--livenessFile={self._folder / self.name}.date",
            "--logFormat=json",
            "--concurrency=6",
            "--drainTimeout=10",
            *([f"--spoolDirectory={self.spool}"] if self.spools else []),
            env=self.shim.environment,
        )
        self.id = json.loads(self.program.wait_for('"started"'))["worker"]

    def last_words(self) -> str:
        """The exit code of a process that has ended, and the end of what it said, a traceback of its crash included."""
        lines = self.running.output.splitlines()[-LAST_LINES:]
        return "\n        ".join([f"exit code {self.running.wait()}", *lines])


class Rig:
    """What a round works on. `lock` of a victim is held by the one fault that is on it; notes may be added from any thread."""

    def __init__(
        self, folder: Path, plane: ControlPlane, shim: Shim, target: HonestTarget, workers: list[Worker]
    ) -> None:
        self.folder = folder
        self.plane = plane
        self.shim = shim
        self.target = target
        self.workers = workers
        self.demands: list[Demand] = []
        self.pauses: list[Pause] = []
        self.ends: list[End] = []
        self.outages: list[Outage] = []
        self.locks = {name: threading.Lock() for name in (CONTROL_PLANE, *(worker.name for worker in workers))}
        self.operator = threading.Lock()
        self._edition = 0

    @contextmanager
    def outage(self, *victims: str) -> Iterator[None]:
        """Hold *victims* for the fault in the block, and note for how long they were under it."""
        with ExitStack() as stack:
            for victim in sorted(victims):
                stack.enter_context(self.locks[victim])
            start = now()
            try:
                yield
            finally:
                self.outages += [Outage(victim, start, now()) for victim in victims]

    def end(self, worker: Worker, number: signal.Signals) -> None:
        """End the process of *worker* by a signal."""
        if worker.running.process.poll() is None:
            worker.running.signal(number)
        worker.running.wait()
        self.ends.append(End(now(), worker.id, killed=True))

    def revive(self) -> None:
        """Note processes that ended by themselves, and start others in their places."""
        for worker in self.workers:
            if self.locks[worker.name].acquire(blocking=False):
                try:
                    if worker.running.process.poll() is not None:
                        self.ends.append(End(now(), worker.id, killed=False, how=worker.last_words()))
                        worker.start()
                finally:
                    self.locks[worker.name].release()

    def start_plane(self) -> None:
        """Start a control plane on the same database and port, and return once it answers."""
        self.plane.start()
        eventually(self._answers, "answer of the control plane", self._plane_output)

    def edit(self, numbers: Sequence[int]) -> None:
        """Push tests anew with another header: each is due at once."""
        with self.operator:
            self._edition += 1
            self._demand([_definition(self.target, n, self._edition) for n in numbers])

    def ask(self, number: int) -> None:
        """`test run`."""
        with self.operator:
            begin = now()
            if self._command("test", "run", _name(number)):
                self.demands.append(Demand(_name(number), begin, now()))

    @contextmanager
    def paused(self, number: int) -> Iterator[None]:
        """`test pause` before the block, `test resume` after it: the test is due at once."""
        begin = now()
        with self.operator:
            self._command("test", "pause", _name(number))
        yield
        eventually(lambda: self._resume(number, begin), "test that is resumed")

    def _resume(self, number: int, paused_at: int) -> bool:
        with self.operator:
            resumed_at = now()
            if not self._command("test", "resume", _name(number)):
                return False
            self.pauses.append(Pause(_name(number), paused_at, resumed_at))
            self.demands.append(Demand(_name(number), resumed_at, now()))
            return True

    def _demand(self, definitions: list[dict[str, object]]) -> None:
        path = self.folder / "definitions.json"
        path.write_text(json.dumps(definitions))
        begin = now()
        if self._command("test", "push", str(path), "--location", "office"):
            self.demands += [Demand(str(one["name"]), begin, now()) for one in definitions]

    def _command(self, *arguments: str) -> bool:
        """Run a command on the control plane's machine, its clock and its disk; False where it says that nothing was changed."""
        return run("controlplane", *arguments, *self.plane.database_flag, env=self.plane.env).returncode == 0

    def record(self, calm_at: int) -> Record:
        """Everything until now. Raises sqlite3.OperationalError while the database is locked."""
        rows, opened = read_database(self.plane.database)
        return Record(
            lease=LEASE,
            period=PERIOD,
            calm_at=calm_at,
            ended_at=now(),
            workers=tuple(worker.name for worker in self.workers),
            rows=rows,
            open_jobs=opened,
            demands=tuple(self.demands),
            pauses=tuple(self.pauses),
            exchanges=tuple(exchange for worker in self.workers for exchange in tuple(worker.gate.exchanges)),
            ends=tuple(self.ends),
            outages=tuple(self.outages),
            served=dict(self.target.served),
        )

    def settled(self, calm_at: int) -> bool:
        """Tell if every run that was due by *calm_at* has come to its end."""
        try:
            record = self.record(calm_at)
        except sqlite3.OperationalError:
            return False
        return not unaccounted(record) and all(job.scheduled_at > calm_at for job in record.open_jobs)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.plane.url + "/", timeout=2) as reply:
                return bool(reply.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def _plane_output(self) -> str:
        return "" if self.plane.program is None else self.plane.program.output[-4_000:]


def _name(number: int) -> str:
    return f"test-{number}"


def _definition(target: HonestTarget, number: int, edition: int) -> dict[str, object]:
    size = LARGE if number % 6 == 0 else 2
    url = target.url(_name(number), SLOWEST * number // TESTS, size)
    definition = http_test(_name(number), url, tick_every=PERIOD // 1000)
    definition["config"]["request"] |= {"headers": {"X-Edition": str(edition)}, "timeout": 20}
    return definition


@contextmanager
def running_rig(folder: Path, library: Path, random: Random, *, workers: int) -> Iterator[Rig]:
    """Start everything, with every test due, and end it after the block."""
    with ExitStack() as stack:
        target, gates = stack.enter_context(running_peers(workers, random))
        shim = Shim(library, folder / "controlplane.page", folder / "controlplane.db")
        urls = [flag for gate in gates for flag in ("--public-url", gate.url)]
        plane = ControlPlane(folder, *urls, env=shim.environment)
        stack.callback(plane.stop)
        places = [Worker(f"worker-{n}", folder, library, gate, spools=n != 1) for n, gate in enumerate(gates)]
        rig = Rig(folder, plane, shim, target, places)
        stack.callback(_end_all, places)
        rig.start_plane()
        config = plane.create_location()
        for worker in places:
            worker.gate.upstream, worker.config = plane.port, config
            worker.start()
        rig.edit(range(TESTS))
        yield rig


def _end_all(workers: list[Worker]) -> None:
    for worker in workers:
        if worker.program is not None:
            if worker.program.process.poll() is None:
                os.kill(worker.program.process.pid, signal.SIGCONT)
            worker.program.kill()
