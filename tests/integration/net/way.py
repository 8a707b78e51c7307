"""A recorder on the machine's clock, for tests of the way to a target."""

from __future__ import annotations

from worker.clock import SystemClock
from worker.net.deadline import Deadline
from worker.net.recorder import Recorder
from worker.net.stamps import keep_stamping

keep_stamping()  # the one socket that stays open, before anyone counts

CLOCK = SystemClock()


def recorder(seconds: float = 5.0) -> Recorder:
    return Recorder(CLOCK, Deadline(CLOCK, seconds))
