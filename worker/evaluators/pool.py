"""The pool of evaluators: it schedules tasks over processes and goes on with the rest of a task whose evaluator has died.

A death costs the one assertion that was in hand; the rest goes to the spare that stands ready. Tests take turns by what they
have cost (`sandbox.fair_queue`), between two assertions if need be, so that the patterns of one author do not starve the others.
Waiting is measured apart, for it is the worker's trouble, not the target's. Nothing here decides what an assertion means, and
nothing here keeps a limit: the kernel does, in the evaluator; the bound on a turn is for a machine on which that is not enough.
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
from worker.checks.evidence import AssertionLimits
from worker.clock import Clock
from worker.errors import EvaluationError
from worker.evaluators.bounds import MEMORY_BYTES, TURN_SECONDS, longest_turn, recycle_size
from worker.evaluators.exit_cause import REJECTED, STARVED, Cause, cause_of_exit
from worker.evaluators.protocol import FORGET, RESUME, EvaluatorReply, EvaluatorSettings, encode_settings
from worker.evaluators.supervisor import Supervisor
from worker.evaluators.task import Evaluation, Task
from worker.sandbox.fair_queue import FairQueue
from worker.sandbox.process import Process, python_module

log = logging.getLogger(__name__)

SPARES: Final = 1
"""Evaluators beyond those asked for: they replace a killed one at once, and serve what is light while the others are held."""
MAX_WAITING: Final = 10_000
"""Tasks in the queue. The slots bound them long before; this one is against a caller that has none."""
MAX_WAIT_SECONDS: Final = 60.0
"""The time that a task waits for an evaluator before it is given up: as long as the longest run."""
SWEEP_SECONDS: Final = 1.0


class Evaluators:
    """*size* evaluators and a spare, for the life of an `async with`; entering it waits for none of them.

    Each may take *memory_bytes* of resident memory.

    The counters are for the metrics. Since the start: `started`; `killed`, ended with an assertion in hand (limit, crash);
    `recycled`, replaced for their size; `crashed`, ended without any work. At present: `waiting`, `working`, `idle`.
    """

    def __init__(
        self,
        size: int,
        limits: AssertionLimits,
        clock: Clock,
        *,
        memory_bytes: int = MEMORY_BYTES,
        program: str = "worker.evaluators.evaluator",
    ) -> None:
        self.killed = self.recycled = 0
        self._size = size
        self._clock = clock
        self._cpu_seconds = limits.pattern_seconds
        self._longest_turn_s = longest_turn(limits.pattern_seconds)
        settings = EvaluatorSettings(
            limits=limits,
            turn_seconds=TURN_SECONDS,
            memory_bytes=memory_bytes,
            recycle_bytes=recycle_size(memory_bytes),
        )
        command = python_module(program, encode_settings(settings))
        self._supervisor = Supervisor(self, size + SPARES, command, clock)
        self._queue: FairQueue[Task] = FairQueue()
        self._idle: list[Process] = []
        self._working: dict[Process, Task] = {}
        self._timers: dict[Process, asyncio.TimerHandle] = {}
        self._reserve = 0
        self._closed = False
        self._group = asyncio.TaskGroup()
        self._loops: tuple[asyncio.Task[None], ...] = ()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._loops = (
            self._group.create_task(self._supervisor.run(), name="evaluators"),
            self._group.create_task(self._sweep(), name="evaluators' queue"),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        for loop in self._loops:
            loop.cancel()
        for task in (*self._working.values(), *self._queue):
            task.abort(EvaluationError("the evaluators are closed"))
        self._idle.clear()
        try:
            await self._supervisor.close()
        finally:
            # The group is for this class's own loops: only a cancellation that it may have asked for itself is its business.
            cancelled = isinstance(error, asyncio.CancelledError)
            await self._group.__aexit__(kind if cancelled else None, error if cancelled else None, trace)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @property
    def working(self) -> int:
        return len(self._working)

    @property
    def idle(self) -> int:
        return len(self._idle)

    @property
    def missing_protections(self) -> tuple[str, ...] | None:
        """The limits that this system lacks, in words; None until the first evaluator has found out."""
        return self._supervisor.missing_protections

    @property
    def started(self) -> int:
        return self._supervisor.started

    @property
    def crashed(self) -> int:
        return self._supervisor.crashed

    async def evaluate(
        self,
        test_key: str,
        assertions: Sequence[Assertion],
        observation: Observation,
        deadline_s: float = inf,
        *,
        with_preview: bool = False,
    ) -> Evaluation:
        """Judge *assertions*. Those that a limit stopped are results, too: not valid, with the reason.

        Tests with the same *test_key* share one turn. Assertions that evaluators have not judged in *deadline_s* seconds of work
        (waiting does not count) end with TIMEOUT. *with_preview*: the body's
        beginning is decoded, too. EvaluationError if no evaluator could be had. May be cancelled at any time.
        """
        if self._closed or len(self._queue) >= MAX_WAITING:
            raise EvaluationError("the evaluators are closed" if self._closed else "too many tests wait for evaluators")
        task = Task(
            test_key, assertions, observation, deadline_s, self._clock.monotonic_ns(), with_preview=with_preview
        )
        if deadline_s <= 0:
            task.expire()
        if task.finished:
            return task.evaluation()
        self._enqueue(task)
        try:
            await task.done
        finally:
            if task.done.cancelled():
                self._abandon(task)
        return task.evaluation()

    # What the supervisor reports (supervisor.User)

    def on_ready(self, process: Process) -> None:
        self._idle.append(process)
        if len(self._idle) + len(self._working) > self._size:
            self._reserve = SPARES
        self._dispatch()

    def on_reply(self, process: Process, reply: EvaluatorReply) -> bool:
        task = self._working.get(process)
        whole = reply.state in {"done", "recycle"}
        if task is None or not task.accept(reply) or whole != (task.outstanding == 0):
            return False  # `on_death` sees to its task
        if reply.state == "more":
            return True
        self._end_turn(process)
        if reply.state == "paused":
            if not self._queue:
                self._begin_turn(process, task)
                process.send(RESUME)
                return True
            process.send(FORGET)
        if reply.state == "recycle":
            self.recycled += 1
            self._supervisor.dismiss(process)
        else:
            self._idle.append(process)
        self._settle(task)
        return True

    def on_death(self, process: Process) -> bool:
        if self._supervisor.failing:
            self._reserve = 0  # the spare may be all that there is for a while
        task = self._working.get(process)
        if task is not None:
            self.killed += 1
            self._end_turn(process)
            self._record_death(process, task)
            self._settle(task)
        elif process in self._idle:
            self._idle.remove(process)
        self._dispatch()
        return task is not None

    # Turns

    def _enqueue(self, task: Task) -> None:
        task.since_ns = self._clock.monotonic_ns()
        self._queue.put(task.key, task)
        self._dispatch()

    def _dispatch(self) -> None:
        """Give tasks to idle evaluators. The last of these are for tests that cost little: the others can wait."""
        while self._idle and (task := self._queue.take(light_only=len(self._idle) <= self._reserve)) is not None:
            now = self._clock.monotonic_ns()
            task.waited_ns += now - task.since_ns
            process = self._idle.pop()  # the last one to work: its caches are warm, and the spare stays small
            self._begin_turn(process, task)
            process.send(*task.messages())

    def _begin_turn(self, process: Process, task: Task) -> None:
        task.since_ns = self._clock.monotonic_ns()
        self._working[process] = task
        bound = min(self._longest_turn_s, task.left_s)
        self._timers[process] = asyncio.get_running_loop().call_later(bound, self._overdue, process)

    def _end_turn(self, process: Process) -> Task:
        self._timers.pop(process).cancel()
        task = self._working.pop(process)
        took_s = (self._clock.monotonic_ns() - task.since_ns) / 1e9
        task.left_s -= took_s
        self._queue.charge(task.key, took_s)
        return task

    def _settle(self, task: Task) -> None:
        """End its turn: it is done, out of time, or goes back to the queue."""
        if task.left_s <= 0:
            task.expire()
        if task.done.done():
            self._dispatch()
        elif task.finished:
            self._dispatch()
            task.done.set_result(None)
        else:
            self._enqueue(task)

    def _overdue(self, process: Process) -> None:
        """End a turn because the test's time is up, or because the kernel's limits have not held on this machine."""
        out_of_time = self._working[process].left_s <= self._longest_turn_s
        task = self._end_turn(process)
        if out_of_time:
            task.left_s = 0.0
        else:
            self.killed += 1
            self._fail_assertion(task, process.position, STARVED)
        self._supervisor.dismiss(process)
        self._settle(task)

    def _abandon(self, task: Task) -> None:
        """Drop a task that nobody waits for. An evaluator that works on it is killed: its replies must not meet another task."""
        self._queue.remove(task.key, task)
        for process, busy_with in self._working.items():
            if busy_with is task:
                self._end_turn(process)
                self._supervisor.dismiss(process)
                break
        self._dispatch()

    async def _sweep(self) -> None:
        """Abort tasks that have waited for too long."""
        while True:
            await self._clock.sleep(SWEEP_SECONDS)
            latest = self._clock.monotonic_ns() - round(MAX_WAIT_SECONDS * 1e9)
            for task in [task for task in self._queue if task.since_ns <= latest]:
                self._queue.remove(task.key, task)
                task.abort(EvaluationError(f"no evaluator was free for {MAX_WAIT_SECONDS:g} s"))

    # Deaths

    def _record_death(self, process: Process, task: Task) -> None:
        """Give the assertion that was in hand the cause of its evaluator's death for a result."""
        cause = REJECTED if process.rejected else cause_of_exit(process.exit_code, self._cpu_seconds)
        if cause.external and not task.retried:
            task.retried = True  # once: the second death in the same task is not an accident
            return
        self._fail_assertion(task, process.position, cause)

    def _fail_assertion(self, task: Task, position: int, cause: Cause) -> None:
        task.fail_at(position, cause)
        log.info(
            "An evaluator was ended: %s",
            cause.reason,
            extra={"action": "evaluator_killed", "test": task.key, "reason": cause.reason},
        )
