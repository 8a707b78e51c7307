"""A runner that notes how late its loop is: `python -m benchmarks.lagging_runner FILE`, otherwise as `private-action-runner`.

On SIGUSR1 it writes what it has noted since the last time into FILE, as a JSON list of milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from pathlib import Path

import uvloop

from worker.actionrunner import cli

TICK_SECONDS = 0.005
_uvloop = uvloop.new_event_loop


class LoopLag:
    """The lateness of every tick of a loop, in milliseconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop, file: Path) -> None:
        self._loop = loop
        self._file = file
        self._found: list[float] = []
        self._tick(time.perf_counter())
        loop.add_signal_handler(signal.SIGUSR1, self._write)

    def _tick(self, due: float) -> None:
        now = time.perf_counter()  # the loop's own time stands still while it is held
        self._found.append((now - due) * 1000)
        self._loop.call_later(TICK_SECONDS, self._tick, now + TICK_SECONDS)

    def _write(self) -> None:
        found, self._found = self._found, []
        text = json.dumps(found)
        making = self._file.with_suffix(".new")
        making.write_text(text)
        making.rename(self._file)


def _watched_loop() -> asyncio.AbstractEventLoop:
    loop = _uvloop()
    LoopLag(loop, Path(sys.argv[1]))
    return loop


if __name__ == "__main__":
    uvloop.new_event_loop = _watched_loop  # type: ignore[assignment]  # the runner's own place for it
    sys.exit(cli.execute(sys.argv[2:]))
