"""The interval timers, in this process."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from worker.sandbox.timers import CPUGrace, Interrupted, IntervalTimers

GRACE = CPUGrace(soft=0.0, hard=0.3)
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
    timers = IntervalTimers(0.5)
    assert timers.run(lambda: spin(0.01), GRACE) == "done"
    timers.stop()


def test_work_beyond_the_limit_is_interrupted_between_the_limit_and_the_kill() -> None:
    timers = IntervalTimers(0.1)
    began = time.thread_time()
    with pytest.raises(Interrupted):
        timers.run(lambda: spin(10), GRACE)
    timers.stop()
    assert 0.05 < time.thread_time() - began < 0.1 + GRACE.hard


def test_each_run_has_the_whole_limit() -> None:
    timers = IntervalTimers(0.1)
    for _ in range(5):
        assert timers.run(lambda: spin(0.05), GRACE) == "done"
    timers.stop()


def test_an_interruption_is_not_an_exception_that_libraries_catch() -> None:
    def stubborn() -> str:
        try:
            return spin(10)
        except Exception:  # noqa: BLE001 - as a library would
            return "caught"

    timers = IntervalTimers(0.05)
    with pytest.raises(Interrupted):
        timers.run(stubborn, GRACE)
    timers.stop()


def test_a_signal_after_the_work_interrupts_nothing() -> None:
    timers = IntervalTimers(0.5)
    timers.run(lambda: None, GRACE)
    signal.raise_signal(signal.SIGVTALRM)
    timers.stop()


def test_once_stopped_no_timer_runs() -> None:
    timers = IntervalTimers(0.5)
    timers.run(lambda: None, GRACE)
    timers.stop()
    all_three = (signal.ITIMER_REAL, signal.ITIMER_PROF, signal.ITIMER_VIRTUAL)
    assert [signal.getitimer(timer) for timer in all_three] == [(0.0, 0.0)] * 3


def test_the_kernel_is_left_to_deal_with_what_python_cannot_interrupt() -> None:
    IntervalTimers(0.5)
    assert signal.getsignal(signal.SIGPROF) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
