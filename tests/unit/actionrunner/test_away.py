"""The reasons for which a runner takes no request of a page, in the order in which it says them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.clock import FakeClock
from worker.actionrunner.readiness import READY_SECONDS, RunnerReadiness


def readiness(clock: FakeClock, *, draining: bool = False, trouble: str = "", heard: bool = True) -> RunnerReadiness:
    parts: Any = {
        "enrolment": SimpleNamespace(name="berlin"),
        "chain": SimpleNamespace(trouble=trouble),
        "channel": SimpleNamespace(last_signed_reply_ns=clock.monotonic_ns() if heard else None),
        "poller": SimpleNamespace(draining=draining),
        "files": SimpleNamespace(state=SimpleNamespace(trouble=None)),
    }
    return RunnerReadiness(clock=clock, instance="i", modes=("push",), journal=lambda: None, **parts)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({}, None),
        ({"draining": True, "trouble": "revoked", "heard": False}, "the runner is stopping"),
        ({"trouble": "revoked", "heard": False}, "the runner is revoked"),
        ({"trouble": "contested"}, "the runner is contested"),
        ({"trouble": "superseded"}, "the runner is superseded"),
        ({"heard": False}, "the runner does not hear from its control plane"),
    ],
)
def test_a_page_is_told_why(facts: dict[str, Any], reason: str | None) -> None:
    assert readiness(FakeClock(), **facts).away == reason


async def test_a_minute_without_a_signed_reply_is_too_long() -> None:
    clock = FakeClock()
    found = readiness(clock)
    await clock.advance(READY_SECONDS)
    assert found.away is None
    await clock.advance(0.001)
    assert found.away is not None
