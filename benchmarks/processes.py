"""Other processes, started, ended, and their CPU and memory read from /proc: what the benchmarks measure is never in the
process that measures.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")
NO_PEER = 69
"""Exit code of a benchmark whose peer is not installed, sysexits' EX_UNAVAILABLE."""


def need(program: str, package: str) -> None:
    """End this benchmark, saying how to go on, if *program* is not there to be compared with."""
    if shutil.which(program) is None:
        print(f"{program} is not installed: apt-get install {package}", file=sys.stderr)
        sys.exit(NO_PEER)


@contextmanager
def process(*command: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process of ours, and the first line that it says."""
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert started.stdout is not None
        yield started, started.stdout.readline().strip()
    finally:
        end(started)


@contextmanager
def running(target: Callable[..., None], *arguments: object) -> Iterator[Any]:
    """Run *target* in a process of its own, with the end of a pipe and *arguments*; what it sends first is yielded."""
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(target=target, args=(theirs, *arguments), daemon=True)
    child.start()
    try:
        yield ours.recv()
    finally:
        child.terminate()
        child.join()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_for_port(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"nothing listens on port {port}")


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


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes of memory in use. *pss*: what is shared with others is divided among them, so that neighbours that run the same
    Python make it smaller; *anonymous* is the part that nobody shares: no libraries, no code.
    """

    pss: int = 0
    anonymous: int = 0

    def __add__(self, other: Size) -> Size:
        return Size(self.pss + other.pss, self.anonymous + other.anonymous)


def size(pid: int) -> Size:
    """The size of *pid* alone; of nothing once it has ended. PermissionError: of a worker only root may ask."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return Size()
    kilobytes = dict(line.split()[:2] for line in rollup.splitlines()[1:])
    return Size(int(kilobytes["Pss:"]) * 1024, int(kilobytes["Pss_Anon:"]) * 1024)


def family_size(pid: int) -> Size:
    """The size of *pid* and its descendants: pages that they share are counted once."""
    return sum(map(size, family(pid)), Size())


def end(process: subprocess.Popen[str]) -> None:
    """Ask it to stop, insist after ten seconds."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
