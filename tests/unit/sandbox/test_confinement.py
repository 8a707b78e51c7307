"""The stopwatch in this process; what lasts (files, memory, death) is tried on real evaluators in tests/integration/sandbox."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from worker.sandbox.confinement import FOR_ENGINES, FOR_PATTERNS, Interrupted, Stopwatch

SIGNALS = (signal.SIGPROF, signal.SIGALRM, signal.SIGVTALRM)


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    before = [(number, signal.getsignal(number)) for number in SIGNALS]
    yield
    for timer in (signal.ITIMER_REAL, signal.ITIMER_PROF, signal.ITIMER_VIRTUAL):
        signal.setitimer(timer, 0)
    for number, handler in before:
        signal.signal(number, handler)


def spin(seconds: float) -> str:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return "done"


def test_work_within_the_limit_is_done() -> None:
    stopwatch = Stopwatch(0.5)
    assert stopwatch.run(lambda: spin(0.01), FOR_ENGINES) == "done"
    stopwatch.rest()


def test_work_beyond_the_limit_is_interrupted_between_the_limit_and_the_kill() -> None:
    stopwatch = Stopwatch(0.1)
    began = time.thread_time()
    with pytest.raises(Interrupted):
        stopwatch.run(lambda: spin(10), FOR_ENGINES)
    stopwatch.rest()
    assert 0.05 < time.thread_time() - began < 0.1 + FOR_ENGINES.hard


def test_each_run_has_the_whole_limit() -> None:
    stopwatch = Stopwatch(0.1)
    for _ in range(5):
        assert stopwatch.run(lambda: spin(0.05), FOR_ENGINES) == "done"
    stopwatch.rest()


def test_an_interruption_is_no_exception_that_libraries_catch() -> None:
    def stubborn() -> str:
        try:
            return spin(10)
        except Exception:  # noqa: BLE001 - as a library would
            return "caught"

    stopwatch = Stopwatch(0.05)
    with pytest.raises(Interrupted):
        stopwatch.run(stubborn, FOR_ENGINES)
    stopwatch.rest()


def test_a_signal_after_the_work_interrupts_nothing() -> None:
    stopwatch = Stopwatch(0.5)
    stopwatch.run(lambda: None, FOR_PATTERNS)
    signal.raise_signal(signal.SIGVTALRM)
    stopwatch.rest()


def test_at_rest_no_timer_runs() -> None:
    stopwatch = Stopwatch(0.5)
    stopwatch.run(lambda: None, FOR_ENGINES)
    stopwatch.rest()
    timers = (signal.ITIMER_REAL, signal.ITIMER_PROF, signal.ITIMER_VIRTUAL)
    assert [signal.getitimer(timer) for timer in timers] == [(0.0, 0.0)] * 3


def test_the_kernel_is_left_to_deal_with_what_python_cannot_interrupt() -> None:
    Stopwatch(0.5)
    assert signal.getsignal(signal.SIGPROF) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
