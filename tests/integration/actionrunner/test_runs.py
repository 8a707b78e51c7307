"""From an order to its stored outcome: real sockets, a real database, a runner whose actions the test plays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.runnerplane import RunnerPlane, played_runner, runner_plane


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[RunnerPlane]:
    async with runner_plane(tmp_path) as running:
        yield running


async def test_an_order_is_carried_out_and_its_outcome_is_stored(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol()
    async with played_runner(plane, identity) as runner:
        made = await plane.order("com.datadoghq.data.jq", arguments={"program": ".", "value": 7})
        view = await plane.ended(made.run.id)
        assert view.state == "succeeded"
        assert view.outcome is not None
        assert view.outcome["outputs"] == {"program": ".", "value": 7}
        assert view.outcome["order_sha256"] == view.task.order_sha256
        assert view.outcome["instance"] == runner.instance
        [acted] = runner.actions.acted
        assert (acted.action, acted.run, acted.task) == ("data.jq", view.run.id, view.task.id)
