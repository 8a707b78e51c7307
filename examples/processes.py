"""The processes of the demo: started one after another, ended in the reverse order, and killed at once by a second signal."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import IO, Self

from examples.demo import SIGNALS

HERE = Path(__file__).resolve().parent
DRAIN = 20.0
"""Seconds given to each process to end by itself."""


class EndedError(Exception):
    """A process that ended too early. The text is what it complained of."""


class Processes:
    """Use as a context manager: at its end nothing runs any more. The first signal raises KeyboardInterrupt in it."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[str]] = []
        self._deferred = False
        self._interrupted = False
        self.killed = False

    def __enter__(self) -> Self:
        for number in SIGNALS:
            signal.signal(number, self._interrupt)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        return self

    def __exit__(self, *_: object) -> None:
        self._deferred = True  # from here on no signal raises
        for number in SIGNALS:
            signal.signal(number, self._kill)
        for process in reversed(self._running):
            _end(process)

    def start(
        self,
        command: Sequence[str],
        *,
        output: int | IO[str] | None = None,
        log: Path,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> subprocess.Popen[str]:
        """Start *command*, standard error into *log*, in a session of its own: a signal reaches it through us and in order.

        *environment* is added to ours.
        """
        self._deferred = True
        with log.open("w") as errors:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                text=True,
                start_new_session=True,
                cwd=HERE.parent,
                env={**os.environ, **environment},
            )
        self._running.append(process)
        self._deferred = False
        if self._interrupted:
            raise KeyboardInterrupt
        return process

    def start_until(self, ready: str, command: Sequence[str], *, log: Path) -> str:
        """Start *command* and return its first line of output. Raises EndedError where *ready* is not in that."""
        process = self.start(command, output=subprocess.PIPE, log=log)
        assert process.stdout is not None
        line = process.stdout.readline()
        if ready in line:
            return line
        _end(process)
        raise EndedError(f"{line}{log.read_text()}".strip())

    def run(self, command: Sequence[str], *, log: Path) -> str:
        """Run *command* to its end and return what it printed. Raises EndedError with what it complained of."""
        process = self.start(command, output=subprocess.PIPE, log=log)
        printed = output_of(process)
        if process.returncode:
            raise EndedError(log.read_text().strip())
        return printed

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        for number in SIGNALS:
            signal.signal(number, self._kill)
        self._interrupted = True
        if not self._deferred:  # else a process would run of which nobody knows
            raise KeyboardInterrupt

    def _kill(self, _number: int, _frame: FrameType | None) -> None:
        self.killed = True
        for process in self._running:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)


def shown(command: Sequence[str]) -> str:
    """The command as one would type it."""
    return "$ " + shlex.join([Path(command[0]).name, *command[1:]])


def output_of(process: subprocess.Popen[str]) -> str:
    """What *process*, started with a pipe for its output, prints until its end."""
    assert process.stdout is not None
    printed = process.stdout.read()
    process.wait()
    return printed


def _end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(DRAIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
