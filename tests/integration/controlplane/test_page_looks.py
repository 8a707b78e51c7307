"""Every page in a browser, wide and light, narrow and dark: usable by who hears it, by who types, and on a telephone."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from controlplane.pages.table import PAGES
from controlplane.service import channels, runners, silences, workflowruns, workflows
from controlplane.service.principal import Role, operator
from controlplane.service.runners import WantedRunner
from controlplane.service.workflowruns import WantedWorkflow
from controlplane.store.alerttables import transitions
from tests.integration.controlplane.plane import Plane
from tests.support import protocol
from tests.support.alerts import Outbound
from tests.support.browser import NARROW, WIDE, Browser, is_wider_than_its_window, serious_findings
from tests.support.outcomes import incorrect, outcome

TEST = "abc-def-ghi"
SHOWN = ("/tests", "/locations", "/runners", "/alerts", "/channels", "/workflows", "/apps", "/users", "/account")
MISTAKEN = (
    "/locations/new",
    "/tests/new",
    "/tests/import",
    "/channels/new",
    "/alerts/routes/new",
    "/users",
    "/account",
)
"""Pages with a form that is sent as it stands, which is not valid."""
LONG = "a-name-without-a-space-" * 8


async def _filled(plane: Plane, session: aiohttp.ClientSession) -> dict[str, str]:
    """The values of the parts of addresses, of a control plane in which every table has a row."""
    worker = await plane.add_location(LONG)
    await plane.add_test(worker.location, name=LONG, tags=(LONG,))
    await plane.add_test(worker.location, "xyz-xyz-xyz", name=LONG)
    jobs = (await worker.pull(session, host=LONG)).jobs
    (job,) = [each for each in jobs if TEST.encode() in bytes(each.test)]
    (other,) = [each for each in jobs if each is not job]
    response = {
        "status_code": 503,
        "headers": {LONG: LONG},
        "body": json.dumps({"a": LONG}),
        "redirects": [{"status_code": 302, "location": "https://shop.test/" + LONG}],
        "certificate": {"subject": {"CN": LONG}, "valid": {"from": 1_700_000_000_000, "to": 1_900_000_000_000}},
    }
    step = incorrect(LONG) | {"name": LONG, "response": response}
    whole = incorrect(LONG, LONG) | {"response": response, "unhealthy": LONG, "steps": [step, outcome(LONG)]}
    await worker.push(session, protocol.item(job, **whole), protocol.item(other, **incorrect(LONG)))
    await silences.add(
        plane.database, plane.clock, operator(LONG), name=LONG, tags=[LONG], minutes=5, rule="FREQ=DAILY"
    )
    ((alert,),) = await plane.rows(transitions)
    names = {"{location}": worker.location, "{test}": TEST, "{result}": "1", "{alert}": alert.alert_id}
    return names | await _actions(plane) | await _people(plane)


async def _people(plane: Plane) -> dict[str, str]:
    """A user, and a message that is sent by way of a channel."""
    await Outbound(plane.database, plane.clock).add("a" * 100, type="slack", url=f"https://{LONG[:60]}.example/")
    key = await channels.attempt(plane.database, plane.clock, operator(LONG), "a" * 100)
    return {"{key}": key, "{user}": (await plane.add_user(LONG[:100], Role.VIEWER)).id}


async def _actions(plane: Plane) -> dict[str, str]:
    """A runner, a workflow with a parameter of each kind of field, and a run of it."""
    wanted = WantedRunner(name="berlin", base_url=plane.url, modes=("pull",), host=None)
    made = await runners.create(plane.database, plane.clock, operator(LONG), wanted, ttl_ms=3_600_000)
    kinds: dict[str, Any] = {LONG: {"type": "string", "default": LONG}, "one": {"enum": [LONG]}, "any": {}}
    params = {"type": "object", "properties": {name: kind | {"description": LONG} for name, kind in kinds.items()}}
    steps = [{"name": "look", "action": "data.jq", "input": {"value": LONG}}]
    definition = {"name": "w" * 60, "runner": "berlin", "description": LONG, "params": params, "steps": steps}
    name = (await workflows.push(plane.database, plane.clock, operator(LONG), definition, {})).stored.name
    wanted_run = WantedWorkflow(name=name, params={LONG: LONG, "one": LONG}, idempotency_key=None)
    run = await workflowruns.create(plane.database, plane.clock, operator(LONG), wanted_run, client="api")
    return {"{workflow}": name, "{runner}": made.runner.id, "{run}": run.run.id}


@pytest.mark.long
@pytest.mark.parametrize(("width", "dark"), [(WIDE, False), (NARROW, True)], ids=["wide, light", "narrow, dark"])
async def test_a_page_is_accessible_and_fits_its_window(
    plane: Plane, session: aiohttp.ClientSession, browser: Browser, width: int, dark: bool
) -> None:
    names = await _filled(plane, session)
    await plane.add_user("Ada", Role.ADMIN)
    cookie = {"name": "session", "value": await plane.session_of("Ada"), "url": plane.url}
    paths = ["/", "/nothing/here"]
    for route in PAGES:
        path = route.path
        for name, value in names.items():
            path = path.replace(name, value)
        if route.method == "GET" and "{" not in path and path.startswith(SHOWN):
            paths.append(path)
    assert len(paths) > 30

    def look(page: Any) -> list[str]:
        page.context.add_cookies([cookie])
        found = []
        for path in paths:
            page.goto(plane.url + path)
            page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
            found += findings(page, path)
        for path in MISTAKEN:
            page.goto(plane.url + path)
            page.evaluate("document.querySelector('main form[method=post]').noValidate = true")
            page.locator("main form[method=post] button").first.click()
            page.get_by_role("alert").wait_for()
            found += findings(page, f"{path}, with a mistake")
        return found

    assert await browser.walk(look, width=width, dark=dark) == []
    assert [error for error in browser.errors if "404" not in error and "400" not in error] == []


@pytest.mark.long
async def test_the_pages_of_an_empty_control_plane_say_what_to_do_and_are_accessible(
    plane: Plane, browser: Browser
) -> None:
    await plane.add_user("Ada", Role.ADMIN)
    cookie = {"name": "session", "value": await plane.session_of("Ada"), "url": plane.url}

    def look(page: Any) -> list[str]:
        page.context.add_cookies([cookie])
        found = []
        for path in ("/", *SHOWN):
            page.goto(plane.url + path)
            found += findings(page, path)
        return found

    assert await browser.walk(look, width=NARROW) == []
    assert browser.errors == []


def findings(page: Any, place: str) -> list[str]:
    found = [f"{place}: {finding}" for finding in serious_findings(page)]
    return found + ([f"{place}: is wider than its window"] if is_wider_than_its_window(page) else [])
