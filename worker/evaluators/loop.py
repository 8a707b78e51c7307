"""What an evaluator process does: read a task, judge its assertions one by one under the kernel's limits, write the results.

One thread, no state between tasks but compiled patterns. It has its socket as standard input, a page shared with the worker in
which it notes which assertion it is about to judge (so that its death has a name), and after its start-up nothing else. It ends
when the worker does. The functions that judge are handed in: `evaluator` brings those of `checks`, tests bring worse ones.
"""

from __future__ import annotations

import mmap
import os
import resource
import socket
import sys
import time
from collections.abc import Callable
from typing import BinaryIO, Final, TypeAlias

from worker.apitest.assertion import Assertion, Comparison, JSONPathAssertion, XPathAssertion
from worker.apitest.observation import Observation
from worker.apitest.result import AssertionResult
from worker.checks.describe import unjudged
from worker.checks.evidence import Limits
from worker.checks.operators import PATTERNS
from worker.evaluators import protocol
from worker.evaluators.exit_cause import out_of_time
from worker.evaluators.protocol import Settings, decode_settings
from worker.outcome.failure import FailureCode
from worker.sandbox.confinement import (
    FOR_ENGINES,
    FOR_PATTERNS,
    Grace,
    Interrupted,
    Stopwatch,
    confine,
    die_with,
    outlive_signals,
)

FLUSH_SECONDS: Final = 0.005
"""Results go out together, unless they took this long: it bounds what a death makes the next evaluator do again."""

NICENESS: Final = 10
"""Judging can wait, timing cannot: where processors are short, the worker's event loop comes first, nine to one."""

Judge: TypeAlias = Callable[[Assertion], AssertionResult]
Prepare: TypeAlias = Callable[[Observation, Limits], Judge]
"""From one task's observation to the function that judges its assertions; what it parses lives as long as the task."""


def main(argv: list[str], prepare: Prepare, warm_up: Callable[[Limits], None]) -> None:
    """Become an evaluator: be bound to the worker, warm up, be confined, say so, serve until the worker hangs up."""
    settings = decode_settings(argv[1])
    outlive_signals()
    os.nice(NICENESS)
    bound = die_with(settings.parent)
    page = mmap.mmap(settings.page, mmap.PAGESIZE)
    os.close(settings.page)
    channel = socket.socket(fileno=os.dup(0))
    warm_up(settings.limits)
    _silence()
    size = _resident_size()
    missing = confine(settings.memory_bytes)
    if not bound:
        missing = (*missing, "death with the worker")
    channel.sendall(protocol.encode_reply(protocol.Ready(missing=missing)))
    source = os.fdopen(channel.fileno(), "rb", buffering=64 * 1024, closefd=False)
    exit_code = 1
    try:
        _Desk(prepare, settings, channel, page, size).serve(source)
        exit_code = 0
    finally:
        os._exit(exit_code)  # nothing is left to be done in order, and the worker waits for the end


_TO_RESUME: Final = (b"", b"")
"""The parts of `protocol.RESUME`."""


class _Desk:
    """The loop over tasks, and what it needs on the way."""

    def __init__(
        self,
        prepare: Prepare,
        settings: Settings,
        channel: socket.socket,
        page: mmap.mmap,
        resident_size: Callable[[], int],
    ) -> None:
        self._prepare = prepare
        self._settings = settings
        self._channel = channel
        self._page = page
        self._resident_size = resident_size
        self._out_of_time = out_of_time(settings.limits.pattern_seconds)
        self._stopwatch = Stopwatch(settings.limits.pattern_seconds)

    def serve(self, source: BinaryIO) -> None:
        """Work off tasks until the worker closes its end."""
        while self._work_off(source):
            pass  # nothing of a task is kept while the next one is waited for

    def _work_off(self, source: BinaryIO) -> bool:
        """Judge one task, or as much of it as the worker wants; False at the end."""
        parts = _read_parts(source)
        if parts is None:
            return False
        assertions, observation = protocol.decode_task(*parts)
        judge = self._prepare(observation, self._settings.limits)
        results: list[AssertionResult] = []
        reported = started = time.process_time()
        for index, assertion in enumerate(assertions, start=1):
            protocol.POSITION.pack_into(self._page, 0, index - 1)
            results.append(self._judge(judge, assertion))
            now = time.process_time()
            if index == len(assertions) or now - reported < FLUSH_SECONDS:
                continue
            paused = now - started >= self._settings.turn_seconds
            self._send(results, "paused" if paused else "going")
            results, reported = [], now
            if paused:
                self._stopwatch.rest()
                answer = _read_parts(source)
                if answer != _TO_RESUME:
                    return answer is not None
                started = now
        self._stopwatch.rest()
        spent = self._resident_size() > self._settings.spent_bytes
        self._send(results, "spent" if spent else "done")
        return True

    def _judge(self, judge: Judge, assertion: Assertion) -> AssertionResult:
        try:
            result = self._stopwatch.run(lambda: judge(assertion), _grace(assertion))
        except Interrupted:
            return unjudged(assertion, self._out_of_time.reason, self._out_of_time.code)
        except MemoryError:
            return unjudged(assertion, "it needs more memory than an assertion may use")
        except Exception as error:  # noqa: BLE001 - the top of this loop: an engine's bug costs one assertion
            return unjudged(assertion, f"it could not be evaluated: {type(error).__name__}", FailureCode.INTERNAL_ERROR)
        if protocol.is_too_large(result):
            return unjudged(assertion, "its result is too large to be reported", FailureCode.INTERNAL_ERROR)
        return result

    def _send(self, results: list[AssertionResult], state: protocol.State) -> None:
        self._channel.sendall(protocol.encode_reply(protocol.Reply(results=tuple(results), state=state)))


def _grace(assertion: Assertion) -> Grace:
    match assertion:
        case Comparison(operator=operator) | JSONPathAssertion(operator=operator) | XPathAssertion(operator=operator):
            return FOR_PATTERNS if operator in PATTERNS else FOR_ENGINES
        case _:
            return FOR_ENGINES


def _read_parts(source: BinaryIO) -> tuple[bytes, bytes] | None:
    """The two parts of a frame, or None at the end: a half frame is one, too, for its writer is gone."""
    header = source.read(protocol.TASK_HEADER.size)
    if len(header) < protocol.TASK_HEADER.size:
        return None
    message_size, body_size = protocol.TASK_HEADER.unpack(header)
    message = source.read(message_size)
    body = source.read(body_size)
    return (message, body) if len(message) + len(body) == message_size + body_size else None


def _silence() -> None:
    """Nothing that a library prints may reach the socket or the worker's own error stream."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.close(nowhere)


def _resident_size() -> Callable[[], int]:
    """A function for the process's resident bytes that opens nothing when it is called.

    Not getrusage where /proc exists: its maximum begins with the size of the worker that started this process.
    """
    try:
        statm = os.open("/proc/self/statm", os.O_RDONLY)
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return lambda: int(os.pread(statm, 100, 0).split()[1]) * mmap.PAGESIZE
