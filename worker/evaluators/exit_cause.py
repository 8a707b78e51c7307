"""The cause of an evaluator's death, and its meaning for the assertion in hand. Pure."""

from __future__ import annotations

import signal

from msgspec import Struct

from worker.outcome.failure import FailureCode


class Cause(Struct, frozen=True, kw_only=True):
    """*reason* is for the assertion's result. *starved*: this machine was too busy. *external*: perhaps not of its doing."""

    reason: str
    code: FailureCode | None = FailureCode.INTERNAL_ERROR
    starved: bool = False
    external: bool = False


def out_of_time(cpu_seconds: float) -> Cause:
    """The CPU limit, however it ended the assertion."""
    return Cause(reason=f"it was not judged within {cpu_seconds * 1000:.0f} ms", code=FailureCode.TIMEOUT)


_FAULTS = frozenset(
    -number
    for number in (
        *(signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP, signal.SIGABRT),
        signal.SIGSYS,
    )
)
_NAMES = {int(number): number.name for number in signal.Signals}

STARVED = Cause(reason="this worker's machine was too busy to judge it", starved=True)
FORBIDDEN = Cause(reason="its evaluator made a system call that evaluators may not make")
REJECTED = Cause(reason="its evaluator sent something that is not a valid result")


def cause_of_exit(exit_code: int | None, cpu_seconds: float) -> Cause:
    """Tell the cause from *exit_code*, which is as in subprocess: negative for a signal."""
    if exit_code == -signal.SIGPROF:
        return out_of_time(cpu_seconds)
    if exit_code == -signal.SIGALRM:
        return STARVED
    if exit_code == -signal.SIGSYS:
        return FORBIDDEN
    if exit_code == -signal.SIGKILL:  # by a person, or to save the machine's memory
        return Cause(reason="its evaluator was killed from outside, perhaps for its memory", external=True)
    if exit_code is not None and exit_code < 0:
        return Cause(reason=f"its evaluator crashed ({_NAMES.get(-exit_code, f'signal {-exit_code}')})")
    return Cause(reason=f"its evaluator ended with exit code {exit_code}")


def is_fault(exit_code: int | None) -> bool:
    """True for an end by a bug in native code, which a hostile author may have looked for."""
    return exit_code in _FAULTS
