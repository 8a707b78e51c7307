"""`action run` and `run …` as commands: what they print, and the exit code of each end of a run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from controlplane.cli import main
from tests.support.runnerplane import PlayedActions, RunnerPlane, played_runner, runner_plane
from tests.support.waiting import until
from worker.actions.action import ActionError, ActionOutcome, ActionStatus, Effect, Order

JQ = "data.jq"
SCRIPT = "script.runPredefinedScript"


async def fails(_order: Order) -> ActionOutcome:
    error = ActionError(code="ACTION", detail="JQ", message="the program is wrong")
    return ActionOutcome(status=ActionStatus.FAILED, error=error)


async def vanishes(_order: Order) -> ActionOutcome:
    error = ActionError(code="ACTION", detail="CONNECT", message="the answer was lost", may_have_run=True)
    return ActionOutcome(status=ActionStatus.UNKNOWN, error=error)


async def forever(_order: Order) -> ActionOutcome:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[RunnerPlane]:
    async with runner_plane(tmp_path) as running:
        yield running


async def said(plane: RunnerPlane, *arguments: str) -> Result:
    """The end of a command, which runs beside the control plane as a shell's does."""
    words = [*arguments, "--database", str(plane.folder / "controlplane.db")]
    return await asyncio.to_thread(CliRunner().invoke, main, words, catch_exceptions=False)


async def said_from_afar(plane: RunnerPlane, key: str, *arguments: str) -> Result:
    """The end of a command that has a key and no database."""
    keys = dict.fromkeys(("SYNTHETICS_APP_KEY", "DATADOG_APP_KEY", "DD_API_KEY")) | {"DD_APP_KEY": key}
    words = [*arguments, "--url", plane.url]
    return await asyncio.to_thread(CliRunner(env=keys).invoke, main, words, catch_exceptions=False)


async def ordered(plane: RunnerPlane, action: str = JQ, *flags: str) -> Result:
    return await said(plane, "action", "run", action, "--runner", "berlin", *flags)


async def queued(plane: RunnerPlane, action: str = JQ) -> str:
    """The id of a run that `action run --no-wait` has made."""
    result = await ordered(plane, action, "--no-wait")
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


async def test_outputs_are_printed_as_json_and_progress_beside_them(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol()
    async with played_runner(plane, identity):
        done = await ordered(plane, JQ, "--input", '{"value": "ö"}')
        assert (done.exit_code, json.loads(done.stdout)) == (0, {"value": "ö"})
        assert "succeeded" in done.stderr.splitlines()[-1]
        whole = await ordered(plane, "com.datadoghq.data.jq", "--json")
        assert (whole.exit_code, json.loads(whole.stdout)["action"]) == (0, JQ)


@pytest.mark.parametrize(
    ("play", "code", "told"),
    [(fails, 1, "failed: ACTION JQ: the program is wrong"), (vanishes, 3, "unknown: ACTION CONNECT: the answer")],
)
async def test_each_bad_end_has_its_exit_code_and_its_cause(
    plane: RunnerPlane, play: Any, code: int, told: str
) -> None:
    identity, _ = await plane.enrol()
    async with played_runner(plane, identity, PlayedActions({SCRIPT: play}, {SCRIPT: Effect.ONCE})):
        done = await ordered(plane, SCRIPT, "--json")
        assert (done.exit_code, told in done.stderr) == (code, True), done.stderr
        run = json.loads(done.stdout)
        shown = await said(plane, "run", "show", run["id"])
        assert (shown.exit_code, told in shown.stdout) == (code, True)


async def test_what_nobody_took_in_time_expires_and_what_still_waits_is_not_known(plane: RunnerPlane) -> None:
    await plane.enrol()
    waits = await ordered(plane, JQ, "--wait", "1s")
    assert waits.exit_code == 3
    run = waits.stderr.split()[1].rstrip(":")
    assert f"the run goes on: `run show {run}` tells its end" in waits.stderr
    assert waits.stdout == ""
    cancelled = await said(plane, "run", "cancel", run)
    assert (cancelled.exit_code, cancelled.stdout.startswith(f"run {run}: cancelled: cancel by ")) == (0, True)
    assert (await said(plane, "run", "show", run)).exit_code == 1
    late = (await plane.order(within_ms=1)).run.id
    await asyncio.sleep(0.002)
    await plane.settle()
    shown = await said(plane, "run", "show", late)
    assert (shown.exit_code, shown.stdout) == (1, f"run {late}: expired: nobody started it in time\n")


async def test_a_run_that_is_cancelled_while_it_acts_ends_its_caller_with_1(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol()
    actions = PlayedActions({JQ: forever})
    async with played_runner(plane, identity, actions):
        caller = asyncio.create_task(ordered(plane))
        await until(lambda: actions.acted)
        cancelled = await plane.cancel(actions.acted[0].run)
        assert cancelled.state in ("cancelling", "cancelled")
        done = await caller
        assert (done.exit_code, "cancelled" in done.stderr.splitlines()[-1]) == (1, True)


async def test_a_person_settles_what_is_unknown_and_orders_it_again(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol()
    actions = PlayedActions({SCRIPT: vanishes}, {SCRIPT: Effect.ONCE})
    async with played_runner(plane, identity, actions):
        run = await queued(plane, SCRIPT)
        await plane.ended(run)
        assert (await said(plane, "run", "resolve", run)).exit_code == 2
        resolved = await said(plane, "run", "resolve", run, "--as", "failed")
        assert (resolved.exit_code, "failed" in resolved.stdout) == (0, True)
        again = await said(plane, "run", "resolve", run, "--as", "succeeded")
        assert (again.exit_code, "only a run whose end is unknown can be resolved" in again.stderr) == (2, True)
        actions.plays = {}
        assert (await said(plane, "run", "retry", run)).exit_code == 0
        assert (await plane.in_state(run, "succeeded")).task.number == 2
        refused = await said(plane, "run", "retry", run)
        assert (refused.exit_code, "only what has ended otherwise" in refused.stderr) == (2, True)
        assert (await said(plane, "run", "show", run, "--json")).exit_code == 0


async def test_runs_are_listed_the_newest_first_and_chosen(plane: RunnerPlane) -> None:
    await plane.enrol()
    await plane.enrol("paris")
    first, second = await queued(plane), await queued(plane, "http.request")
    await said(plane, "run", "cancel", first)
    rows = [json.loads(line) for line in (await said(plane, "run", "list", "--json")).stdout.splitlines()]
    assert [(row["id"], row["state"]) for row in rows] == [(second, "queued"), (first, "cancelled")]
    text = (await said(plane, "run", "list", "--state", "cancelled")).stdout
    assert (first in text, second in text) == (True, False)
    assert (await said(plane, "run", "list", "--runner", "paris", "--json")).stdout == ""


async def test_what_is_not_ordered_is_one_line_and_exit_code_2(plane: RunnerPlane, tmp_path: Path) -> None:
    await plane.enrol()
    (tmp_path / "list.json").write_text("[]")
    missing = "00000000-0000-4000-8000-000000000000"
    cases = [
        (("action", "run", JQ), "--runner"),
        (("action", "run", JQ, "--runner", "nobody"), "nobody"),
        (("action", "run", JQ, "--runner", "berlin", "--input", "{"), "--input: is not valid JSON"),
        (("action", "run", JQ, "--runner", "berlin", "--input", f"@{tmp_path}/list.json"), "not a valid JSON object"),
        (("action", "run", JQ, "--runner", "berlin", "--input", f"@{tmp_path}/none.json"), "No such file"),
        (("action", "run", JQ, "--runner", "berlin", "--within", "soon"), "'soon' is not a valid time"),
        (("action", "run", JQ, "--runner", "berlin", "--within", "25h"), "is not a valid time: up to 24 h"),
        (("run", "list", "--runner", "nobody"), "nobody"),
        *((("run", verb, missing), missing) for verb in ("show", "cancel", "retry")),
        (("run", "resolve", missing, "--as", "failed"), missing),
    ]
    for words, told in cases:
        result = await said(plane, *words)
        assert result.exit_code == 2, words
        assert told in result.stderr, result.stderr
        assert "Traceback" not in result.output
    (tmp_path / "binary.json").write_bytes(b"\xff{}")
    assert (await ordered(plane, JQ, "--input", f"@{tmp_path}/binary.json")).exit_code == 2


async def test_an_idempotency_key_is_one_run_and_another_wish_is_refused(plane: RunnerPlane) -> None:
    await plane.enrol()
    flags = ("--idempotency-key", "job-7", "--no-wait")
    one, two = await ordered(plane, JQ, *flags), await ordered(plane, JQ, *flags)
    assert one.stdout == two.stdout
    other = await ordered(plane, "http.request", *flags)
    assert (other.exit_code, "job-7" in other.stderr) == (2, True)


async def test_a_key_orders_follows_and_ends_runs_from_afar(plane: RunnerPlane) -> None:
    """The runner's policy is told `api`: that a command was typed is the caller's word alone."""
    identity, _ = await plane.enrol()
    key = await plane.add_key(f"action/{JQ}")
    order = ("action", "run", JQ, "--runner", "berlin")
    async with played_runner(plane, identity) as runner:
        done = await said_from_afar(plane, key, *order, "--input", '{"value": "ö"}')
        assert (done.exit_code, json.loads(done.stdout)) == (0, {"value": "ö"})
        assert "succeeded" in done.stderr.splitlines()[-1]
        assert [one.client for one in runner.actions.acted] == ["api"]
        refused = await said_from_afar(plane, key, "action", "run", SCRIPT, "--runner", "berlin")
        assert (refused.exit_code, f"lacks the scope 'action/{SCRIPT}'" in refused.stderr) == (2, True)
    waits = ("--idempotency-key", "job-7", "--no-wait")
    made = (await said_from_afar(plane, key, *order, *waits)).stdout.strip()
    assert (await said_from_afar(plane, key, *order, *waits)).stdout.strip() == made
    assert (await said_from_afar(plane, key, "run", "show", made)).exit_code == 3
    assert "cancelled" in (await said_from_afar(plane, key, "run", "cancel", made)).stdout
    assert (await said_from_afar(plane, key, "run", "show", made)).exit_code == 1
    for verb in ("retry", "cancel"):
        assert (await said_from_afar(plane, key, "run", verb, made)).exit_code == 0
    assert (await said_from_afar(plane, key, "run", "resolve", made, "--as", "failed")).exit_code == 2
    hidden = (await ordered(plane, SCRIPT, "--no-wait")).stdout.strip()
    listed = (await said_from_afar(plane, key, "run", "list", "--state", "cancelled", "--json")).stdout
    assert [json.loads(line)["id"] for line in listed.splitlines()] == [made]
    assert hidden not in (await said_from_afar(plane, key, "run", "list")).stdout
    assert (await said_from_afar(plane, key, "run", "show", hidden)).exit_code == 2
