"""A record of the way to one target, written as it happens: phases, attempts, the answering server, the dialled address.

One recorder belongs to one hop. Phases follow one another without gaps unless `stop` is called; none ever overlap.
What is measured is the network and the target: the worker's own lateness, between the arrival of an answer and the
turn in which a busy loop reads it, is in no phase (`exclude`, *arrived*), and the deadline hears of it. The recorder knows
the deadline, so that every bound on the way can be cut from what is left.
"""

from __future__ import annotations

from worker.clock import Clock
from worker.egress.hosts import Address
from worker.net.deadline import Deadline, TimeLimit
from worker.outcome.handshake import Handshake
from worker.outcome.phases import NANOSECONDS_PER_TENTH, Timings
from worker.outcome.resolution import Attempt, Resolution


class Recorder:
    """Mutable, for one hop. The *deadline* is the run's."""

    __slots__ = (
        "_clock",
        "_deadline",
        "_excluded_ns",
        "_since",
        "address",
        "attempts",
        "handshake",
        "latest",
        "phases",
        "port",
        "running",
        "server",
    )

    def __init__(self, clock: Clock, deadline: Deadline) -> None:
        self._clock = clock
        self._deadline = deadline
        self._excluded_ns = 0
        self._since = 0
        self.running: str | None = None
        """The phase that runs now."""
        self.latest: str | None = None
        """The phase that was started last: after a failure, the one in which it happened."""
        self.phases: dict[str, int] = {}
        """Nanoseconds by phase, in the order in which they first ran."""
        self.attempts: list[Attempt] = []
        self.handshake: Handshake | None = None
        """The outcome of TLS with the target; that with a proxy is not written down."""
        self.server: str | None = None
        self.address: str | None = None
        self.port: int | None = None

    def start(self, phase: str, arrived: int | None = None) -> None:
        """Begin *phase* at the instant at which the running one ends: now, or when the kernel had what *arrived* then."""
        moment = self._moment(arrived)
        self._end(moment)
        self.running = self.latest = phase
        self._since = moment

    def stop(self, arrived: int | None = None) -> None:
        """End the running phase, if any, now or when the kernel had what *arrived* then."""
        if self.running is not None:
            self._end(self._moment(arrived))

    def exclude(self, arrived: int | None) -> None:
        """Leave out of all phases what has passed since the kernel had what *arrived* then and has just been read."""
        self.exclude_ns(self.now_ns() - self._moment(arrived))

    def exclude_ns(self, nanoseconds: int) -> None:
        """Leave the last *nanoseconds* of the running phase out of it."""
        late = min(max(0, nanoseconds), self.now_ns() - self._since)
        self._excluded_ns += late
        self._deadline.excuse_ns(late)

    def excuse(self, arrived: int | None) -> None:
        """Tell the deadline that what the kernel had *arrived* then was read just now; the phase goes on."""
        if arrived is not None:
            self._deadline.excuse_ns(self._clock.age_ns(arrived))

    def _moment(self, arrived: int | None) -> int:
        """A moment not before the phase that runs: wall time may have been set since *arrived* was written down."""
        now = self.now_ns()
        if arrived is None:
            return now
        age = self._clock.age_ns(arrived)
        self._deadline.excuse_ns(age)
        return min(now, max(self._since, now - age))

    def _end(self, now: int) -> None:
        if self.running is not None:
            self.phases[self.running] = self.phases.get(self.running, 0) + now - self._since
            self.running = None

    def detached(self) -> Recorder:
        """A recorder with the same deadline, for what happens on the way and is not about the target."""
        return Recorder(self._clock, self._deadline)

    def remaining(self) -> float:
        """Seconds until the test's time is over; negative afterwards."""
        return self._deadline.remaining()

    def limit(self, seconds: float) -> TimeLimit:
        """Bound a part of the way to *seconds*, in which the worker's lateness does not count."""
        return self._deadline.limit(seconds)

    def now_ns(self) -> int:
        """A moment of the recorder's own time, which stands still while the worker is late."""
        return self._clock.monotonic_ns() - self._excluded_ns

    def attempted(self, address: Address, port: int, since_ns: int, error: str | None = None) -> None:
        """Write down an address that was dialled since *since_ns*; *error* is None if it worked. The last one is what
        led on.
        """
        elapsed = (self.now_ns() - since_ns + NANOSECONDS_PER_TENTH // 2) // NANOSECONDS_PER_TENTH
        self.address = str(address)
        self.attempts.append(Attempt(address=self.address, port=port, elapsed_tenths=elapsed, error=error))
        self.port = port

    def timings(self) -> Timings:
        return Timings.from_nanoseconds(self.phases)

    def resolution(self) -> Resolution | None:
        """None while nothing was looked up or dialled."""
        if self.server is None and not self.attempts:
            return None
        return Resolution(
            server=self.server,
            address=self.address,
            port=self.port,
            attempts=tuple(self.attempts),
        )
