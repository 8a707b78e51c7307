from __future__ import annotations

import signal

import pytest

from worker.evaluators.exit_cause import cause_of_exit, is_fault, out_of_time
from worker.outcome.failure import FailureCode


def test_the_cpu_limit_is_a_timeout_in_milliseconds() -> None:
    cause = cause_of_exit(-signal.SIGPROF, 0.5)
    assert cause == out_of_time(0.5)
    assert (cause.reason, cause.code) == ("it was not judged within 500 ms", FailureCode.TIMEOUT)


def test_the_wall_clock_is_the_machines_trouble() -> None:
    cause = cause_of_exit(-signal.SIGALRM, 0.5)
    assert cause.starved
    assert cause.code is FailureCode.INTERNAL_ERROR


def test_a_kill_from_outside_may_have_nothing_to_do_with_the_assertion() -> None:
    assert cause_of_exit(-signal.SIGKILL, 0.5).external


def test_a_forbidden_system_call_is_told_by_its_signal() -> None:
    cause = cause_of_exit(-signal.SIGSYS, 0.5)
    assert "system call" in cause.reason
    assert cause.code is FailureCode.INTERNAL_ERROR
    assert not cause.external


@pytest.mark.parametrize(
    ("exit_code", "named"), [(-signal.SIGSEGV, "SIGSEGV"), (-signal.SIGABRT, "SIGABRT"), (0, "code 0"), (1, "code 1")]
)
def test_every_other_end_is_named(exit_code: int, named: str) -> None:
    cause = cause_of_exit(exit_code, 0.5)
    assert named in cause.reason
    assert cause.code is FailureCode.INTERNAL_ERROR
    assert not cause.external
    assert not cause.starved


def test_a_signal_that_has_no_name_here_is_named_by_its_number() -> None:
    assert "35" in cause_of_exit(-35, 0.5).reason


@pytest.mark.parametrize(
    ("exit_code", "fault"),
    [
        *((-number, True) for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGABRT, signal.SIGSYS)),
        *((-number, False) for number in (signal.SIGPROF, signal.SIGALRM, signal.SIGKILL, signal.SIGTERM)),
        *((code, False) for code in (0, 1, None)),
    ],
)
def test_a_fault_is_an_end_that_native_code_has_made(exit_code: int | None, *, fault: bool) -> None:
    assert is_fault(exit_code) is fault
