"""The faults: each a name and a function that inflicts it on a rig for some seconds, and returns once its victim is whole again.

They sleep for as long as a fault lasts and for nothing else. What a fault may not do is prove anything: that is the auditor's.
"""

from __future__ import annotations

import resource
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from random import Random

import psutil

from tests.faults.gate import PULL, RESULTS, Rule, Spoil
from tests.faults.record import CONTROL_PLANE
from tests.faults.rig import TESTS, Rig, Worker

Inflict = Callable[[Rig, Random, float], None]
"""Inflict a fault for some seconds, with a source of chance for what it leaves open."""

HOUR = 3_600.0
FAR = 40 * 86_400.0
"""Seconds: beyond the retention of results."""
SPARE_DESCRIPTORS = 1
"""Descriptors that a worker short of them may still open."""


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    inflict: Inflict


def _on_worker(act: Callable[[Rig, Worker, float], None]) -> Inflict:
    def inflict(rig: Rig, random: Random, seconds: float) -> None:
        worker = random.choice(rig.workers)
        with rig.outage(worker.name):
            act(rig, worker, seconds)

    return inflict


def _on_plane(act: Callable[[Rig, float], None]) -> Inflict:
    def inflict(rig: Rig, random: Random, seconds: float) -> None:
        with rig.outage(CONTROL_PLANE):
            act(rig, seconds)

    return inflict


def _end_worker(number: signal.Signals, rig: Rig, worker: Worker, seconds: float) -> None:
    rig.end(worker, number)
    time.sleep(seconds)
    worker.start()


def _stop_worker(rig: Rig, worker: Worker, seconds: float) -> None:
    worker.running.signal(signal.SIGSTOP)
    time.sleep(seconds)
    worker.running.signal(signal.SIGCONT)


def _spoil_worker(spoil: Callable[[Worker], None], rig: Rig, worker: Worker, seconds: float) -> None:
    spoil(worker)
    time.sleep(seconds)
    worker.shim.mend()


def _swing_worker(rig: Rig, worker: Worker, seconds: float) -> None:
    for step in (-HOUR, HOUR, -HOUR, HOUR):
        worker.shim.step_clock(step)
        time.sleep(seconds / 4)
    worker.shim.mend()


def _starve_memory(rig: Rig, worker: Worker, seconds: float) -> None:
    """No more memory than it has; its heap has gaps enough for small things.

    A worker may end for want of it, as one does whose container has too little; another one takes its place.
    """
    limit = psutil.Process(worker.running.process.pid).memory_info().vms
    with _limited(worker, resource.RLIMIT_AS, limit):
        time.sleep(seconds)
    if worker.running.process.poll() is not None:
        rig.end(worker, signal.SIGKILL)
        worker.start()


def _starve_descriptors(rig: Rig, worker: Worker, seconds: float) -> None:
    limit = psutil.Process(worker.running.process.pid).num_fds() + SPARE_DESCRIPTORS
    with _limited(worker, resource.RLIMIT_NOFILE, limit):
        time.sleep(seconds)


@contextmanager
def _limited(worker: Worker, what: int, limit: int) -> Iterator[None]:
    process = worker.running.process
    soft, hard = resource.prlimit(process.pid, what)
    resource.prlimit(process.pid, what, (limit, hard))
    try:
        yield
    finally:
        if process.poll() is None:
            resource.prlimit(process.pid, what, (soft, hard))


def _rotate(rig: Rig, worker: Worker, seconds: float) -> None:
    """New keys; one worker is restarted with them, and the others go on with the old ones."""
    config = rig.folder / f"rotated-{time.monotonic_ns()}.json"
    with rig.operator:
        rig.plane.command("location", "rotate", "office", "--output", str(config), "--overlap-hours", "1")
    rig.end(worker, signal.SIGTERM)
    worker.config = config
    worker.start()


def _lose_spool(rig: Rig, worker: Worker, seconds: float) -> None:
    """A volume that is not kept: the worker dies, and its journal with it."""
    rig.end(worker, signal.SIGKILL)
    shutil.rmtree(worker.spool)
    worker.spool.mkdir()
    worker.start()


def _end_plane(number: signal.Signals, rig: Rig, seconds: float) -> None:
    assert rig.plane.program is not None
    rig.plane.program.signal(number)
    rig.plane.program.wait()
    time.sleep(seconds)
    rig.start_plane()


def _stop_plane(rig: Rig, seconds: float) -> None:
    assert rig.plane.program is not None
    rig.plane.program.signal(signal.SIGSTOP)
    time.sleep(seconds)
    rig.plane.program.signal(signal.SIGCONT)


def _spoil_plane(spoil: Callable[[Rig], None], rig: Rig, seconds: float) -> None:
    spoil(rig)
    time.sleep(seconds)
    rig.shim.mend()


def _set_plane(step: float, rig: Rig, seconds: float) -> None:
    rig.shim.step_clock(step)
    time.sleep(seconds)
    rig.shim.step_clock(0)


def _swing_plane(rig: Rig, seconds: float) -> None:
    for step in (-HOUR, HOUR, -HOUR, HOUR):
        rig.shim.step_clock(step)
        time.sleep(seconds / 4)
    rig.shim.step_clock(0)


def _set_plane_meanwhile(step: float, rig: Rig, seconds: float) -> None:
    """The clock is set while nobody serves, and set back while somebody does."""
    assert rig.plane.program is not None
    rig.plane.program.signal(signal.SIGKILL)
    rig.plane.program.wait()
    rig.shim.step_clock(step)
    rig.start_plane()
    time.sleep(seconds)
    rig.shim.step_clock(0)


def _lock_database(rig: Rig, seconds: float) -> None:
    connection = sqlite3.connect(rig.plane.database, timeout=20, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        connection.execute("ROLLBACK")
    finally:
        connection.close()


def _spoil_wire(spoil: Spoil, paths: tuple[str, ...], rig: Rig, random: Random, seconds: float) -> None:
    """One worker's exchanges, or everybody's; all of them, or the next few."""
    victims = rig.workers if random.random() < 0.4 else [random.choice(rig.workers)]
    rule = Rule(spoil, paths, random.choice((None, 3)))
    with rig.outage(*(worker.name for worker in victims)):
        for worker in victims:
            worker.gate.spoilt, worker.gate.rule = 0, rule
        time.sleep(seconds)
        for worker in victims:
            worker.gate.rule = None


def _pause(rig: Rig, random: Random, seconds: float) -> None:
    with rig.paused(random.randrange(TESTS)):
        time.sleep(seconds)


def _ask(rig: Rig, random: Random, seconds: float) -> None:
    rig.ask(random.randrange(TESTS))


_PATHS = {"pulls": (PULL,), "pushes": (RESULTS,), "exchanges": (PULL, RESULTS)}

PROCESSES: tuple[Fault, ...] = (
    Fault("worker killed", _on_worker(partial(_end_worker, signal.SIGKILL))),
    Fault("worker drained and restarted", _on_worker(partial(_end_worker, signal.SIGTERM))),
    Fault("worker stopped", _on_worker(_stop_worker)),
    Fault("worker's clock back", _on_worker(partial(_spoil_worker, lambda worker: worker.shim.step_clock(-HOUR)))),
    Fault("worker's clock ahead", _on_worker(partial(_spoil_worker, lambda worker: worker.shim.step_clock(HOUR)))),
    Fault("worker's clock back and forth", _on_worker(_swing_worker)),
    Fault("worker short of memory", _on_worker(_starve_memory)),
    Fault("worker short of descriptors", _on_worker(_starve_descriptors)),
    Fault("worker's disk full", _on_worker(partial(_spoil_worker, lambda worker: worker.shim.fill_disk()))),
    Fault("worker's disk slow", _on_worker(partial(_spoil_worker, lambda worker: worker.shim.slow_disk(500)))),
    Fault("worker and its journal gone", _on_worker(_lose_spool)),
    Fault("keys rotated", _on_worker(_rotate)),
    Fault("control plane killed", _on_plane(partial(_end_plane, signal.SIGKILL))),
    Fault("control plane restarted", _on_plane(partial(_end_plane, signal.SIGTERM))),
    Fault("control plane stopped", _on_plane(_stop_plane)),
    Fault("control plane's clock back", _on_plane(partial(_set_plane, -HOUR))),
    Fault("control plane's clock ahead", _on_plane(partial(_set_plane, HOUR))),
    Fault("control plane's clock far ahead", _on_plane(partial(_set_plane, FAR))),
    Fault("control plane's clock back and forth", _on_plane(_swing_plane)),
    Fault("database's disk full", _on_plane(partial(_spoil_plane, lambda rig: rig.shim.fill_disk()))),
    Fault("database's disk slow", _on_plane(partial(_spoil_plane, lambda rig: rig.shim.slow_disk(200)))),
    Fault("database locked", _on_plane(_lock_database)),
    Fault("test paused and resumed", _pause),
    Fault("run asked for", _ask),
    Fault("control plane killed and its clock set back", _on_plane(partial(_set_plane_meanwhile, -HOUR))),
    Fault("control plane killed and its clock set ahead", _on_plane(partial(_set_plane_meanwhile, HOUR))),
)
"""Faults of programs, clocks, disks and what operators do, in an order that seeds depend on."""

WIRE: tuple[Fault, ...] = tuple(
    Fault(f"{spoil.value}, {what}", partial(_spoil_wire, spoil, paths))
    for spoil in Spoil
    for what, paths in _PATHS.items()
)
"""Faults between workers and control plane, in an order that seeds depend on."""
