"""The pages of runners and of runs of private actions: what they tell, and to whom."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controlplane.service import links, users, workflowruns, workflows
from controlplane.service.principal import Role
from controlplane.service.sessions import Visitor
from controlplane.service.workflowruns import WantedWorkflow
from controlplane.store import runnerreports
from controlplane.store.runnertables import runner_instances
from tests.support.runnerplane import BOSS, RunnerPlane, played_runner, runner_plane
from tests.support.visitors import PageVisitor, ShownPage
from worker.secret import Secret
from worker.wire.runner_details import RunnerDetails, ToldChoice, ToldConnection, details_digest, encode_details

CANARY = "canary-7f3a"
DETAILS = RunnerDetails(
    isolation="namespaces",
    tags=("site:berlin",),
    actions=("data.jq",),
    connections=(
        ToldConnection(
            name="shop<b>",
            kind="postgresql",
            choices=(ToldChoice(name="orders", schema={"properties": {"since": {}}}),),
        ),
        ToldConnection(name="broken", usable=False),
    ),
)


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[RunnerPlane]:
    async with runner_plane(tmp_path) as running:
        yield running


async def signed_in(plane: RunnerPlane, name: str, role: Role) -> PageVisitor:
    database, clock = plane.database, plane.clock
    await users.create(database, clock, BOSS, name, role=role, password=None, hasher=plane.context.passwords)
    link = await links.create(database, clock, BOSS, name)
    token = Secret(link.path.reveal().rpartition("=")[2])
    session = await links.spend(database, clock, token, Visitor(address="127.0.0.1", agent="tests"))
    assert session is not None
    return PageVisitor(plane.url, cookies={"session": session.token.reveal()})


def text_of(page: ShownPage) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page.text)).split())


async def test_a_run_with_its_inputs_and_outputs_is_shown_to_who_may_order_it(plane: RunnerPlane) -> None:
    admin, editor = await signed_in(plane, "Ada", Role.ADMIN), await signed_in(plane, "Ed", Role.EDITOR)
    identity, _ = await plane.enrol()
    async with played_runner(plane, identity):
        run = (await plane.order(arguments={"value": CANARY})).run.id
        await plane.ended(run)
        listed = text_of(await admin.get("/runners"))
    assert "berlin healthy" in listed
    assert "data.jq berlin succeeded" in listed
    shown = await admin.get(f"/runners/runs/{run}")
    assert shown.text.count(CANARY) == 2, "what went in, and what came out"
    assert "data-live-seconds" not in shown.text
    assert "succeeded" in text_of(shown)
    for path in ("/runners", f"/runners/runs/{run}"):
        page = await editor.get(path)
        assert page.status == (200 if path == "/runners" else 404)
        assert CANARY not in page.text
    assert "You may order no action" in text_of(await editor.get("/runners"))


async def test_a_run_that_waits_turns_by_itself(plane: RunnerPlane) -> None:
    admin = await signed_in(plane, "Ada", Role.ADMIN)
    await plane.enrol()
    run = (await plane.order()).run.id
    page = await admin.get(f"/runners/runs/{run}")
    assert "queued: waits for runner berlin" in text_of(page)
    assert 'data-live-seconds="5"' in page.text


async def test_a_runner_is_shown_with_what_it_tells_of_itself(plane: RunnerPlane) -> None:
    viewer = await signed_in(plane, "Vi", Role.VIEWER)
    identity, _ = await plane.enrol()
    here = f"/runners/{await plane.runner_id('berlin')}"
    assert "It has told nothing of its connections" in text_of(await viewer.get(here))
    async with played_runner(plane, identity):
        await plane.ended((await plane.order()).run.id)
    text = encode_details(DETAILS)
    async with plane.database.write() as connection:
        await runnerreports.put(connection, await plane.runner_id("berlin"), details_digest(text), text)
    await plane.write(runner_instances, {"report": details_digest(text)})
    page = await viewer.get(here)
    for told in ("site:berlin", "namespaces", "shop<b> postgresql every one orders(since)", "broken cannot be used"):
        assert told in text_of(page)
    assert "<b>" not in page.text
    assert (await viewer.get("/runners/nobody")).status == 404


WORKFLOW = {
    "name": "mend",
    "runner": "berlin",
    "description": "Mends <b>",
    "params": {"type": "object", "properties": {"of": {"type": "string"}}},
    "triggers": [{"hook": {"verify": "bearer", "secret": "token"}}],
    "steps": [
        {"name": "look", "action": "data.jq", "input": {"value": "{{ params.of }}"}},
        {"name": "act", "action": "data.jq", "input": {"seen": "{{ steps.look.outputs.value }}"}},
    ],
}


async def test_a_workflow_is_shown_with_its_steps_and_each_of_its_runs(plane: RunnerPlane) -> None:
    admin, viewer = await signed_in(plane, "Ada", Role.ADMIN), await signed_in(plane, "Vi", Role.VIEWER)
    assert "There is no workflow" in text_of(await viewer.get("/workflows"))
    identity, _ = await plane.enrol()
    secret = Secret("s" * 30 + CANARY)
    pushed = await workflows.push(plane.database, plane.clock, BOSS, WORKFLOW, {"token": secret})
    async with played_runner(plane, identity):
        wanted = WantedWorkflow(name="mend", params={"of": CANARY})
        run = (await workflowruns.create(plane.database, plane.clock, BOSS, wanted, client="cli")).run
        plane.context.wakeups.ring(run.runner)
        await plane.ended(run.id)
    assert "mend Mends <b> on berlin 2 1" in text_of(await viewer.get("/workflows"))
    page = await viewer.get("/workflows/mend")
    assert f"/hooks/{pushed.stored.hooks['0']}, proven by bearer" in text_of(page)
    assert "look data.jq berlin none the run ends" in text_of(page)
    assert "You may start no workflow" in text_of(page)
    assert "<b>" not in page.text
    assert f"/runners/runs/{run.id}" in (await admin.get("/workflows/mend")).text
    shown = await admin.get(f"/runners/runs/{run.id}")
    assert "look succeeded data.jq" in text_of(shown)
    assert "act succeeded data.jq" in text_of(shown)
    assert shown.text.count(CANARY) == 4, "what each step gave, and what the newest was given and gave"
    for each in (page, await admin.get("/workflows/mend"), await viewer.get("/runners")):
        assert CANARY not in each.text
    assert (await viewer.get(f"/runners/runs/{run.id}")).status == 404

    assert (await viewer.send("/workflows/mend/pause", {})).status == 403
    assert "/workflows/mend/start" not in page.text
    await admin.get("/workflows/mend")
    await admin.send("/workflows/mend/pause", {})
    assert "It starts nothing until it is resumed" in text_of(await viewer.get("/workflows/mend"))
    assert (await viewer.get("/workflows/nothing")).status == 404


async def test_a_workflow_is_started_from_its_page_by_who_may(plane: RunnerPlane) -> None:
    admin, editor = await signed_in(plane, "Ada", Role.ADMIN), await signed_in(plane, "Ed", Role.EDITOR)
    await plane.enrol()
    times = {"type": "integer", "maximum": 3, "description": "So often <b>"}
    params = {"type": "object", "properties": {"of": {"type": "string"}, "times": times}, "required": ["of"]}
    definition = WORKFLOW | {"params": params, "triggers": []}
    await workflows.push(plane.database, plane.clock, BOSS, definition, {})
    here = "/workflows/mend/start"
    assert f'href="{here}"' in (await admin.get("/workflows/mend")).text
    assert f'href="{here}"' not in (await editor.get("/workflows/mend")).text
    assert (await editor.get(here)).status == 403
    form = await admin.get(here)
    assert "So often <b>" in text_of(form)
    assert "<b>" not in form.text
    (once,) = re.findall(r'name="once" value="(\w+)"', form.text)
    for given, told in (
        ({"param.of": "x", "param.times": "4"}, "params"),
        ({"param.of": "x", "param.times": "?"}, "params.times: '?' is not a valid JSON value"),
        ({"param.of": ""}, "params"),
    ):
        refused = await admin.send(here, {"once": once, **given})
        assert (refused.status, told in text_of(refused)) == (400, True), given
        assert f'value="{given["param.of"]}"' in refused.text
    good = {"once": once, "param.of": CANARY, "param.times": "2"}
    assert (await editor.send(here, good)).status == 403
    started = [await admin.send(here, good) for _ in range(2)]
    assert started[0].to == started[1].to
    run = await plane.show(started[0].to.rpartition("/")[2])
    assert (run.workflow, run.run.by_kind, run.run.by_id) == ("mend", "user", "Ada")
    shown = await admin.follow(started[0])
    assert "Workflow mend is started." in text_of(shown)
    assert CANARY in text_of(shown)
    other = await admin.send(here, good | {"param.times": "3"})
    assert other.to != started[0].to
    await workflows.set_paused(plane.database, plane.clock, BOSS, "mend", paused=True)
    assert f'href="{here}"' not in (await admin.get("/workflows/mend")).text
    assert "is paused" in text_of(await admin.send(here, good | {"param.times": "1"}))
