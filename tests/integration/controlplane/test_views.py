"""The pages of locations, tests, runs and runners, over HTTP: what they show, what their forms do, and to whom."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import aiohttp
import pytest

from controlplane.pages.table import PAGES
from controlplane.service import overview, startcommands
from controlplane.service.principal import Role
from controlplane.service.startcommands import ConfigPath
from controlplane.store.alerttables import transitions
from controlplane.store.tables import locations as place_table
from controlplane.store.tables import results
from tests.integration.controlplane.plane import Plane, served
from tests.support import protocol
from tests.support.definitions import STATUS, http_test
from tests.support.outcomes import incorrect, outcome
from tests.support.protocol import ProtocolWorker
from tests.support.visitors import PageVisitor, ShownPage

TEST = "abc-def-ghi"
HOSTILE_NAME = '<b onclick="x">&amp;\'\u202e{{ 7*7 }}'
"""Of a test: a location's name has printable characters alone."""


@pytest.fixture
async def editor(plane: Plane) -> PageVisitor:
    return await signed_in(plane, "Ed", Role.EDITOR)


@pytest.fixture
async def viewer(plane: Plane) -> PageVisitor:
    return await signed_in(plane, "Vi", Role.VIEWER)


async def signed_in(plane: Plane, name: str, role: Role) -> PageVisitor:
    await plane.add_user(name, role)
    return PageVisitor(plane.url, cookies={"session": await plane.session_of(name)})


def text_of(page: ShownPage) -> str:
    """The words that a reader sees, in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page.text)).split())


def field_of(page: ShownPage, name: str) -> str:
    found = re.search(rf'<textarea id="{name}"[^>]*>\n?(.*?)</textarea>', page.text, re.DOTALL)
    assert found is not None, page.text
    return html.unescape(found[1])


def location_form(plane: Plane, **fields: str) -> dict[str, str]:
    given = {"name": "Office", "description": "", "tags": "", "key_kind": "x25519", "intake_url": plane.url}
    return given | {"answer": "page", **fields}


def filled_form(**fields: str) -> dict[str, str]:
    config = {"request": {"method": "GET", "url": "https://shop.test/"}, "assertions": [STATUS]}
    document = json.dumps({"type": "api", "subtype": "http", "config": config})
    return {"name": "Shop", "tags": "", "period": "60", "status": "live", "document": document, "do": "save"} | fields


@pytest.mark.parametrize("answer", ["page", "file"])
async def test_the_config_file_is_in_the_answer_and_nowhere_else(
    plane: Plane, editor: PageVisitor, session: aiohttp.ClientSession, tmp_path: Path, answer: str
) -> None:
    await editor.get("/locations/new")
    made = await editor.send("/locations/new", location_form(plane, answer=answer, tags="a, b,a"))
    assert (made.status, made.headers["Cache-Control"]) == (200, "no-store")
    text = made.text if answer == "file" else field_of(made, "file")
    config = json.loads(text)
    file = tmp_path / "downloaded.json"
    file.write_text(text)
    worker = ProtocolWorker.from_file(file, plane.url)
    worker.clock = plane.clock
    await worker.pull(session)

    if answer == "file":
        assert made.headers["Content-Disposition"] == "attachment; filename*=UTF-8''worker-config.json"
    else:
        assert "only time that this file is shown" in text_of(made)
    shown = [await editor.get(f"/locations{path}") for path in ("", f"/{config['id']}")]
    kept = b"".join(path.read_bytes() for path in plane.folder.iterdir() if path.name.startswith("controlplane.db"))
    for secret in (config["secretAccessKey"], config["privateKey"].splitlines()[1]):
        assert not any(secret in page.text for page in shown)
        assert secret.encode() not in kept
    assert "healthy" in text_of(shown[1])
    assert "a, b" in text_of(shown[1])


async def test_the_exact_commands_are_shown_where_a_worker_is_started(plane: Plane, editor: PageVisitor) -> None:
    await editor.get("/locations/new")
    made = await editor.send("/locations/new", location_form(plane, intake_url="https://plane.example"))
    place = json.loads(field_of(made, "file"))["id"]
    path = ConfigPath(text="worker-config.json")
    blocks = [startcommands.reaching("https://plane.example"), *startcommands.starting(path, "https://plane.example")]
    for page in (made, await editor.get(f"/locations/{place}"), await editor.get("/")):
        shown = html.unescape(page.text)
        for block in (*blocks, *startcommands.compose(path, "https://plane.example")):
            assert "\n".join(block.lines) in shown


async def test_a_location_turns_from_never_seen_to_healthy_to_silent(
    plane: Plane, viewer: PageVisitor, session: aiohttp.ClientSession
) -> None:
    worker = await plane.add_location()
    here = f"/locations/{worker.location}"
    page = await viewer.get(here)
    assert "No worker has polled yet" in text_of(page)
    assert 'data-live-seconds="2"' in page.text
    assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in page.text
    await worker.pull(session, host="machine-1", concurrency=20, free_slots=19, agent="worker/7")
    page = await viewer.get(here)
    for told in ("healthy", "machine-1", "worker/7", "19 of 20 free"):
        assert told in text_of(page)
    await worker.pull(session, host="machine-1", degraded="outbox: the disk is full")
    assert "degraded outbox: the disk is full" in text_of(await viewer.get(here))
    plane.clock.stall(6)
    assert "No worker has polled in the last 5 s" in text_of(await viewer.get(here))
    assert "silent" in text_of(await viewer.get("/locations"))


async def test_a_location_is_changed_rotated_switched_and_deleted(
    plane: Plane, editor: PageVisitor, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    worker = await plane.add_location()
    await plane.add_test(worker.location, name="Shop of all")
    here = f"/locations/{worker.location}"
    await editor.get(f"{here}/edit")
    changed = await editor.send(f"{here}/edit", {"name": "Berlin", "description": "d", "tags": "x"})
    assert "Berlin" in (await editor.follow(changed)).heading
    refused = await editor.send(f"{here}/edit", {"name": "", "description": "d", "tags": "x"})
    assert (refused.status, "1 to 200 printable characters" in text_of(refused)) == (400, True)

    rotated = await editor.send(f"{here}/rotate", {"overlap_hours": "0", "answer": "file"})
    (tmp_path / "new.json").write_text(rotated.text)
    newer = ProtocolWorker.from_file(tmp_path / "new.json", plane.url)
    newer.clock = plane.clock
    await newer.pull(session)
    assert (await worker.post(session, protocol.PULL, worker.pull_body(), "application/json")).status == 401
    bad = await editor.send(f"{here}/rotate", {"overlap_hours": "nan", "answer": "file"})
    assert (bad.status, "overlap_hours: 'nan' is not a valid number" in text_of(bad)) == (400, True)

    await editor.send(f"{here}/disable", {})
    assert "Workers are refused and nothing runs here" in text_of(await editor.get(here))
    await editor.send(f"{here}/enable", {})
    assert "Workers are refused" not in text_of(await editor.get(here))

    asked = text_of(await editor.get(f"{here}/delete"))
    assert "1 test runs here and will not any more: Shop of all" in asked
    assert "1 worker polled just now" in asked
    gone = await editor.send(f"{here}/delete", {})
    assert "1 test runs nowhere now" in text_of(await editor.follow(gone))
    assert (await editor.get(here)).status == 404


async def test_a_mistake_in_a_definition_is_told_with_its_path_and_the_form_is_kept(
    plane: Plane, editor: PageVisitor
) -> None:
    await plane.add_location()
    form = await editor.get("/tests/new")
    assert "office never seen" in text_of(form)
    config = {"request": {"method": "GET"}, "assertions": [{"type": "statusCode", "operator": "is"}]}
    document = json.dumps({"type": "api", "subtype": "http", "config": config})
    for do in ("save", "check"):
        refused = await editor.send("/tests/new", filled_form(document=document, do=do))
        assert refused.status == 400
        assert "config.request.url" in text_of(refused)
        assert "config.assertions[0].target" in text_of(refused)
        assert field_of(refused, "document") == document
    assert "There is no test yet" in text_of(await editor.get("/tests"))


async def test_a_test_is_made_edited_paused_and_deleted(plane: Plane, editor: PageVisitor) -> None:
    worker = await plane.add_location()
    await editor.get("/tests/new")
    checked = await editor.send("/tests/new", filled_form(do="check"))
    assert "The test is valid. It is not saved." in text_of(checked)
    made = await editor.send("/tests/new", filled_form(tags="team:a", location=worker.location))
    here = made.to
    page = await editor.follow(made)
    assert page.heading == "Shop"
    assert "office" in text_of(page)
    (document,) = re.findall(r"<pre[^>]*>(.*?)</pre>", (await editor.get(f"{here}/json")).text, re.DOTALL)
    assert json.loads(html.unescape(document))["name"] == "Shop"

    form = await editor.get(f"{here}/edit")
    version = re.findall(r'name="version" value="(\d+)"', form.text)[0]
    fields = filled_form(name="Shop 2", document=field_of(form, "document"), version=version, location=worker.location)
    assert (await editor.send(f"{here}/edit", fields)).status == 303
    stale = await editor.send(f"{here}/edit", fields | {"name": "Shop 3"})
    assert (stale.status, "was changed by Ed since this form was shown" in text_of(stale)) == (409, True)
    assert (await editor.get(here)).heading == "Shop 2"
    again = re.findall(r'name="version" value="(\d+)"', stale.text)[0]
    assert (await editor.send(f"{here}/edit", fields | {"name": "Shop 3", "version": again})).status == 303

    paused = await editor.follow(await editor.send(f"{here}/pause", {}))
    assert "Nothing runs until it is resumed" in text_of(paused)
    assert "Nothing runs" not in text_of(await editor.follow(await editor.send(f"{here}/resume", {})))
    assert "It runs at office and will not any more" in text_of(await editor.get(f"{here}/delete"))
    await editor.send(f"{here}/delete", {})
    assert (await editor.get(here)).status == 404


async def test_exports_are_imported_all_or_none(plane: Plane, editor: PageVisitor) -> None:
    worker = await plane.add_location()
    await editor.get("/tests/import")
    broken = json.dumps([http_test("a"), {"name": "b", "type": "api"}])
    refused = await editor.send("/tests/import", {"definitions": broken, "location": worker.location})
    assert (refused.status, "import[1]: config" in text_of(refused)) == (400, True)
    assert field_of(refused, "definitions") == broken
    lines = "\r\n".join(json.dumps(http_test(name)) for name in "abc")
    done = await editor.send("/tests/import", {"definitions": lines, "location": worker.location})
    assert done.to == "/tests"
    listed = text_of(await editor.get("/tests"))
    assert "1 to 3 of 3" in listed


async def test_a_test_runs_before_it_is_saved_and_its_page_turns(
    plane: Plane, editor: PageVisitor, session: aiohttp.ClientSession
) -> None:
    worker = await plane.add_location()
    await editor.get("/tests/new")
    started = await editor.send("/tests/new", filled_form(do="run", location=worker.location))
    assert "It runs now at office, as it stands here. It is not saved." in text_of(started)
    assert "https://shop.test/" in field_of(started, "document")
    follow = html.unescape(re.findall(r'href="(/ondemand[^"]+)"', started.text)[0])
    waiting = await editor.get(follow)
    assert "data-live-seconds" in waiting.text
    (job,) = (await worker.pull(session)).jobs
    await worker.push(session, protocol.item(job, **incorrect()))
    (job_result,) = [row.id for row in (await plane.rows(results))[0]]
    ended = await editor.get(follow)
    assert "data-live-seconds" not in ended.text
    (result,) = re.findall(r'href="(/tests/[^"]+/results/\d+)"', ended.text)
    assert "INCORRECT_ASSERTION" in (await editor.get(result)).text
    pushed = result.rpartition("/")[0] + "/" + job_result  # as an alert's link names it
    assert "INCORRECT_ASSERTION" in (await editor.get(pushed)).text
    assert (await editor.get(f"/tests/zzz-zzz-zzz/results/{job_result}")).status == 404
    assert "There is no test yet" in text_of(await editor.get("/tests"))


async def test_the_overview_filters_by_name_tag_state_and_location(plane: Plane, viewer: PageVisitor) -> None:
    here, there = (await plane.add_location("here")).location, (await plane.add_location("there")).location
    await plane.add_test(here, "aaa-aaa-aaa", name="Shop one", tags=("team:a",))
    await plane.add_test(there, "bbb-bbb-bbb", name="Shop two", tags=("team:b",), paused=True)
    for query, expected in {
        "": ["Shop one", "Shop two"],
        "?name=one": ["Shop one"],
        "?name=shop%20two": ["Shop two"],
        "?tag=team:a": ["Shop one"],
        "?state=paused": ["Shop two"],
        "?state=waiting": ["Shop one"],
        "?state=failed": [],
        f"?location={there}": ["Shop two"],
        f"?location={here}&state=paused": [],
    }.items():
        page = await viewer.get(f"/tests{query}")
        assert re.findall(r'href="/tests/\w{3}-\w{3}-\w{3}">(.*?)</a>', page.text) == expected, query
    assert (await viewer.get("/tests?state=nonsense")).status == 400
    assert (await viewer.get("/tests?from=x")).status == 400


async def test_pages_of_the_overview_keep_the_filter(plane: Plane, viewer: PageVisitor) -> None:
    place = (await plane.add_location()).location
    for number in range(overview.PAGE + 1):
        name = "abcdefghijklmnopqrstuvwxyz"[number]
        await plane.add_test(place, f"{name}aa-aaa-aaa", name=f"Shop {name}", tags=("x",))
    first = await viewer.get("/tests?tag=x")
    (following,) = re.findall(r'rel="next" href="([^"]+)"', first.text)
    second = await viewer.get(html.unescape(following))
    assert "26 to 26 of 26" in text_of(second)
    assert "tag=x" in html.unescape(re.findall(r'rel="prev" href="([^"]+)"', second.text)[0])


async def test_a_viewer_is_offered_no_change_and_makes_none(plane: Plane, viewer: PageVisitor) -> None:
    worker = await plane.add_location()
    await plane.add_test(worker.location)
    for path in ("/locations", f"/locations/{worker.location}", "/tests", f"/tests/{TEST}", "/runners", "/"):
        page = await viewer.get(path)
        assert page.status == 200
        assert re.findall(r'<form method="post" action="([^"]+)"', page.text) in ([], ["/sign-out"]), path
    assert "You may order no action" in text_of(await viewer.get("/runners"))
    for path in ("/locations/new", "/tests/new", "/tests/import", f"/tests/{TEST}/edit", f"/tests/{TEST}/delete"):
        assert (await viewer.get(path)).status == 403, path
    for path, fields in {
        "/locations/new": location_form(plane),
        f"/locations/{worker.location}/rotate": {"overlap_hours": "0"},
        f"/locations/{worker.location}/disable": {},
        f"/locations/{worker.location}/delete": {},
        f"/tests/{TEST}/pause": {},
        f"/tests/{TEST}/run": {},
        f"/tests/{TEST}/delete": {},
    }.items():
        assert (await viewer.send(path, fields)).status == 403, path
    assert len((await plane.rows(place_table))[0]) == 1
    assert (await viewer.get(f"/tests/{TEST}")).status == 200


async def test_credentials_of_a_test_are_read_by_who_may_change_it(
    plane: Plane, editor: PageVisitor, viewer: PageVisitor
) -> None:
    config = {"request": {"method": "GET", "url": "https://shop.test/", "basicAuth": {"password": "s3cret"}}}
    document = json.dumps({"type": "api", "subtype": "http", "config": config | {"assertions": [STATUS]}})
    await editor.get("/tests/new")
    made = await editor.send("/tests/new", filled_form(document=document))
    assert "s3cret" in (await editor.get(f"{made.to}/json")).text
    for path in (made.to, f"{made.to}/json"):
        page = await viewer.get(path)
        assert (page.status, "s3cret" in page.text) == (200, False)
    assert "<withheld>" in html.unescape(page.text)


async def test_every_link_and_form_stays_below_the_path_of_the_public_url(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    async with served(tmp_path, prefix="/plane") as plane:
        admin = await signed_in(plane, "Ada", Role.ADMIN)
        worker = await plane.add_location()
        await plane.add_test(worker.location)
        (job,) = (await worker.pull(session)).jobs
        await worker.push(session, protocol.item(job, **incorrect()))
        here, test = f"/locations/{worker.location}", f"/tests/{TEST}"
        for path in (
            "/",
            "/locations",
            here,
            f"{here}/delete",
            "/locations/new",
            "/tests",
            test,
            f"{test}/edit",
            "/runners",
        ):
            page = await admin.get(path)
            assert page.status == 200
            links = re.findall(r'(?:href|action|src)="([^"#]*)', page.text)
            assert [link for link in links if link and not link.startswith("/plane/")] == [], path
        paused = await admin.send(f"{test}/pause", {})
        assert paused.to == f"/plane{test}"


NAMES_NOTHING = ("/locations/new", "/runners", "/alerts/maintenance/new", "/alerts/routes/new")
"""Pages on which no name of a thing stands."""


async def test_hostile_names_are_text_on_every_page(plane: Plane, session: aiohttp.ClientSession) -> None:
    admin = await signed_in(plane, "Ada", Role.ADMIN)
    worker = await plane.add_location("<b onclick='x'>&amp;{{ 7*7 }}")
    await plane.add_test(worker.location, name=HOSTILE_NAME, tags=("<i>",))
    (job,) = (await worker.pull(session)).jobs
    await worker.pull(session, host="<u>", degraded="<script>", holding=(job.lease,))
    await worker.push(session, protocol.item(job, **incorrect("<script>", "<script>alert(1)</script>")))
    ((alert,),) = await plane.rows(transitions)
    names = {"{location}": worker.location, "{test}": TEST, "{result}": "1", "{alert}": alert.alert_id}
    seen = 0
    for route in PAGES:
        path = route.path
        for name, value in names.items():
            path = path.replace(name, value)
        if route.method != "GET" or "{" in path or not path.startswith(("/tests", "/locations", "/runners", "/alerts")):
            continue
        page = await admin.get(path)
        assert page.status == 200, path
        assert not re.search(r"<b\b|<u>|<i>|<script(?! src=)|\u202e|&amp;amp;lt;", page.text), path
        assert "&lt;b onclick" in page.text or path in NAMES_NOTHING, path
        seen += 1
    assert seen >= 14


async def test_the_first_page_leads_to_the_first_green_run(
    plane: Plane, editor: PageVisitor, session: aiohttp.ClientSession
) -> None:
    assert "Step 1 of 4" in text_of(await editor.get("/"))
    worker = await plane.add_location()
    assert "Step 2 of 4" in text_of(await editor.get("/"))
    await worker.pull(session)
    assert "Step 3 of 4" in text_of(await editor.get("/"))
    await plane.add_test(worker.location)
    page = await editor.get("/")
    assert "Step 4 of 4" in text_of(page)
    assert 'data-live-seconds="2"' in page.text
    (job,) = (await worker.pull(session)).jobs
    await worker.push(session, protocol.item(job, **outcome()))
    assert "Step" not in text_of(await editor.get("/"))
