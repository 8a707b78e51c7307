"""From an order to its stored outcome: real sockets, a real database, a runner whose actions the test plays."""

from __future__ import annotations

import asyncio
import base64
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from controlplane.errors import UnusableError
from controlplane.service.runs import RunView
from controlplane.store.tables import action_tasks
from tests.support.recording import recording
from tests.support.runnerplane import PlayedActions, PlayedRunner, RunnerPlane, played_runner, runner_plane
from tests.support.waiting import PATIENCE, until
from worker.actions.action import ActionError, ActionOutcome, ActionStatus, Effect, Order, succeeded

SCRIPT = "script.runPredefinedScript"


def as_a_crash_leaves(state: Path) -> Path:
    """A copy of a state directory at this moment: nobody holds its locks, as after a kill."""
    return Path(shutil.copytree(state, state.with_name("left")))


async def forever(_order: Order) -> ActionOutcome:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


async def told_canary(_order: Order) -> ActionOutcome:
    return succeeded("canary-of-output")


async def doubtful(_order: Order) -> ActionOutcome:
    error = ActionError(code="ACTION", detail="CONNECT", message="the answer was lost", may_have_run=True)
    return ActionOutcome(status=ActionStatus.UNKNOWN, error=error)


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[RunnerPlane]:
    async with runner_plane(tmp_path) as running:
        yield running


async def test_a_run_is_shown_as_it_was_made(plane: RunnerPlane) -> None:
    await plane.enrol()
    made = await plane.order(arguments={"program": ".", "value": 7})
    assert made.is_new
    assert replace(made, is_new=False) == await plane.show(made.run.id)


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


async def test_a_cancelled_run_ends_while_its_runner_waits_for_more(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol()
    actions = PlayedActions({"data.jq": forever})
    async with played_runner(plane, identity, actions):
        run = (await plane.order()).run.id
        await plane.in_state(run, "leased")
        await until(lambda: actions.acted)
        view = await plane.cancel(run)
        assert view.state == "cancelling"
        view = await plane.ended(run)
        assert view.state == "cancelled"
        assert view.outcome is not None
        assert view.outcome["error"]["may_have_run"]


async def test_a_queued_run_is_cancelled_at_once_and_never_given_out(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol()
    run = (await plane.order()).run.id
    assert (await plane.cancel(run)).state == "cancelled"
    async with played_runner(plane, identity) as runner:
        await plane.ended((await plane.order()).run.id)
        assert [order.run for order in runner.actions.acted] != [run]
        assert len(runner.actions.acted) == 1


async def test_a_full_runner_takes_the_next_task_as_soon_as_a_slot_is_free(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol()
    async with played_runner(plane, identity, slots=1) as runner:
        made = [(await plane.order()).run.id for _ in range(5)]
        for run in made:
            assert (await plane.ended(run)).state == "succeeded"
        assert [order.run for order in runner.actions.acted] == made


async def test_a_run_that_nobody_starts_in_time_expires(plane: RunnerPlane) -> None:
    await plane.enrol()
    run = (await plane.order(within_ms=1)).run.id
    await until(lambda: round(plane.clock.now().timestamp() * 1000) > 1)
    await asyncio.sleep(0.002)
    await plane.settle()
    view = await plane.show(run)
    assert view.state == "expired"
    assert view.task.reason == "nobody started it in time"


@pytest.mark.parametrize(("effect", "state"), [("read", "queued"), ("repeat", "queued"), ("once", "doubtful")])
async def test_a_silent_instance_leaves_in_doubt_only_what_must_not_happen_twice(
    plane: RunnerPlane, effect: str, state: str
) -> None:
    identity, _ = await plane.enrol()
    action = {"read": "data.jq", "repeat": "http.request", "once": "script.runPredefinedScript"}[effect]
    actions = PlayedActions({action: forever}, {action: Effect(effect)})
    async with played_runner(plane, identity, actions):
        run = (await plane.order(action, arguments={"verb": "PUT"})).run.id
        await plane.in_state(run, "leased")
        await until(lambda: actions.acted)
    await plane.grow_silent(run)
    assert (await plane.show(run)).state == state
    if effect == "once":
        return
    async with played_runner(plane, identity):
        view = await plane.ended(run)
        assert (view.state, view.task.delivery) == ("succeeded", 2)


async def test_a_doubtful_task_ends_unknown_and_a_late_result_still_counts(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol()
    actions = PlayedActions(effects={SCRIPT: Effect.ONCE})
    async with played_runner(plane, identity, actions, delivers=False) as runner:
        run = (await plane.order(SCRIPT)).run.id
        await until(lambda: runner.serving.outbox.waiting)
        await plane.grow_silent(run)
        await plane.forsake(run)
        view = await plane.show(run)
        assert view.state == "unknown"
        assert "it may have run" in (view.task.reason or "")
        runner.deliver()
        assert (await plane.in_state(run, "succeeded")).task.delivery == 1
    assert len(actions.acted) == 1


async def test_the_next_instance_tells_what_its_predecessor_had_begun(plane: RunnerPlane, tmp_path: Path) -> None:
    identity, _ = await plane.enrol()
    actions = PlayedActions({SCRIPT: forever}, {SCRIPT: Effect.ONCE})
    async with played_runner(plane, identity, actions, state=tmp_path / "state"):
        run = (await plane.order(SCRIPT)).run.id
        await until(lambda: actions.acted)
        left = as_a_crash_leaves(tmp_path / "state")
    async with played_runner(plane, identity, PlayedActions(), state=left) as second:
        view = await plane.in_state(run, "unknown")
        assert "whose journal has its start and no end" in (view.task.reason or "")
        assert second.actions.acted == []


async def test_the_next_instance_takes_what_its_predecessor_had_not_begun(plane: RunnerPlane, tmp_path: Path) -> None:
    identity, _ = await plane.enrol()
    waiting = PlayedActions(effects={SCRIPT: Effect.ONCE}, holds=True)
    async with played_runner(plane, identity, waiting, state=tmp_path / "state"):
        run = (await plane.order(SCRIPT)).run.id
        await until(lambda: waiting.held)
        left = as_a_crash_leaves(tmp_path / "state")
    second = PlayedActions(effects={SCRIPT: Effect.ONCE})
    async with played_runner(plane, identity, second, state=left):
        view = await plane.ended(run)
    assert (view.state, view.task.delivery) == ("succeeded", 2)
    assert (len(waiting.acted), len(second.acted)) == (0, 1)


async def test_the_next_instance_delivers_what_its_predecessor_had_finished(plane: RunnerPlane, tmp_path: Path) -> None:
    identity, _ = await plane.enrol()
    actions = PlayedActions(effects={SCRIPT: Effect.ONCE})
    async with played_runner(plane, identity, actions, state=tmp_path / "state", delivers=False) as first:
        run = (await plane.order(SCRIPT)).run.id
        await until(lambda: first.serving.outbox.waiting)
        assert first.starts is not None
        await first.starts.journal.commit()
    async with played_runner(plane, identity, PlayedActions(), state=tmp_path / "state") as second:
        view = await plane.ended(run)
        assert view.state == "succeeded"
        assert second.actions.acted == []
    assert len(actions.acted) == 1


async def test_an_order_that_was_obeyed_before_a_restart_is_not_obeyed_again(
    plane: RunnerPlane, tmp_path: Path
) -> None:
    """Somebody who writes the database queues a finished task again: the journal of the runner knows it."""
    identity, _ = await plane.enrol()
    effects = {SCRIPT: Effect.ONCE}
    async with played_runner(plane, identity, PlayedActions(effects=effects), state=tmp_path / "state") as first:
        run = (await plane.order(SCRIPT)).run.id
        await plane.ended(run)
        await until(lambda: not first.serving.outbox.waiting)
        assert first.starts is not None
        await first.starts.journal.commit()
    await plane.write(action_tasks, {"state": "queued", "instance": None})
    async with played_runner(plane, identity, PlayedActions(effects=effects), state=tmp_path / "state") as second:
        view = await plane.ended(run)
        assert view.outcome is not None
        assert view.outcome["error"]["code"] == "REPLAYED"
        assert second.actions.acted == []


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of the test's own."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a tmpfs needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


async def test_a_full_disk_lets_nothing_begin_that_must_not_run_twice(plane: RunnerPlane, disk: Path) -> None:
    """Check 11: the start cannot be written, so the action does not start."""
    identity, _ = await plane.enrol()
    actions = PlayedActions(effects={SCRIPT: Effect.ONCE})
    async with played_runner(plane, identity, actions, state=disk / "state") as runner:
        before = await plane.ended((await plane.order(SCRIPT)).run.id)
        await until(lambda: not runner.serving.outbox.waiting)
        with suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
            while file.write(bytes(1 << 20)):
                pass
        begun = [before.run.id]
        for _ in range(50):  # some fit into the last page of the segment
            run = (await plane.order(SCRIPT)).run.id
            view = await refused_or_done(plane, runner, run)
            if view.state != "succeeded":
                break
            begun.append(run)
    assert before.state == "succeeded"
    # The first write that fails may be that of a start, or of a result: then the runner takes nothing more.
    assert (view.state, view.task.code) in (("failed", "JOURNAL"), ("queued", None))
    assert [order.run for order in actions.acted] == begun


async def refused_or_done(plane: RunnerPlane, runner: PlayedRunner, run: str) -> RunView:
    """The run once it has ended, or its runner says that its disk takes nothing."""
    assert runner.starts is not None
    async with asyncio.timeout(PATIENCE):
        while True:
            view = await plane.show(run)
            if view.has_ended or (view.state == "queued" and runner.starts.trouble is not None):
                return view
            await asyncio.sleep(0.01)  # a disk is what is waited for


async def test_a_result_is_stored_once_however_often_it_comes(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol()
    async with played_runner(plane, identity, delivers=False) as runner:
        run = (await plane.order()).run.id
        await until(lambda: runner.serving.outbox.waiting)
        [item] = runner.serving.outbox.items
        assert (await runner.channel.push([item])).accepted == (item.result,)
        assert (await runner.channel.push([item])).duplicate == (item.result,)
        other = msgspec.structs.replace(item, result="another")
        assert (await runner.channel.push([other])).superseded == ("another",)
        stranger = msgspec.structs.replace(item, result="third", lease="nobody.1")
        assert [one.result for one in (await runner.channel.push([stranger])).rejected] == ["third"]
        assert (await plane.show(run)).state == "succeeded"


async def test_an_order_that_was_planted_in_the_database_is_given_to_nobody(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol()
    first, second = await plane.order(), await plane.order()
    await plane.copy_order(source=first.task.id, target=second.task.id)
    async with played_runner(plane, identity) as runner:
        view = await plane.ended(second.run.id)
        assert (view.state, view.task.code) == ("failed", "SIGNATURE")
        assert (await plane.ended(first.run.id)).state == "succeeded"
        assert [order.task for order in runner.actions.acted] == [first.task.id]


async def test_a_task_that_was_moved_to_another_runner_acts_nowhere(plane: RunnerPlane) -> None:
    await plane.enrol("berlin")
    other, _ = await plane.enrol("paris")
    view = await plane.order()
    paris = await plane.runner_id("paris")
    await plane.write(action_tasks, {"runner_id": paris})
    async with played_runner(plane, other) as runner:
        view = await plane.ended(view.run.id)
        assert view.outcome is not None
        assert view.outcome["error"]["code"] == "MISMATCHED_RUNNER"
        assert runner.actions.acted == []


async def test_who_opens_tls_in_between_sees_neither_input_nor_output(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol()
    async with recording(plane.url) as between:
        async with played_runner(plane, identity, PlayedActions({"data.jq": told_canary}), url=between.url):
            view = await plane.ended((await plane.order(arguments={"value": "canary-of-input"})).run.id)
        assert view.outcome is not None
        assert view.outcome["outputs"] == "canary-of-output"
        assert b"/runner/v1/pull" in between.seen
        assert b"canary" not in between.seen
        for shift in range(3):
            encoded = base64.b64encode(b"x" * shift + b"canary-of-")[4:-4]
            assert encoded not in between.seen


async def test_a_person_retries_and_resolves(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol()
    actions = PlayedActions({SCRIPT: doubtful}, {SCRIPT: Effect.ONCE})
    async with played_runner(plane, identity, actions):
        run = (await plane.order(SCRIPT, arguments={"scriptName": "x"})).run.id
        assert (await plane.ended(run)).state == "unknown"
        actions.plays = {}
        await plane.retry(run)
        view = await plane.in_state(run, "succeeded")
        assert [task.number for task in view.tasks] == [1, 2]
        assert [order.input for order in actions.acted] == [{"scriptName": "x"}] * 2
        with pytest.raises(UnusableError, match="only what has ended otherwise"):
            await plane.retry(run)
        actions.plays = {SCRIPT: doubtful}
        second = (await plane.order(SCRIPT)).run.id
        await plane.ended(second)
        assert (await plane.resolve(second, succeeded=False)).state == "failed"
        with pytest.raises(UnusableError, match="only a run whose end is unknown"):
            await plane.resolve(second, succeeded=True)
