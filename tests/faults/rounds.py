"""Rounds: a seed → a plan of faults, and a plan → what the auditor says of it. Plans are pure; a round takes about a minute."""

from __future__ import annotations

import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.faults.auditor import Violation, audit, longest_dark
from tests.faults.faults import PROCESSES, WIRE, Fault
from tests.faults.record import Record
from tests.faults.rig import LEASE, PERIOD, TESTS, Rig, running_rig

WORKERS = 3
FAULTS = 3
"""Faults of one round, one of them on the wire: enough to meet each other, few enough to tell which one it was."""
WINDOW = 10.0
"""Seconds within which faults begin."""
LONGEST = 18.0
"""Seconds that a fault lasts at most: more than a lease."""
EDIT_EVERY = 4.0
"""Seconds between edits of tests, so that runs are due all the time."""
SETTLING = (LEASE + PERIOD) / 1000 + 10
"""Seconds after the last fault in which every run ends where the promise is kept, and some for a busy machine."""


@dataclass(frozen=True, slots=True)
class Planned:
    """*fault* at *at* seconds, for *seconds*; *salt* seeds its own chance."""

    fault: Fault
    at: float
    seconds: float
    salt: int


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a round. *dark* is in milliseconds."""

    seed: int
    faults: tuple[str, ...]
    counts: dict[str, int]
    dark: int
    violations: tuple[Violation, ...]

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {name}" for name, count in self.counts.items())
        lines = [f"seed {self.seed}: {'; '.join(self.faults)}: {counts}, dark at most {self.dark / 1000:.1f} s"]
        return "\n    ".join([*lines, *map(str, self.violations)])


def plan(seed: int) -> tuple[Planned, ...]:
    """The faults of a seed, in the order in which they begin. Seeds that follow one another miss none, the others are chance."""
    random = Random(seed)
    first = PROCESSES[seed % len(PROCESSES)]
    others = random.sample([fault for fault in PROCESSES if fault is not first], FAULTS - 2)
    chosen = [first, *others, WIRE[seed % len(WIRE)]]
    planned = [
        Planned(fault, random.uniform(0, WINDOW), random.uniform(1, LONGEST), random.randrange(1 << 32))
        for fault in chosen
    ]
    return tuple(sorted(planned, key=lambda one: one.at))


def run_round(seed: int, library: Path) -> Report:
    """Run the round of *seed*, with the shim *library*, and audit it. Raises what a fault itself could not do."""
    planned = plan(seed)
    with (
        tempfile.TemporaryDirectory(prefix="faults-") as folder,
        running_rig(Path(folder), library, Random(seed), workers=WORKERS) as rig,
    ):
        _inflict(rig, planned, Random(seed))
        rig.edit(range(TESTS))
        calm_at = max(demand.end for demand in rig.demands)
        _settle(rig, calm_at)
        record = rig.record(calm_at)
    return _report(seed, planned, record)


def _inflict(rig: Rig, planned: tuple[Planned, ...], random: Random) -> None:
    errors: list[BaseException] = []
    start = time.monotonic()
    threads = [threading.Thread(target=_one, args=(rig, one, start, errors), name=one.fault.name) for one in planned]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        rig.edit(random.sample(range(TESTS), TESTS // 2))
        rig.revive()
        due = time.monotonic() + EDIT_EVERY
        for thread in threads:
            thread.join(max(0.0, due - time.monotonic()))
    if errors:
        raise errors[0]


def _one(rig: Rig, planned: Planned, start: float, errors: list[BaseException]) -> None:
    time.sleep(max(0.0, start + planned.at - time.monotonic()))
    try:
        planned.fault.inflict(rig, Random(planned.salt), planned.seconds)
    except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
        errors.append(error)


def _settle(rig: Rig, calm_at: int) -> None:
    deadline = time.monotonic() + SETTLING
    while time.monotonic() < deadline and not rig.settled(calm_at):
        rig.revive()
        time.sleep(0.3)


def _report(seed: int, planned: tuple[Planned, ...], record: Record) -> Report:
    origins = Counter(row.origin for row in record.rows)
    counts = {
        "runs due": len(record.demands),
        "results": origins["worker"],
        "missed": sum(row.runs for row in record.rows if row.origin == "missed"),
        "lost": origins["lost"],
        "unhealthy": sum(row.origin == "worker" and row.unhealthy is not None for row in record.rows),
        "acknowledged": len({one for exchange in record.exchanges for one in exchange.acknowledged}),
    }
    names = tuple(f"{one.fault.name} at {one.at:.1f} for {one.seconds:.1f} s" for one in planned)
    return Report(seed, names, counts, longest_dark(record)[0], tuple(audit(record)))
