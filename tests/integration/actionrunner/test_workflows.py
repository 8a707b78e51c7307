"""Runs of workflows, from a definition to the end of the last step: a real database, a runner whose actions the test plays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from controlplane.errors import ConflictError, DatabaseError, ForbiddenError, NotFoundError, UnusableError
from controlplane.service import runners, runs, steps, workflowruns, workflows
from controlplane.service.runs import RunView
from controlplane.service.workflowruns import WantedWorkflow
from controlplane.store.workflowtables import workflow_runs
from controlplane.store.workflowtables import workflows as workflows_table
from tests.support.runnerplane import BOSS, PlayedActions, RunnerPlane, played_runner, runner_plane
from worker.actions.action import ActionError, ActionOutcome, ActionStatus, Effect, Order, succeeded

SCRIPT = "script.runPredefinedScript"
FIND: dict[str, Any] = {
    "name": "find",
    "action": "postgresql.namedQuery",
    "connection": "db",
    "input": {"query": "q", "params": {"id": "{{ params.id }}"}},
}
ACT: dict[str, Any] = {
    "name": "act",
    "action": SCRIPT,
    "input": {"parameters": {"row": "{{ steps.find.outputs.params.id }}"}},
}
CHECK: dict[str, Any] = {
    "name": "check",
    "action": "data.jq",
    "input": {"program": ".", "value": ["{{ steps.find.outputs }}"]},
}


def definition(*made: dict[str, Any], **changes: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"id": {"type": "integer", "default": 7}}, "additionalProperties": False}
    return {"name": "flow", "runner": "berlin", "params": schema, "steps": list(made or (FIND, ACT, CHECK))} | changes


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[RunnerPlane]:
    async with runner_plane(tmp_path) as running:
        yield running


async def push(plane: RunnerPlane, *made: dict[str, Any], **changes: Any) -> None:
    await workflows.push(plane.database, plane.clock, BOSS, definition(*made, **changes), {})


async def start(plane: RunnerPlane, **wanted: Any) -> RunView:
    wish = WantedWorkflow(name="flow", **wanted)
    view = await workflowruns.create(plane.database, plane.clock, BOSS, wish, client="cli")
    plane.context.wakeups.ring(view.task.runner)
    return view


def failing(times: int, *, status: ActionStatus = ActionStatus.FAILED) -> Any:
    """An action that fails so often before it succeeds."""
    left = [times]

    async def act(order: Order) -> ActionOutcome:
        if left[0]:
            left[0] -= 1
            return ActionOutcome(status=status, error=ActionError(code="ACTION", message="not now"))
        return succeeded(order.input)

    return act


async def test_steps_run_in_their_order_with_what_the_earlier_ones_told(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol()
    await push(plane)
    async with played_runner(plane, identity) as runner:
        view = await plane.ended((await start(plane)).run.id)
        assert (view.state, view.workflow) == ("succeeded", "flow")
        assert [order.action for order in runner.actions.acted] == [step["action"] for step in (FIND, ACT, CHECK)]
        assert [order.input for order in runner.actions.acted[:2]] == [
            {"query": "q", "params": {"id": 7}},
            {"parameters": {"row": 7}},
        ]
        assert runner.actions.acted[0].connection == "db"
        assert {order.run for order in runner.actions.acted} == {view.run.id}
    assert [(one.attempt.name, one.attempt.attempt, one.task.state.value) for one in view.steps] == [
        ("find", 1, "succeeded"),
        ("act", 1, "succeeded"),
        ("check", 1, "succeeded"),
    ]
    assert len({one.attempt.input_sha256 for one in view.steps}) == 3
    assert view.outcome == view.steps[-1].outcome


async def test_a_failed_step_ends_the_run_unless_it_says_otherwise(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol()
    actions = PlayedActions({SCRIPT: failing(2)})
    async with played_runner(plane, identity, actions):
        await push(plane)
        view = await plane.ended((await start(plane)).run.id)
        assert (view.state, [one.attempt.name for one in view.steps]) == ("failed", ["find", "act"])
        await push(plane, FIND, ACT | {"on_failure": "continue"}, CHECK)
        view = await plane.ended((await start(plane)).run.id)
        assert view.state == "succeeded"
        assert [one.task.state.value for one in view.steps] == ["succeeded", "failed", "succeeded"]


async def test_a_step_is_tried_again_where_that_is_safe(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol()
    retried = {"retry": {"times": 2}}
    actions = PlayedActions({"data.jq": failing(2), SCRIPT: failing(1)}, {SCRIPT: Effect.ONCE})
    async with played_runner(plane, identity, actions):
        await push(plane, FIND, CHECK | retried)
        view = await plane.ended((await start(plane)).run.id)
        assert view.state == "succeeded"
        assert [(one.attempt.name, one.attempt.attempt) for one in view.steps] == [
            ("find", 1),
            ("check", 1),
            ("check", 2),
            ("check", 3),
        ]
        await push(plane, FIND, ACT | retried)
        view = await plane.ended((await start(plane)).run.id)
        assert (view.state, len(view.steps)) == ("failed", 2)


async def test_a_script_is_tried_again_where_its_entry_says_that_it_may(plane: RunnerPlane) -> None:
    """Only the runner knows, and says so with the outcome."""
    identity, _ = await plane.enrol()
    actions = PlayedActions({SCRIPT: failing(1)}, {SCRIPT: Effect.REPEAT})
    await push(plane, FIND, ACT | {"retry": {"times": 1}})
    async with played_runner(plane, identity, actions):
        view = await plane.ended((await start(plane)).run.id)
    assert (view.state, len(view.steps)) == ("succeeded", 3)


async def test_a_wait_before_the_next_attempt_is_kept_in_the_database(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol()
    actions = PlayedActions({"data.jq": failing(1)})
    await push(plane, CHECK | {"input": {"program": "."}, "retry": {"times": 1, "wait_s": 3600}})
    async with played_runner(plane, identity, actions):
        run = (await start(plane)).run.id
        await plane.in_state(run, "queued")
        with plane.context.wakeups.listening(run) as bell:
            while (await plane.show(run)).task.state.value != "failed":
                bell.clear()
                await bell.wait()
        assert (await plane.show(run)).state == "queued"
        [listed] = await runs.list_newest(plane.database, BOSS, limit=5, states=["queued"])
        assert listed.state == "queued"
        assert await steps.resume(plane.database, plane.clock) == frozenset()
        await plane.write(workflow_runs, {"resume_at": 1})
        for name in await steps.resume(plane.database, plane.clock):
            plane.context.wakeups.ring(name)
        assert (await plane.ended(run)).state == "succeeded"


async def test_a_run_that_waits_ends_when_it_is_cancelled(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol()
    await push(plane, CHECK | {"input": {"program": "."}, "retry": {"times": 1, "wait_s": 3600}})
    async with played_runner(plane, identity, PlayedActions({"data.jq": failing(1)})) as runner:
        run = (await start(plane)).run.id
        with plane.context.wakeups.listening(run) as bell:
            while (await plane.show(run)).task.state.value != "failed":
                bell.clear()
                await bell.wait()
        assert (await plane.cancel(run)).state == "cancelled"
        await plane.write(workflow_runs, {"resume_at": 1, "state": None})  # by somebody who can only write
        await steps.resume(plane.database, plane.clock)
        assert (await plane.show(run)).state == "failed"
        assert len(runner.actions.acted) == 1


async def test_unknown_ends_the_run_and_a_person_may_go_on(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol()
    actions = PlayedActions({SCRIPT: failing(1, status=ActionStatus.UNKNOWN)}, {SCRIPT: Effect.ONCE})
    await push(plane, FIND, ACT | {"on_failure": "continue", "retry": {"times": 3}}, CHECK)
    async with played_runner(plane, identity, actions) as runner:
        run = (await start(plane)).run.id
        assert (await plane.ended(run)).state == "unknown"
        view = await plane.resolve(run, succeeded=True)
        assert (view.state, len(view.steps)) == ("failed", 2)
        await plane.retry(run)
        view = await plane.ended(run)
        assert (view.state, [one.attempt.name for one in view.steps]) == ("succeeded", ["find", "act", "check"])
        assert [order.action for order in runner.actions.acted].count(SCRIPT) == 1


async def test_a_path_that_is_not_there_fails_the_run_by_name(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol()
    await push(plane, FIND, ACT | {"input": {"x": "{{ steps.find.outputs.gone }}"}, "on_failure": "continue"}, CHECK)
    async with played_runner(plane, identity) as runner:
        view = await plane.ended((await start(plane)).run.id)
        assert (view.state, view.task.code) == ("failed", "TEMPLATE")
        assert view.task.reason == "steps[1].input.x: steps.find.outputs.gone is not there"
        assert len(runner.actions.acted) == 1


async def test_cancelling_lets_no_further_step_be_made(plane: RunnerPlane) -> None:
    await plane.enrol()
    await push(plane)
    run = (await start(plane)).run.id
    assert (await plane.cancel(run)).state == "cancelled"
    with pytest.raises(UnusableError, match="has ended"):
        await plane.cancel(run)
    assert len((await plane.show(run)).steps) == 1


async def test_the_same_key_and_wish_are_one_run(plane: RunnerPlane) -> None:
    await plane.enrol()
    await push(plane)
    first = await start(plane, idempotency_key="job-1", params={"id": 3})
    again = await start(plane, idempotency_key="job-1", params={"id": 3})
    assert (first.is_new, again.is_new, again.run.id) == (True, False, first.run.id)
    with pytest.raises(ConflictError):
        await start(plane, idempotency_key="job-1", params={"id": 4})


@pytest.mark.parametrize("params", [{"id": "7"}, {"other": 1}, {"id": 1.5}])
async def test_parameters_are_what_the_schema_admits(plane: RunnerPlane, params: dict[str, Any]) -> None:
    await plane.enrol()
    await push(plane)
    with pytest.raises(UnusableError, match=r"^params: "):
        await start(plane, params=params)


async def test_who_may_start_a_workflow_needs_no_scope_over_its_actions(plane: RunnerPlane) -> None:
    await plane.enrol()
    await push(plane)
    may = replace(BOSS, name="ci", actions=(), workflows=("fl*",), scopes=frozenset())
    view = await workflowruns.create(plane.database, plane.clock, may, WantedWorkflow(name="flow"), client="api")
    assert (await runs.show(plane.database, may, view.run.id)).run.id == view.run.id
    other = replace(may, workflows=("other",), actions=("**",))
    with pytest.raises(ForbiddenError, match="workflow/flow"):
        await workflowruns.create(plane.database, plane.clock, other, WantedWorkflow(name="flow"), client="api")
    with pytest.raises(NotFoundError):
        await runs.show(plane.database, other, view.run.id)


async def test_nobody_pushes_a_step_that_they_may_not_order(plane: RunnerPlane) -> None:
    await plane.enrol()
    writer = replace(BOSS, actions=("data.*",))
    with pytest.raises(ForbiddenError, match=r"action/postgresql\.namedQuery"):
        await workflows.push(plane.database, plane.clock, writer, definition(), {})


async def test_a_paused_workflow_starts_nothing_and_goes_on_with_what_it_started(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol()
    await push(plane)
    run = (await start(plane)).run.id
    await workflows.set_paused(plane.database, plane.clock, BOSS, "flow", paused=True)
    with pytest.raises(UnusableError, match="is paused"):
        await start(plane)
    async with played_runner(plane, identity):
        assert (await plane.ended(run)).state == "succeeded"
    await workflows.delete(plane.database, plane.clock, BOSS, "flow")
    with pytest.raises(NotFoundError):
        await start(plane)
    assert len((await plane.show(run)).steps) == 3


async def test_a_row_that_was_written_by_hand_starts_nothing(plane: RunnerPlane) -> None:
    await plane.enrol()
    await push(plane)
    async with plane.database.write() as connection:
        [row] = (await connection.execute(workflows_table.select())).all()
        await connection.execute(delete(workflows_table))
        planted = dict(row._mapping) | {"id": "another"}
        await connection.execute(workflows_table.insert().values(planted))
    with pytest.raises(DatabaseError, match="does not open"):
        await start(plane)
    assert await workflows.list_all(plane.database, BOSS) == ("flow",)


async def test_a_run_whose_copy_was_changed_by_hand_ends(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol()
    await push(plane)
    run = (await start(plane)).run.id
    await plane.write(workflow_runs, {"sealed": b"x" * 40})
    async with played_runner(plane, identity) as runner:
        assert (await plane.ended(run)).state == "failed"
        assert len(runner.actions.acted) == 1


async def test_a_step_for_a_runner_that_takes_nothing_fails_the_run(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol()
    await plane.enrol("paris")
    await push(plane, FIND, CHECK | {"runner": "paris"})
    await runners.set_state(plane.database, plane.clock, BOSS, "paris", "disabled")
    async with played_runner(plane, identity):
        view = await plane.ended((await start(plane)).run.id)
    assert (view.state, view.task.code, view.task.reason) == ("failed", "REFUSED", "runner 'paris' is disabled")
