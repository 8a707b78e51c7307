"""The pages of alerts: what goes on, how it was told, what a person may do about it, and who is told when."""

from __future__ import annotations

import html
import re
from typing import Any

import aiohttp
import pytest

from controlplane.service import definitions, tests
from controlplane.service.principal import Role, operator
from controlplane.store.alerttables import monitors, routes, silences
from tests.integration.controlplane.plane import Plane
from tests.support.definitions import http_test
from tests.support.protocol import ProtocolWorker, item
from tests.support.visitors import PageVisitor, ShownPage

BY = operator("somebody")


async def signed_in(plane: Plane, name: str, role: Role) -> PageVisitor:
    await plane.add_user(name, role)
    return PageVisitor(plane.url, cookies={"session": await plane.session_of(name)})


def text_of(page: ShownPage) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page.text)).split())


@pytest.fixture
async def worker(plane: Plane, session: aiohttp.ClientSession) -> ProtocolWorker:
    worker = await plane.add_location()
    content = http_test("shop <b>", public_id="abc-def-ghi", options={"tick_every": 60}, message="@ops")
    await tests.push(plane.database, plane.clock, BY, [definitions.check("test", content)], places=["office"])
    await plane.let_pass(16)
    failure: dict[str, Any] = {"code": "DNS", "message": "no <such> name"}
    (job,) = (await worker.pull(session)).jobs
    await worker.push(session, item(job, status="failed", failure=failure))
    return worker


async def test_an_alert_is_seen_acknowledged_and_silenced(plane: Plane, worker: ProtocolWorker) -> None:
    assert worker
    editor, viewer = await signed_in(plane, "Ed", Role.EDITOR), await signed_in(plane, "Vi", Role.VIEWER)
    listed = await viewer.get("/alerts")
    assert "shop <b> alert" in text_of(listed)
    assert "shop <b> fails at office: DNS: no <such> name" in text_of(listed)
    assert "<such>" not in listed.text
    assert "An alert goes on since" in text_of(await viewer.get("/tests/abc-def-ghi"))
    path = re.search(r'href="(/alerts/[^"]+)"', listed.text)
    assert path is not None
    one = text_of(await viewer.get(path[1]))
    assert "@ops queued 0" in one
    assert "Acknowledge" not in one, "who may only look is not offered what is refused"
    assert "Silence alerts from now on" not in text_of(listed)
    assert (await viewer.send(f"{path[1]}/acknowledge", {})).status == 403

    assert "Acknowledge" in text_of(await editor.get(path[1]))
    done = await editor.follow(await editor.send(f"{path[1]}/acknowledge", {}))
    assert "acknowledged by Ed" in text_of(done)
    ((row,),) = await plane.rows(monitors)
    assert row.acknowledged_by == "Ed"

    await editor.get("/alerts")
    made = await editor.follow(
        await editor.send("/alerts/silences", {"name": "moving", "tags": "env:prod, team:shop", "hours": "2"})
    )
    assert "The silence “moving” holds." in text_of(made)
    ((stored,),) = await plane.rows(silences)
    assert (stored.tags, stored.minutes) == ('["env:prod", "team:shop"]', 120)
    assert "moving env:prod, team:shop" in text_of(made)
    over = await editor.follow(await editor.send(f"/alerts/silences/{stored.id}/end", {}))
    assert "There is none: every alert is told." in text_of(over)


@pytest.mark.parametrize("hours", ["0", "-1", "x", "9999999", "²"])
async def test_a_mistake_in_the_form_is_told_and_changes_nothing(plane: Plane, hours: str) -> None:
    editor = await signed_in(plane, "Ed", Role.EDITOR)
    await editor.get("/alerts")
    refused = await editor.send("/alerts/silences", {"hours": hours})
    assert refused.status == 400
    assert "is not a valid number from 1 to" in text_of(refused)
    assert await plane.rows(silences) == [[]]


async def test_maintenance_is_planned_and_a_mistake_comes_back_as_it_was_typed(plane: Plane) -> None:
    editor, viewer = await signed_in(plane, "Ed", Role.EDITOR), await signed_in(plane, "Vi", Role.VIEWER)
    assert (await viewer.get("/alerts/maintenance/new")).status == 403
    typed = {"name": "night <i>", "start": "2026-11-28T22:00", "zone": "Europe/Berlin", "hours": "2"}
    typed["tags"] = "env:prod"
    await editor.get("/alerts/maintenance/new")
    for mistake, said in (
        ({"rule": "FREQ=SECONDLY"}, "rule 'FREQ=SECONDLY' is not a valid one here"),
        ({"zone": "Mars"}, "zone 'Mars' is not a valid time zone"),
        ({"start": "tomorrow"}, "start 'tomorrow' is not a valid local time"),
        ({"hours": ""}, "needs a length in hours"),
        ({"test": "nothing"}, "nothing"),
    ):
        refused = await editor.send("/alerts/maintenance/new", typed | mistake)
        assert (refused.status, said in text_of(refused)) == (400, True), text_of(refused)
        assert 'value="night &lt;i&gt;"' in refused.text
    assert await plane.rows(silences) == [[]]
    made = await editor.follow(await editor.send("/alerts/maintenance/new", typed | {"rule": "FREQ=DAILY"}))
    assert "The maintenance “night <i>” is planned." in text_of(made)
    assert "night <i> env:prod 2026-11-28 22:00 Europe/Berlin" in text_of(made)
    ((stored,),) = await plane.rows(silences)
    assert (stored.starts, stored.zone, stored.minutes, stored.rule) == (
        "2026-11-28T22:00",
        "Europe/Berlin",
        120,
        "FREQ=DAILY",
    )
    await editor.follow(await editor.send(f"/alerts/silences/{stored.id}/end", {}))
    assert await plane.rows(silences) == [[]]


async def test_a_route_is_made_replaced_and_taken_away(plane: Plane) -> None:
    editor, viewer = await signed_in(plane, "Ed", Role.EDITOR), await signed_in(plane, "Vi", Role.VIEWER)
    await editor.get("/alerts/routes/new")
    refused = await editor.send("/alerts/routes/new", {"name": "prod", "tags": "env:prod", "handles": "<b>"})
    assert refused.status == 400
    assert "handle '<b>' is not a valid one" in text_of(refused)
    assert 'value="&lt;b&gt;"' in refused.text
    for handles in ("ops", "@ops, archive@example.com"):
        typed = {"name": "prod", "tags": "env:prod, team:shop", "handles": handles}
        await editor.follow(await editor.send("/alerts/routes/new", typed))
    ((stored,),) = await plane.rows(routes)
    assert (stored.tags, stored.handles) == ('["env:prod", "team:shop"]', '["ops", "archive@example.com"]')
    listed = await viewer.get("/alerts")
    assert "prod env:prod, team:shop @ops, @archive@example.com" in text_of(listed)
    assert "Delete prod" not in text_of(listed)
    assert (await viewer.send("/alerts/routes/prod/delete", {})).status == 403
    await editor.get("/alerts")
    gone = await editor.follow(await editor.send("/alerts/routes/prod/delete", {}))
    assert "The route prod is gone." in text_of(gone)
    assert await plane.rows(routes) == [[]]
