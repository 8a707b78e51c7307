"""The supervisor of the evaluator processes: it starts one after another, replaces those that end, and kills all at the close.

It does not know the work: replies go to the `User`, who also says of each death whether there was work in hand.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from worker.clock import Clock
from worker.evaluators.exit_cause import is_fault
from worker.evaluators.protocol import MAX_REPLY_BYTES, EvaluatorReply, Ready, decode_ready, decode_reply
from worker.sandbox.forkserver import ForkServer
from worker.sandbox.process import Command, Process

log = logging.getLogger(__name__)

START_SECONDS: Final = 20.0
"""Time for a start: a hundred times what it takes on an idle machine."""
FIRST_DELAY_SECONDS: Final = 0.1
LAST_DELAY_SECONDS: Final = 5.0
"""Between starts of evaluators that die at once, doubling."""
CLOSE_SECONDS: Final = 5.0
"""Time for killed evaluators to be gone when the worker ends."""


class User(Protocol):
    """The one that gives work to the processes."""

    def on_ready(self, process: Process) -> None: ...

    def on_reply(self, process: Process, reply: EvaluatorReply) -> bool:
        """Take a reply. False if it answers nothing that was asked: the process is killed."""
        ...

    def on_death(self, process: Process) -> bool:
        """Give up the process. False if it had no work in hand."""
        ...


class _State(enum.Enum):
    STARTING = enum.auto()
    READY = enum.auto()
    DISMISSED = enum.auto()
    """Killed because it is not wanted any more."""


class Supervisor:
    """Keeps *size* processes alive while `run` runs.

    Counted since the start: `started`; `crashed`, ended without any work and without being dismissed, the process included from
    which they are forked.
    """

    def __init__(self, user: User, size: int, command: Command, clock: Clock) -> None:
        self.started = self.crashed = 0
        self.missing_protections: tuple[str, ...] | None = None
        self._user = user
        self._size = size
        self._server = ForkServer(command, self._on_server_end)
        self._clock = clock
        self._states: dict[Process, _State] = {}
        self._failures = 0
        self._changed = asyncio.Event()
        self._closed = False

    @property
    def failing(self) -> bool:
        """True if no evaluator has done any work since the last one that failed to start or crashed."""
        return self._failures > 0

    async def run(self) -> None:
        """Keep the processes at their number, starting one after another, so that a start takes one core at most."""
        while True:
            self._changed.clear()
            if len(self._states) < self._size:
                await self._start_one()
            else:
                await self._changed.wait()

    def dismiss(self, process: Process) -> None:
        """Kill it; another one takes its place."""
        self._states[process] = _State.DISMISSED
        process.kill()

    async def close(self) -> None:
        """Kill all processes and wait for their ends. `run` has been cancelled."""
        self._closed = True
        for process in self._states:
            process.kill()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._server.close()
                while self._states:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            log.warning("Evaluators do not end: %s", [*self._states], extra={"action": "evaluators_not_ended"})

    def on_frame(self, process: Process, payload: bytes) -> None:
        decode = decode_reply if self._states.get(process) is _State.READY else decode_ready
        try:
            message = decode(payload)
        except (msgspec.DecodeError, RecursionError):
            process.reject()
            return
        if isinstance(message, Ready):
            self._accept(process, message.missing)
        elif self._user.on_reply(process, message):
            self._failures = 0
        else:
            process.reject()

    def on_death(self, process: Process) -> None:
        state = self._forget(process)
        if process.rejected or is_fault(process.exit_code):
            self._server.renew()  # an attack that guesses addresses learns from each death, unless the next process has others
        if self._user.on_death(process) or state is _State.DISMISSED or self._closed:
            return
        self.crashed += 1
        self._failures += 1
        self._log_crash("An evaluator ended by itself (%s)", process.exit_code)

    def _on_server_end(self, exit_code: int | None) -> None:
        """Note that the process has ended from which evaluators are forked. They live on; the next one starts it again."""
        self.crashed += 1
        self._log_crash("The process that evaluators are forked from ended by itself (%s)", exit_code)

    @staticmethod
    def _log_crash(words: str, exit_code: int | None) -> None:
        log.warning(words, exit_code, extra={"action": "evaluator_crashed", "exit_code": exit_code})

    def _accept(self, process: Process, missing: Sequence[str]) -> None:
        self._states[process] = _State.READY
        self._changed.set()
        if self.missing_protections is None:
            self.missing_protections = tuple(missing)
            for protection in missing:
                log.warning(
                    "This system does not give evaluators %s",
                    protection,
                    extra={"action": "evaluator_protection_missing", "protection": protection},
                )
        self._user.on_ready(process)

    async def _start_one(self) -> None:
        if self._failures:
            delay = FIRST_DELAY_SECONDS * 2 ** min(self._failures - 1, 10)
            await self._clock.sleep(min(delay, LAST_DELAY_SECONDS))
        process = Process(self, MAX_REPLY_BYTES)
        self._states[process] = _State.STARTING
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._start(process)
        except TimeoutError:
            process.kill()
            self._server.end()

    async def _start(self, process: Process) -> None:
        """Start it, and wait until it is ready or gone."""
        try:
            await process.start(self._server)
        except OSError as error:
            self._forget(process)
            self._failures += 1
            log.warning("No evaluator could be started: %s", error, extra={"action": "evaluator_not_started"})
            return
        except asyncio.CancelledError:
            self._forget(process)
            raise
        self.started += 1
        while self._states.get(process) is _State.STARTING:
            self._changed.clear()
            await self._changed.wait()

    def _forget(self, process: Process) -> _State | None:
        self._changed.set()
        return self._states.pop(process, None)
