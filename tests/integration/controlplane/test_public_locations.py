"""Locations over the public API: the file of a new one opens the worker protocol, and nothing later tells it again."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp

from tests.integration.controlplane.plane import Plane
from tests.support.definitions import http_test
from tests.support.protocol import ProtocolWorker
from tests.support.public_api import PublicAPI

LOCATIONS = "/api/v1/synthetics/private-locations"
SENT = {"name": "Head Office", "description": "d", "tags": ["b", "a"], "metadata": {"restricted_roles": ["r"]}}


async def test_the_file_of_a_new_location_is_in_its_reply_alone(
    plane: Plane, api: PublicAPI, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    made = await api.post(LOCATIONS, SENT)
    private, config = made["private_location"], made["config"]
    assert private["id"].startswith("pl:head-office-")
    assert (private["name"], private["description"], private["tags"]) == ("Head Office", "d", ["b", "a"])
    assert (private["createdBy"], private["metadata"]) == ("ci", SENT["metadata"])
    assert private["secrets"]["authentication"] == {"id": config["accessKey"], "key": config["secretAccessKey"]}
    assert private["secrets"]["config_decryption"]["key"] == config["privateKey"]
    assert made["result_encryption"] == {"id": config["publicKey"]["fingerprint"], "key": config["publicKey"]["pem"]}
    assert config["intakeUrl"] == plane.url

    file = tmp_path / "from-the-api.json"
    file.write_text(json.dumps(config))
    worker = ProtocolWorker.from_file(file, plane.url)
    worker.clock = plane.clock
    await api.post("/api/v1/synthetics/tests/api", http_test(locations=[private["id"]]))
    assert len((await worker.pull(session, host="machine-1")).jobs) == 1

    later = await api.call("GET", f"{LOCATIONS}/{private['id']}")
    (listed,) = (await api.get("/api/v1/synthetics/locations"))["locations"]
    seen = json.dumps([later.body, listed, await api.get("/api/v1/audit")])
    for secret in (config["secretAccessKey"], config["privateKey"], made["result_encryption"]["key"]):
        assert json.dumps(secret)[1:-1] not in seen
    assert (listed["id"], listed["name"], listed["state"]) == (private["id"], "Head Office", "healthy")
    assert listed["workers"][0]["host"] == "machine-1"


async def test_each_worker_is_listed_with_what_its_last_pull_said(
    plane: Plane, api: PublicAPI, session: aiohttp.ClientSession
) -> None:
    worker = await plane.add_location()
    await plane.add_test(worker.location)
    (job,) = (await worker.pull(session)).jobs
    await worker.pull(session, holding=(job.lease,), host="box", concurrency=20, free_slots=19, degraded="outbox")
    pulled = plane.now()
    (listed,) = (await api.get("/api/v1/synthetics/locations"))["locations"]
    (seen,) = listed["workers"]
    assert seen == {
        "id": worker.id,
        "host": "box",
        "address": "127.0.0.1",
        "version": "protocol-worker/1",
        "access_key": worker.credentials.access_key,
        "concurrency": 20,
        "free_slots": 19,
        "holding": 1,
        "draining": False,
        "degraded": "outbox",
        "last_pull": pulled,
    }
    assert (listed["state"], listed["last_seen"], listed["silent_workers"]) == ("degraded", pulled, [])
    plane.clock.stall(5)
    (listed,) = (await api.get("/api/v1/synthetics/locations"))["locations"]
    assert (listed["state"], len(listed["workers"])) == ("degraded", 1), "five seconds are within"
    plane.clock.stall(0.1)
    (listed,) = (await api.get("/api/v1/synthetics/locations"))["locations"]
    assert (listed["state"], listed["workers"], listed["silent_workers"]) == ("silent", [], [seen])
    plane.clock.stall(3600)
    (listed,) = (await api.get("/api/v1/synthetics/locations"))["locations"]
    assert listed["silent_workers"] == []


async def test_a_location_is_renamed_and_deleted(plane: Plane, api: PublicAPI) -> None:
    made = (await api.post(LOCATIONS, SENT))["private_location"]
    path = f"{LOCATIONS}/{made['id']}"
    plane.clock.stall(5)
    changed = await api.put(path, {"name": "HQ", "description": "", "tags": []})
    assert {name: changed[name] for name in ("id", "name", "description", "tags", "metadata")} == {
        "id": made["id"],
        "name": "HQ",
        "description": "",
        "tags": [],
        "metadata": None,
    }
    assert changed == await api.get(path)
    assert (changed["createdAt"], changed["modifiedAt"] > made["modifiedAt"]) == (made["createdAt"], True)
    gone = await api.call("DELETE", path)
    assert (gone.status, gone.body, gone.headers["content-type"][:9]) == (204, None, "text/html")
    again = await api.call("DELETE", path)
    assert (again.status, again.errors) == (404, [f"Synthetics Private Location: {made['id']} not found"])


async def test_a_name_is_taken_once(plane: Plane, api: PublicAPI) -> None:
    await plane.add_location("Head Office")
    assert (await api.call("POST", LOCATIONS, SENT)).status == 409
    other = (await api.post(LOCATIONS, SENT | {"name": "other"}))["private_location"]["id"]
    assert (await api.call("PUT", f"{LOCATIONS}/{other}", SENT)).status == 409
    assert (await api.call("POST", LOCATIONS, SENT | {"name": "a\nb"})).status == 400
    assert (await api.call("POST", LOCATIONS, SENT | {"tags": ["x"] * 101})).status == 400


async def test_defaults_and_settings_have_the_forms_that_clients_read(api: PublicAPI) -> None:
    assert await api.get("/api/v1/synthetics/settings/default_locations") == []
    assert await api.get("/api/v1/synthetics/settings") == {"onDemandConcurrencyCap": 0}
    assert await api.get("/api/v2/validate_keys") == {"status": "ok"}
