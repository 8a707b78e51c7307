"""An outage for results, and the death of the worker that kept them: what of the finished runs arrives, and how long it takes.

`python -m benchmarks.outage [--minutes M] [--rate JOBS]`: a control plane, a worker with a journal at JOBS a second, and a proxy
that lets pulls pass and answers every push with 502. After M minutes the worker is killed and started again, and the proxy
recovers. Whether a run was finished is what the target served, not what the worker says.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from random import Random

from tests.faults.gate import PULL, RESULTS, Gate, Rule, Spoil
from tests.faults.peers import running_peers
from tests.faults.record import read_database
from tests.faults.target import HonestTarget
from tests.support.definitions import http_test
from tests.support.programs import ControlPlane, Program

PERIOD = 30
STEADY = 40.0
"""Seconds before the outage: the first runs of all tests and the first in phase."""
TAKES = 50
"""Milliseconds that the target takes."""
PATIENCE = 300.0
"""Seconds for the delivery of everything, after which it is given up."""


def main(minutes: float, rate: int) -> None:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        target, (gate,) = stack.enter_context(running_peers(1, Random(1)))
        plane = ControlPlane(folder, "--public-url", gate.url)
        stack.callback(plane.stop)
        plane.start()
        gate.upstream, config = plane.port, plane.create_location()
        plane.push(
            [http_test(f"test-{n}", target.url(f"test-{n}", TAKES, 2), tick_every=PERIOD) for n in range(rate * PERIOD)]
        )
        worker = stack.enter_context(ExitStack())
        _start(worker, folder, gate, config)
        time.sleep(STEADY)
        _measure(gate, target, plane, minutes * 60, lambda: _restart(worker, folder, gate, config))


def _measure(
    gate: Gate, target: HonestTarget, plane: ControlPlane, seconds: float, restart: Callable[[], None]
) -> None:
    began, served_before = time.time(), len(target.served)
    gate.rule = Rule(Spoil.BAD_GATEWAY, (RESULTS,))
    time.sleep(seconds)
    finished = set(target.served)
    waiting = finished - _stored(plane)
    restart()
    gate.rule = None
    recovered = time.monotonic()
    while (missing := finished - _stored(plane)) and time.monotonic() < recovered + PATIENCE:
        time.sleep(0.2)
    took = time.monotonic() - recovered
    pulls = [
        one.at for one in gate.exchanges if one.path == PULL and one.status in (200, 204) and one.at > began * 1000
    ]
    longest = max(later - earlier for earlier, later in pairwise(pulls)) / 1000
    print(
        f"{len(finished) - served_before} runs finished in an outage of {seconds:.0f} s; {len(waiting)} results waited"
    )
    print(
        f"after the kill and a restart {len(waiting - missing)} of them arrived within {took:.1f} s, {len(missing)} did not"
    )
    print(f"the longest time between two pulls that were answered, kill and restart included: {longest:.1f} s")


def _stored(plane: ControlPlane) -> set[str]:
    """The target's names of the runs whose results are stored."""
    while True:
        try:
            return {row.run for row in read_database(plane.database)[0] if row.run is not None}
        except sqlite3.OperationalError:
            time.sleep(0.1)


def _start(worker: ExitStack, folder: Path, gate: Gate, config: Path) -> Program:
    program = Program(
        folder / f"worker-{time.monotonic_ns()}.log",
        "worker",
        f"--config={config}",
        f"--intakeUrl={gate.url}",
        f"--spoolDirectory={folder / 'spool'}",
        "--whitelistedRange.4=127.0.0.1/32",
        f"--livenessFile={folder / 'live.date'}",
        "--concurrency=100",
        "--maxNumberMessagesToFetch=100",
        "--logFormat=json",
    )
    worker.callback(program.kill)
    json.loads(program.wait_for('"started"'))
    return program


def _restart(worker: ExitStack, folder: Path, gate: Gate, config: Path) -> None:
    worker.close()
    _start(worker, folder, gate, config)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=int, default=50, help="jobs a second")
    arguments = parser.parse_args()
    main(arguments.minutes, arguments.rate)
