"""Tests over the public API: stored, found, changed and refused as clients expect."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from tests.integration.controlplane.plane import Plane
from tests.support.definitions import http_test
from tests.support.protocol import ProtocolWorker
from tests.support.public_api import PublicAPI

TESTS = "/api/v1/synthetics/tests"
API = f"{TESTS}/api"


@pytest.fixture
async def worker(plane: Plane) -> ProtocolWorker:
    return await plane.add_location()


@pytest.fixture
def body(worker: ProtocolWorker) -> dict[str, Any]:
    return http_test("shop", locations=[worker.location], tags=["team:shop"])


async def test_a_created_test_comes_back_whole_and_is_run(
    plane: Plane, api: PublicAPI, session: aiohttp.ClientSession, worker: ProtocolWorker, body: dict[str, Any]
) -> None:
    made = await api.post(API, body)
    assert {name: made[name] for name in body} == body
    assert made["created_by"] == {"name": "ci", "handle": "ci", "email": ""}
    assert (made["status"], made["deleted_at"]) == ("live", None)
    read = await api.get(f"{API}/{made['public_id']}")
    assert read == await api.get(f"{TESTS}/{made['public_id']}", include_metadata="true")
    assert {name: read[name] for name in body} == body
    assert (read["creator"]["handle"], read["monitor_id"]) == ("ci", made["monitor_id"])
    (job,) = (await worker.pull(session)).jobs
    assert json.loads(bytes(job.test))["public_id"] == made["public_id"]


async def test_two_tests_of_one_name_are_two(api: PublicAPI, body: dict[str, Any]) -> None:
    ids = {(await api.post(API, body))["public_id"] for _ in range(2)}
    assert len(ids) == 2
    assert (await api.get(TESTS))["total"] == 2


async def test_a_replaced_test_keeps_its_beginning_and_moves_with_its_locations(
    plane: Plane, api: PublicAPI, session: aiohttp.ClientSession, worker: ProtocolWorker, body: dict[str, Any]
) -> None:
    made = await api.post(API, body)
    other = await plane.add_location("lab")
    plane.clock.stall(5)
    stored = await api.put(f"{API}/{made['public_id']}", body | {"name": "new", "locations": [other.location]})
    assert (stored["name"], stored["locations"]) == ("new", [other.location])
    assert stored["created_at"] == made["created_at"]
    assert stored["modified_at"] > made["modified_at"]
    assert (await worker.pull(session)).jobs == ()
    assert len((await other.pull(session)).jobs) == 1


async def test_a_paused_test_stays_paused_when_it_is_replaced_without_a_status(
    api: PublicAPI, body: dict[str, Any]
) -> None:
    made = await api.post(API, body | {"status": "paused"})
    assert (await api.put(f"{API}/{made['public_id']}", body))["status"] == "paused"
    assert (await api.put(f"{API}/{made['public_id']}", body | {"status": "live"}))["status"] == "live"
    assert (await api.put(f"{TESTS}/{made['public_id']}/status", {"new_status": "paused"})) is True
    assert (await api.get(f"{TESTS}/{made['public_id']}"))["status"] == "paused"


async def test_a_patch_is_atomic_and_copies_nothing_out_of_what_is_withheld(
    api: PublicAPI, body: dict[str, Any]
) -> None:
    secure = {"name": "T", "type": "text", "secure": True, "pattern": "canary"}
    body["config"]["configVariables"] = [secure]
    made = await api.post(API, body)
    path = f"{TESTS}/{made['public_id']}"

    async def patch(*operations: dict[str, Any]) -> Any:
        return await api.call("PATCH", path, {"data": list(operations)})

    add = {"op": "add", "path": "/tags/-", "value": "new"}
    assert (await patch(add)).body["tags"] == ["team:shop", "new"]
    refused = await patch(add, {"op": "copy", "from": "/config/configVariables/0/pattern", "path": "/name"})
    assert refused.status == 400
    assert "data[1]" in refused.errors[0]
    assert (await api.get(path))["tags"] == ["team:shop", "new"]
    invalid = await patch({"op": "remove", "path": "/options/tick_every"})
    assert "tick_every" in invalid.errors[0]


async def test_several_faults_are_one_text(api: PublicAPI, body: dict[str, Any]) -> None:
    body["config"]["assertions"] = []
    refused = await api.call("POST", API, body | {"options": {"tick_every": 5}})
    assert refused.status == 400
    (text,) = refused.errors
    assert text.count("\n") == 1
    assert "assertions" in text
    assert "tick_every" in text


async def test_lists_have_pages_and_the_last_is_short(api: PublicAPI, body: dict[str, Any]) -> None:
    for name in "cab":
        await api.post(API, body | {"name": name})
    pages = [await api.get(TESTS, page_size=2, page_number=number) for number in range(3)]
    assert [[one["name"] for one in page["tests"]] for page in pages] == [["a", "b"], ["c"], []]
    assert {page["total"] for page in pages} == {3}
    assert len((await api.get(TESTS))["tests"]) == 3


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("tag:team:shop", ["one", "two"]),
        ("team:shop", ["one", "two"]),
        ("tag:team:*", ["one", "two", "three"]),
        ("tag:team", []),
        ("ONE", ["one"]),
        ("100%_", []),
        ("status:paused", ["two"]),
        ("type:browser", []),
        ("location:office tag:eu", ["two"]),
    ],
)
async def test_a_search_finds(api: PublicAPI, body: dict[str, Any], text: str, names: list[str]) -> None:
    await api.post(API, body | {"name": "one"})
    await api.post(API, body | {"name": "two", "tags": ["eu", "team:shop"], "status": "paused"})
    await api.post(API, body | {"name": "three", "tags": ["team:other"]})
    found = await api.get(f"{TESTS}/search", text=text, count=1001)
    assert sorted(one["name"] for one in found["tests"]) == sorted(names)
    assert (found["total"], found["facets"]) == (len(names), [])


async def test_deleting_tells_which_were_there(api: PublicAPI, body: dict[str, Any]) -> None:
    ids = [(await api.post(API, body))["public_id"] for _ in range(2)]
    gone = await api.post(f"{TESTS}/delete", {"public_ids": [ids[0], "zzz-zzz-zzz"]})
    assert [one["public_id"] for one in gone["deleted_tests"]] == [ids[0]]
    nothing = await api.call("POST", f"{TESTS}/delete", {"public_ids": ["zzz-zzz-zzz"]})
    assert (nothing.status, nothing.errors) == (404, ["Synthetics test not found"])
    assert (await api.call("POST", f"{TESTS}/delete", {"public_ids": []})).status == 400
    asked = {"data": {"type": "delete_tests_request", "attributes": {"public_ids": [ids[1]]}}}
    bulk = await api.post("/api/v2/synthetics/tests/bulk-delete", asked)
    assert [(one["type"], one["id"]) for one in bulk["data"]] == [("delete_tests", ids[1])]
    assert (await api.get(TESTS))["total"] == 0


async def test_a_version_is_there_while_it_is_the_newest(api: PublicAPI, body: dict[str, Any]) -> None:
    made = await api.post(API, body)
    path = f"/api/v2/synthetics/tests/{made['public_id']}/version_history"
    assert [(await api.call("GET", f"{path}/{number}")).status for number in ("1", "2", "x")] == [200, 404, 404]
    await api.put(f"{API}/{made['public_id']}", body)
    assert [(await api.call("GET", f"{path}/{number}")).status for number in ("1", "2")] == [404, 200]


REFUSED: dict[str, tuple[str, str, Any, int]] = {
    "an unknown path": ("GET", "/api/v1/nothing", None, 404),
    "a wrong method": ("DELETE", API, None, 404),
    "an unknown test": ("GET", f"{API}/zzz-zzz-zzz", None, 404),
    "an unknown test to replace": ("PUT", f"{API}/zzz-zzz-zzz", http_test(), 404),
    "an unknown test to patch": ("PATCH", f"{TESTS}/zzz-zzz-zzz", {"data": []}, 404),
    "an unknown test to pause": ("PUT", f"{TESTS}/zzz-zzz-zzz/status", {"new_status": "paused"}, 404),
    "a suite": ("GET", "/api/v2/synthetics/suites/zzz-zzz-zzz", None, 404),
    "a tunnel": ("GET", "/api/v1/synthetics/ci/tunnel", None, 404),
    "a browser test to create": ("POST", f"{TESTS}/browser", {}, 400),
    "a browser test by its type": ("POST", API, http_test() | {"type": "browser"}, 400),
    "a browser test to read": ("GET", f"{TESTS}/browser/zzz-zzz-zzz", None, 404),
    "a location that is not there": ("POST", API, http_test(locations=["aws:eu-west-1"]), 400),
    "locations of another kind": ("POST", API, http_test(locations="pl:x"), 400),
    "a list": ("POST", API, [], 400),
    "a status of another kind": ("PUT", f"{TESTS}/abc-def-ghi/status", {"new_status": "gone"}, 400),
    "a page that is no number": ("GET", f"{TESTS}?page_size=x", None, 400),
    "ids of another kind": ("POST", f"{TESTS}/delete", {"public_ids": [1]}, 400),
}


@pytest.mark.parametrize(("method", "path", "sent", "status"), REFUSED.values(), ids=REFUSED)
async def test_a_refusal_has_one_form(api: PublicAPI, method: str, path: str, sent: Any, status: int) -> None:
    answer = await api.call(method, path, sent)
    assert answer.status == status, answer
    assert all(isinstance(text, str) and text for text in answer.errors)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b'{"name": "\xff"}', b'{"name": NaN}', b"[" * 100_000, b'{"config":' * 5_000, b'{"name": "\\ud800"}'],
    ids=["empty", "cut", "not UTF-8", "NaN", "deep list", "deep object", "surrogate"],
)
async def test_bodies_that_are_no_documents_are_refused(api: PublicAPI, data: bytes) -> None:
    assert api.app_key
    answer = await api.raw("POST", API, {"DD-APPLICATION-KEY": api.app_key}, data=data)
    assert answer.status == 400
    assert answer.errors


async def test_a_body_that_is_deep_and_well_formed_is_refused_or_kept(api: PublicAPI, body: dict[str, Any]) -> None:
    assert api.app_key
    deep = json.dumps(body)[:-1] + ', "x": ' + "[" * 600 + "]" * 600 + "}"
    answer = await api.raw("POST", API, {"DD-APPLICATION-KEY": api.app_key}, data=deep.encode())
    assert answer.status in (200, 400)


async def test_paths_are_decoded_once_and_a_second_slash_is_tolerated(
    api: PublicAPI, worker: ProtocolWorker, body: dict[str, Any]
) -> None:
    location = f"/api/v1/synthetics/private-locations/{worker.location}"
    assert (await api.get(location.replace(":", "%3A")))["id"] == worker.location
    assert (await api.call("GET", location.replace(":", "%253A"))).status == 404
    made = await api.post(API, body)
    assert (await api.get(f"/{API}/{made['public_id']}"))["public_id"] == made["public_id"]


async def test_a_subtype_cannot_be_changed(api: PublicAPI, body: dict[str, Any]) -> None:
    made = await api.post(API, body)
    refused = await api.call("PUT", f"{API}/{made['public_id']}", body | {"subtype": "dns"})
    assert (refused.status, refused.errors) == (400, ["updating sub-type is forbidden"])
