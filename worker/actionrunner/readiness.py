"""The runner's answers to an orchestrator and to a person: alive, ready, and what is in the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from worker.actionrunner.chain import InstanceChain
from worker.actionrunner.channel import RunnerChannel
from worker.actionrunner.identity import Enrolment
from worker.actionrunner.isolation import kills_at_once
from worker.actionrunner.localstate import LocalFiles
from worker.agent.poller import Poller
from worker.clock import Clock
from worker.telemetry.health import PATIENCE

READY_SECONDS = 60.0
"""For which a signed reply makes the runner ready: several of the longest polls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerReadiness:
    """*journal* names the trouble of the state directory, None without any; *missing* is the isolation that does not hold."""

    clock: Clock
    enrolment: Enrolment
    instance: str
    modes: tuple[str, ...]
    chain: InstanceChain
    channel: RunnerChannel
    poller: Poller
    files: LocalFiles
    journal: Callable[[], str | None]
    missing: tuple[str, ...] = ()

    @property
    def alive(self) -> bool:
        """The poller makes progress, or waits as planned: an outage of the control plane restarts nobody."""
        return self.clock.monotonic_ns() < self.poller.quiet_until_ns + round(PATIENCE * 1e9)

    @property
    def ready(self) -> bool:
        return not self.troubles()

    @property
    def away(self) -> str | None:
        """The reason, in words for a page, why no request of a person is taken now."""
        if self.poller.draining:
            return "the runner is stopping"
        if self.chain.trouble:
            return f"the runner is {self.chain.trouble}"
        return "the runner does not hear from its control plane" if self._silent else None

    @property
    def _silent(self) -> bool:
        last = self.channel.last_signed_reply_ns
        return last is None or self.clock.monotonic_ns() - last > READY_SECONDS * 1e9

    def troubles(self) -> tuple[str, ...]:
        """Reasons why no order would be carried out now, in words."""
        found = (
            f"no signed reply within {READY_SECONDS:.0f} s" if self._silent else None,
            self.chain.trouble or None,
            self.files.state.trouble,
            self.journal(),
        )
        return tuple(each for each in found if each is not None)

    def status(self) -> dict[str, Any]:
        """All that an operator asks first."""
        state, counts = self.files.state, self.poller.counts
        return {
            "ready": self.ready,
            "troubles": list(self.troubles()),
            "runner": self.enrolment.name,
            "urn": self.enrolment.urn,
            "instance": self.instance,
            "epoch": self.chain.epoch,
            "modes": list(self.modes),
            "keyset": self.channel.keyset_seq,
            "clock_offset_seconds": self.channel.clock_offset.total_seconds(),
            "connections": {
                **dict.fromkeys(state.connections.usable, "usable"),
                **dict(state.connections.unusable),
            },
            "policy": {
                "readable": state.trouble is None,
                "read_seconds_ago": round((self.clock.monotonic_ns() - self.files.read_at_ns) / 1e9, 1),
                "warnings": list(state.warnings),
            },
            "isolation": {"holds": not self.missing, "missing": list(self.missing), "kills_at_once": kills_at_once()},
            "pulls": {"answered": counts.answered, "failed": counts.failed, "unreadable": counts.unreadable},
        }
