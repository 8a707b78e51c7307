"""The loop of an evaluator process: read a task, judge its assertions one by one under the kernel's limits, write the results.

One thread, no state between tasks but compiled patterns. Before each assertion it notes its index as the process's position, so
that a death can be laid to that assertion; the index behind the last one is that of the body's preview. It ends when the worker
hangs up. The functions that judge are handed in: `evaluator` brings those of `checks`, tests bring worse ones.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final, TypeAlias

from worker.apitest.assertion import Assertion, Comparison, JavaScriptAssertion, JSONPathAssertion, XPathAssertion
from worker.apitest.extraction import Extraction, Parser
from worker.apitest.observation import Observation, ProbeResponse
from worker.apitest.result import AssertionResult, BodyPreview
from worker.checks.describe import unjudged
from worker.checks.evidence import AssertionLimits
from worker.checks.operators import PATTERNS
from worker.evaluators import protocol
from worker.evaluators.bounds import FOR_ENGINES, FOR_PATTERNS, NICENESS
from worker.evaluators.exit_cause import out_of_time
from worker.evaluators.protocol import EvaluatorSettings
from worker.outcome.failure import FailureCode
from worker.sandbox.child import ParentChannel, attach, resident_size
from worker.sandbox.forking import fork_on_request
from worker.sandbox.timers import CPUGrace, Interrupted, IntervalTimers

FLUSH_SECONDS: Final = 0.005
"""Results go out together, unless they took this long: it bounds what a death makes the next evaluator do again."""

Judge: TypeAlias = Callable[[Assertion], AssertionResult]
Prepare: TypeAlias = Callable[[Observation, AssertionLimits], Judge]
"""From one task's observation to the function that judges its assertions; what it parses lives as long as the task."""

PreviewOf: TypeAlias = Callable[[ProbeResponse | None], BodyPreview | None]
"""From a response to the beginning of its body."""


def main(
    argv: list[str],
    prepare: Prepare,
    preview_of: PreviewOf,
    warm_up: Callable[[AssertionLimits], None],
    between_tasks: Callable[[], None] = lambda: None,
) -> None:
    """Become an evaluator: be bound to the worker, warm up, be confined, say so, serve until the worker hangs up.

    Where evaluators are forked, the process that has warmed up is the server that forks them: they share what it has loaded.

    *between_tasks* is called when a task has been answered, for what the next one would have to wait for; no limit is on it.
    """
    first = attach(argv)
    settings = protocol.decode_settings(*first.arguments)
    os.nice(NICENESS)
    warm_up(settings.limits)
    worker = fork_on_request(first)
    size = resident_size()
    missing = worker.confine(settings.memory_bytes)
    worker.write(protocol.encode_reply(protocol.Ready(missing=missing)))
    exit_code = 1
    try:
        _Loop(prepare, preview_of, between_tasks, settings, worker, size).serve()
        exit_code = 0
    finally:
        os._exit(exit_code)  # nothing is left to be done in order, and the worker waits for the end


class _Loop:
    """The loop over tasks, and what it needs on the way."""

    def __init__(
        self,
        prepare: Prepare,
        preview_of: PreviewOf,
        between_tasks: Callable[[], None],
        settings: EvaluatorSettings,
        worker: ParentChannel,
        resident_bytes: Callable[[], int],
    ) -> None:
        self._prepare = prepare
        self._preview_of = preview_of
        self._between_tasks = between_tasks
        self._settings = settings
        self._worker = worker
        self._resident_bytes = resident_bytes
        self._out_of_time = out_of_time(settings.limits.pattern_seconds)
        self._timers = IntervalTimers(settings.limits.pattern_seconds)

    def serve(self) -> None:
        """Work off tasks until the worker hangs up."""
        while self._work_off():
            self._between_tasks()  # nothing of a task is kept while the next one is waited for

    def _work_off(self) -> bool:
        """Judge one task, or as much of it as the worker wants, then make its preview; False at the end."""
        task, body = self._worker.read(), self._worker.read()
        if task is None or body is None:
            return False
        assertions, observation, wanted = protocol.decode_task(task, body)
        judge = self._prepare(observation, self._settings.limits)
        results: list[AssertionResult] = []
        reported = started = time.process_time()
        for index, assertion in enumerate(assertions, start=1):
            self._worker.position.write(index - 1)
            results.append(self._judge(judge, assertion))
            now = time.process_time()
            if index == len(assertions) or now - reported < FLUSH_SECONDS:
                continue
            paused = now - started >= self._settings.turn_seconds
            self._send(results, "paused" if paused else "more")
            results, reported = [], now
            if paused:
                self._timers.stop()
                answer = self._worker.read()
                if answer != protocol.RESUME:
                    return answer is not None
                started = now
        self._worker.position.write(len(assertions))
        preview = self._preview(observation) if wanted else None
        self._timers.stop()
        recycle = self._resident_bytes() > self._settings.recycle_bytes
        self._send(results, "recycle" if recycle else "done", preview)
        return True

    def _judge(self, judge: Judge, assertion: Assertion) -> AssertionResult:
        try:
            result = self._timers.run(lambda: judge(assertion), _grace(assertion))
        except Interrupted:
            return unjudged(assertion, self._out_of_time.reason, self._out_of_time.code)
        except MemoryError:
            return unjudged(assertion, "it needs more memory than an assertion may use")
        except Exception as error:  # noqa: BLE001 - the top of this loop: an engine's bug costs one assertion
            return unjudged(assertion, f"it could not be evaluated: {type(error).__name__}", FailureCode.INTERNAL_ERROR)
        if protocol.is_too_large(result):
            return unjudged(assertion, "its result is too large to be reported", FailureCode.INTERNAL_ERROR)
        return result

    def _preview(self, observation: Observation) -> protocol.Preview | None:
        """None if it cannot be made within the limits: the verdict is worth more."""
        try:
            made = self._timers.run(lambda: self._preview_of(observation.response), FOR_ENGINES)
        except (Interrupted, MemoryError):
            return None
        return None if made is None else protocol.Preview(text=made.text, is_cut=made.is_cut)

    def _send(
        self, results: list[AssertionResult], state: protocol.EvaluationState, preview: protocol.Preview | None = None
    ) -> None:
        reply = protocol.EvaluatorReply(results=tuple(results), state=state, preview=preview)
        self._worker.write(protocol.encode_reply(reply))


def _grace(assertion: Assertion) -> CPUGrace:
    match assertion:
        case Comparison(operator=operator) | JSONPathAssertion(operator=operator) | XPathAssertion(operator=operator):
            return FOR_PATTERNS if operator in PATTERNS else FOR_ENGINES
        case Extraction(parser=Parser.REGEX) | JavaScriptAssertion():
            return FOR_PATTERNS
        case _:
            return FOR_ENGINES
