"""What runs tests, put together: the door to targets, the evaluators, and the runner over both.

Importing this is half of what a start takes. `app` does it while the first pull is under way.
"""

from __future__ import annotations

from dataclasses import dataclass

from worker import __version__
from worker.checks.evidence import Limits
from worker.clock import Clock
from worker.config.load import LocalConfig
from worker.evaluators.pool import Evaluators
from worker.net.door import Door
from worker.probers import HTTPLimits
from worker.reach import Egress, resolver_of
from worker.telemetry.vitals import Vitals
from worker.work.heap import give_back_large_buffers
from worker.work.runner import RunLimits, Runner


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """*runner* needs *evaluators*, which whoever runs tests has to enter."""

    runner: Runner
    evaluators: Evaluators


def assemble(config: LocalConfig, egress: Egress, clock: Clock, vitals: Vitals, *, worker_id: str) -> Assembly:
    """Opens nothing and starts nothing, and may be called in any thread."""
    give_back_large_buffers()
    door = Door(policy=egress.policy, resolver=resolver_of(config), trust=egress.trust, proxy=egress.proxy)
    checks = Limits(max_body_bytes=config.max_body_size_if_processed, pattern_seconds=config.regex_timeout)
    limits = RunLimits(
        max_timeout=config.max_timeout, http=HTTPLimits(max_body_bytes=config.max_body_size), checks=checks
    )
    evaluators = Evaluators(config.evaluators, checks, clock)
    runner = Runner(
        door=door,
        evaluators=evaluators,
        clock=clock,
        limits=limits,
        vitals=vitals,
        worker_id=worker_id,
        version=__version__,
    )
    return Assembly(runner=runner, evaluators=evaluators)
