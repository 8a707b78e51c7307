"""The pool of evaluators: what is judged where, in which order, and what becomes of a task whose evaluator dies.

A death costs the one assertion that was in hand; the rest goes to the spare that stands ready. Tests take turns by what they
have cost (`turns`), between two assertions if need be, so that the patterns of one author do not starve the others. Waiting is
measured apart, for it is the worker's trouble, not the target's. Nothing here decides what an assertion means, and nothing here
keeps a limit: the kernel does, in the evaluator; the guard in this file is for a machine on which that is not enough.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from math import inf
from types import TracebackType
from typing import Final, Self

from worker.apitest.assertion import Assertion
from worker.apitest.observation import Observation
from worker.checks.evidence import Limits
from worker.clock import Clock
from worker.errors import EvaluationError
from worker.evaluators import protocol
from worker.evaluators.exit_cause import MISSPOKE, STARVED, Cause, cause_of_death
from worker.evaluators.protocol import Settings
from worker.evaluators.task import Errand, Evaluation
from worker.sandbox.confinement import FOR_ENGINES, WALL_FACTOR
from worker.sandbox.fair_queue import Turns
from worker.sandbox.process import Process

log = logging.getLogger(__name__)

SPARES: Final = 1
"""Evaluators beyond those asked for: they replace a killed one at once, and serve what is light while the others are held."""
TURN_SECONDS: Final = 0.25
"""CPU after which a task makes room for other tests. Its body is parsed again on return, so a turn is well above that cost."""
MEMORY_BYTES: Final = 1024**3
"""Address space of one evaluator: 5 MB of XML or of small JSON arrays take 180 MB of it, a bomb must not take the machine's."""
SPENT_BYTES: Final = 200 * 1024**2
"""Resident size after a task at which an evaluator is replaced: six times what it starts with."""
MAX_WAITING: Final = 10_000
"""Tasks in the queue. The slots bound them long before; this one is against a caller that has none."""
MAX_WAIT_SECONDS: Final = 60.0
"""How long a task waits for an evaluator before it is given up: as long as the longest run."""
SWEEP_SECONDS: Final = 1.0
GUARD_SECONDS: Final = 0.5
"""What a turn may take beyond all its limits in the kernel before the worker ends the evaluator itself."""
START_SECONDS: Final = 20.0
"""How long a start may take: a hundred times what it takes on an idle machine."""
FIRST_DELAY_SECONDS: Final = 0.1
LAST_DELAY_SECONDS: Final = 5.0
"""Between starts of evaluators that die at once, doubling."""
CLOSE_SECONDS: Final = 5.0
"""How long killed evaluators may take to be gone when the worker ends."""


class Evaluators:
    """*size* evaluators and a spare, for the life of an `async with`; entering it waits for none of them.

    The counters are for the metrics. Since the start: `started`; `killed`, ended with an assertion in hand (limit, crash);
    `recycled`, replaced for their size; `crashed`, ended without any work. At present: `waiting`, `working`, `standing_by`.
    """

    def __init__(
        self, size: int, limits: Limits, clock: Clock, *, program: str = "worker.evaluators.evaluator"
    ) -> None:
        self.started = self.killed = self.recycled = self.crashed = 0
        self._size = size
        self._clock = clock
        self._program = program
        self._cpu_seconds = limits.pattern_seconds
        self._settings = Settings(
            parent=0,
            page=0,
            limits=limits,
            turn_seconds=TURN_SECONDS,
            memory_bytes=MEMORY_BYTES,
            spent_bytes=SPENT_BYTES,
        )
        self._guard_seconds = WALL_FACTOR * (TURN_SECONDS + limits.pattern_seconds + FOR_ENGINES.hard) + GUARD_SECONDS
        self._turns: Turns[Errand] = Turns()
        self._alive: set[Process] = set()
        self._idle: list[Process] = []
        self._working: dict[Process, Errand] = {}
        self._timers: dict[Process, asyncio.TimerHandle] = {}
        self._changed = asyncio.Event()
        self._futile_starts = 0
        self._reserve = 0
        self._closed = False
        self._missing: tuple[str, ...] | None = None
        self._tasks = asyncio.TaskGroup()
        self._loops: tuple[asyncio.Task[None], ...] = ()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._loops = (
            self._tasks.create_task(self._keep(), name="evaluators"),
            self._tasks.create_task(self._sweep(), name="evaluators' queue"),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        for loop in self._loops:
            loop.cancel()
        for errand in (*self._working.values(), *self._turns):
            _fail(errand, EvaluationError("the evaluators are closed"))
        for process in self._alive:
            process.kill()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                while self._alive:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            log.warning("Evaluators do not end: %s", self._alive, extra={"action": "evaluators_not_ended"})
        finally:
            # The group is for this file's own loops: only a cancellation that it may have asked for itself is its business.
            cancelled = isinstance(error, asyncio.CancelledError)
            await self._tasks.__aexit__(kind if cancelled else None, error if cancelled else None, trace)

    @property
    def waiting(self) -> int:
        return len(self._turns)

    @property
    def working(self) -> int:
        return len(self._working)

    @property
    def standing_by(self) -> int:
        return len(self._idle)

    @property
    def missing_protections(self) -> tuple[str, ...] | None:
        """What this system cannot limit, in words; None until the first evaluator has found out."""
        return self._missing

    async def evaluate(
        self, test_key: str, assertions: Sequence[Assertion], observation: Observation, deadline_s: float = inf
    ) -> Evaluation:
        """Judge *assertions*. Those that a limit stopped are results, too: not valid, with the reason.

        Tests with the same *test_key* share one turn. What evaluators have not judged in *deadline_s* seconds of work (waiting
        does not count) ends with TIMEOUT. EvaluationError if no evaluator could be had. May be cancelled at any time.
        """
        if self._closed or len(self._turns) >= MAX_WAITING:
            raise EvaluationError("the evaluators are closed" if self._closed else "too many tests wait for evaluators")
        errand = Errand(test_key, assertions, observation, deadline_s, self._clock.monotonic_ns())
        if deadline_s <= 0:
            errand.expire()
        if errand.finished:
            return errand.evaluation()
        self._queue(errand)
        try:
            await errand.done
        finally:
            if errand.done.cancelled():
                self._abandon(errand)
        return errand.evaluation()

    # What the evaluators report (process.Owner)

    def on_ready(self, process: Process, missing: Sequence[str]) -> None:
        if self._missing is None:
            self._missing = tuple(missing)
            for protection in missing:
                log.warning(
                    "This system does not give evaluators %s",
                    protection,
                    extra={"action": "evaluator_protection_missing", "protection": protection},
                )
        if not self._closed:
            self._idle.append(process)
        if len(self._idle) + len(self._working) > self._size:
            self._reserve = SPARES
        self._changed.set()
        self._dispatch()

    def on_reply(self, process: Process, reply: protocol.Reply) -> None:
        errand = self._working.get(process)
        whole = reply.state in {"done", "spent"}
        if errand is None or not errand.accept(reply.results) or whole != (errand.outstanding == 0):
            process.disown()  # it was not asked, or answers something else: `on_death` sees to its task
            return
        self._futile_starts = 0
        if reply.state == "going":
            return
        self._end_turn(process)
        if reply.state == "paused":
            if not self._turns:
                self._enter(process, errand)
                process.resume()
                return
            process.forget()
        if reply.state == "spent":
            self.recycled += 1
            self._dismiss(process)
        else:
            self._idle.append(process)
        self._settle(errand)

    def on_death(self, process: Process) -> None:
        self._alive.discard(process)
        self._changed.set()
        if self._futile_starts:
            self._reserve = 0  # the spare may be all that there is for a while
        if process in self._working:
            self.killed += 1
            errand = self._end_turn(process)
            self._autopsy(process, errand)
            self._settle(errand)
        elif not process.dismissed and not self._closed:
            self.crashed += 1
            self._futile_starts += 1
            log.warning(
                "An evaluator ended by itself (%s)",
                process.exit_code,
                extra={"action": "evaluator_crashed", "exit_code": process.exit_code},
            )
            if process in self._idle:
                self._idle.remove(process)
        self._dispatch()

    # Turns

    def _queue(self, errand: Errand) -> None:
        errand.since_ns = self._clock.monotonic_ns()
        self._turns.put(errand.key, errand)
        self._dispatch()

    def _dispatch(self) -> None:
        """Hand out what may go now. The last evaluators that stand by are for tests that cost little: the others can wait."""
        while self._idle and (errand := self._turns.take(light_only=len(self._idle) <= self._reserve)) is not None:
            now = self._clock.monotonic_ns()
            errand.waited_ns += now - errand.since_ns
            process = self._idle.pop()  # the last one to work: its caches are warm, and the spare stays small
            self._enter(process, errand)
            process.work(*errand.task())

    def _enter(self, process: Process, errand: Errand) -> None:
        errand.since_ns = self._clock.monotonic_ns()
        self._working[process] = errand
        bound = min(self._guard_seconds, errand.left_s)
        self._timers[process] = asyncio.get_running_loop().call_later(bound, self._overdue, process)

    def _end_turn(self, process: Process) -> Errand:
        self._timers.pop(process).cancel()
        errand = self._working.pop(process)
        took_s = (self._clock.monotonic_ns() - errand.since_ns) / 1e9
        errand.left_s -= took_s
        self._turns.charge(errand.key, took_s)
        return errand

    def _settle(self, errand: Errand) -> None:
        """Its turn is over: done, out of time, or back to the queue."""
        if errand.left_s <= 0:
            errand.expire()
        if errand.done.done():
            self._dispatch()
        elif errand.finished:
            self._dispatch()
            errand.done.set_result(None)
        else:
            self._queue(errand)

    def _overdue(self, process: Process) -> None:
        """Either the test's time is up, or the kernel's limits have not held on this machine."""
        out_of_time = self._working[process].left_s <= self._guard_seconds
        errand = self._end_turn(process)
        if out_of_time:
            errand.left_s = 0.0
        else:
            self.killed += 1
            self._blame(errand, process.position, STARVED)
        self._dismiss(process)
        self._settle(errand)

    def _abandon(self, errand: Errand) -> None:
        """Nobody waits for it any more. An evaluator in the middle of it is killed: its replies must not meet another task."""
        self._turns.remove(errand.key, errand)
        for process, busy_with in self._working.items():
            if busy_with is errand:
                self._end_turn(process)
                self._dismiss(process)
                break
        self._dispatch()

    async def _sweep(self) -> None:
        """Give up what has waited for too long."""
        while True:
            await self._clock.sleep(SWEEP_SECONDS)
            latest = self._clock.monotonic_ns() - round(MAX_WAIT_SECONDS * 1e9)
            for errand in [errand for errand in self._turns if errand.since_ns <= latest]:
                self._turns.remove(errand.key, errand)
                _fail(errand, EvaluationError(f"no evaluator was free for {MAX_WAIT_SECONDS:g} s"))

    # Deaths

    def _autopsy(self, process: Process, errand: Errand) -> None:
        """Give the assertion that was in hand the reason of its evaluator's death for a result."""
        cause = MISSPOKE if process.misspoke else cause_of_death(process.exit_code, self._cpu_seconds)
        if cause.foreign and not errand.excused:
            errand.excused = True  # once: the second death in the same task is no accident
            return
        self._blame(errand, process.position, cause)

    def _blame(self, errand: Errand, position: int, cause: Cause) -> None:
        errand.blame(position, cause)
        log.info(
            "An evaluator was ended: %s",
            cause.reason,
            extra={"action": "evaluator_killed", "test": errand.key, "reason": cause.reason},
        )

    def _dismiss(self, process: Process) -> None:
        process.dismissed = True
        process.kill()

    # Starts

    async def _keep(self) -> None:
        """Keep the pool full, starting one evaluator after another, so that a start takes one core at most."""
        while True:
            self._changed.clear()
            if len(self._alive) < self._size + SPARES:
                await self._start_one()
            else:
                await self._changed.wait()

    async def _start_one(self) -> None:
        if self._futile_starts:
            delay = FIRST_DELAY_SECONDS * 2 ** min(self._futile_starts - 1, 10)
            await self._clock.sleep(min(delay, LAST_DELAY_SECONDS))
        process = Process(self)
        try:
            await process.start(self._program, self._settings)
        except OSError as error:
            self._futile_starts += 1
            log.warning("No evaluator could be started: %s", error, extra={"action": "evaluator_not_started"})
            return
        self.started += 1
        self._alive.add(process)
        try:
            async with asyncio.timeout(START_SECONDS):
                while not process.ready and process.exit_code is None:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            process.kill()


def _fail(errand: Errand, error: EvaluationError) -> None:
    if not errand.done.done():
        errand.done.set_exception(error)
