"""CPU and memory of other processes, read from /proc: what the benchmarks measure is never in the process that measures."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """*pid* and all its descendants that live now."""
    found = [pid]
    for parent in found:
        try:
            for task in Path(f"/proc/{parent}/task").iterdir():
                found.extend(int(child) for child in (task / "children").read_text().split())
        except OSError:
            continue
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of *pid* and its descendants, those that have ended and been reaped included."""
    total = 0
    for member in family(pid):
        try:
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        own, reaped = fields[11:13], fields[13:15]
        total += sum(map(int, own)) + sum(map(int, reaped))
    return total / TICKS


def pss_bytes(pid: int) -> int:
    """Proportional set size of *pid* and its descendants: shared pages are counted once."""
    total = 0
    for member in family(pid):
        try:
            rollup = Path(f"/proc/{member}/smaps_rollup").read_text()
        except OSError:
            continue
        total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) * 1024
    return total


def end(process: subprocess.Popen[str]) -> None:
    """Ask it to stop, insist after ten seconds."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
