"""The control plane's part of `options.retry`."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.retries import NEVER, LongRetry, of
from tests.support.definitions import http_test
from worker.apitest.parse import parse


@pytest.mark.parametrize(
    ("retry", "ours"),
    [
        ({"count": 2, "interval": 300_000}, LongRetry(2, 300_000)),
        ({"count": 1, "interval": 5_001}, LongRetry(1, 5_001)),
        ({"count": 2.0, "interval": 60_000.0}, LongRetry(2, 60_000)),
        ({"count": 99, "interval": 10**12}, LongRetry(10, 3_600_000)),
        ({"count": 2, "interval": 5_000}, NEVER),
        ({"count": 2, "interval": 300}, NEVER),
        ({"count": 0, "interval": 60_000}, NEVER),
        ({"count": 2}, NEVER),
        ({"interval": 60_000}, NEVER),
        ({}, NEVER),
        (None, NEVER),
    ],
)
def test_waits_beyond_those_of_a_slot_are_the_control_planes_within_bounds(retry: Any, ours: LongRetry) -> None:
    assert of(parse(http_test(options={"tick_every": 60, "retry": retry})).retry) == ours


def test_without_options_nothing_is_executed_again() -> None:
    assert of(parse(http_test(options=None)).retry) == NEVER
