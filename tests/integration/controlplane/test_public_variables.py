"""Global variables: what is shown of them, what stays when it is not sent, and that a secure value leaves in no reply."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from controlplane.store import variables as stored
from controlplane.store.tables import variables
from tests.integration.controlplane.plane import Plane
from tests.support.definitions import http_test
from tests.support.public_api import PublicAPI

VARIABLES = "/api/v1/synthetics/variables"


def sent(name: str = "TOKEN", **value: Any) -> dict[str, Any]:
    return {"name": name, "description": "d", "tags": ["b", "a"]} | ({"value": value} if value else {})


async def value_of(plane: Plane) -> str:
    async with plane.database.read() as connection:
        (one,) = await stored.list_all(connection, plane.database.sealer)
    assert one.value is not None
    return one.value.reveal()


async def test_a_clear_variable_comes_back_as_it_was_sent(plane: Plane, api: PublicAPI) -> None:
    made = await api.post(VARIABLES, sent(value="x", secure=False))
    assert made == {
        "id": made["id"],
        "name": "TOKEN",
        "description": "d",
        "tags": ["b", "a"],
        "value": {"secure": False, "value": "x"},
        "type": "variable",
        "last_error": None,
    }
    read = await api.get(f"{VARIABLES}/{made['id']}")
    assert {name: read[name] for name in made} == made
    assert (read["creator"]["handle"], read["editor"]["handle"]) == ("ci", "ci")
    assert (await api.get(VARIABLES))["variables"] == [read]


async def test_a_secure_value_is_in_no_reply_and_stays_when_it_is_not_sent(plane: Plane, api: PublicAPI) -> None:
    made = await api.post(VARIABLES, sent(value="canary", secure=True))
    path = f"{VARIABLES}/{made['id']}"
    replies = [
        made,
        await api.put(path, sent(secure=True)),
        await api.put(path, sent()),
        await api.get(path),
        await api.get(VARIABLES),
        await api.get("/api/v1/audit"),
    ]
    assert "canary" not in json.dumps(replies)
    assert [one["value"] for one in replies[:4]] == [{"secure": True}] * 4
    assert await value_of(plane) == "canary"
    refused = await api.call("PUT", path, sent(secure=False))
    assert (refused.status, "not made readable" in refused.errors[0]) == (400, True)
    await api.put(path, sent(value="new", secure=True))
    assert await value_of(plane) == "new"
    (rows,) = await plane.rows(variables)
    assert "canary" not in str(rows)
    assert b"new" not in rows[0].value_sealed
    assert (await api.call("GET", f"{path}/clear")).status == 403


async def test_a_name_is_taken_once(api: PublicAPI) -> None:
    await api.post(VARIABLES, sent("ONE", value="1", secure=False))
    two = await api.post(VARIABLES, sent("TWO", value="2", secure=False))
    assert (await api.call("POST", VARIABLES, sent("ONE", value="1"))).status == 409
    assert (await api.call("PUT", f"{VARIABLES}/{two['id']}", sent("ONE", value="1"))).status == 409


async def test_deleting_answers_with_nothing(api: PublicAPI) -> None:
    made = await api.post(VARIABLES, sent(value="x", secure=False))
    gone = await api.call("DELETE", f"{VARIABLES}/{made['id']}")
    assert (gone.status, gone.body, gone.headers["content-type"][:9]) == (200, None, "text/html")
    again = await api.call("DELETE", f"{VARIABLES}/{made['id']}")
    assert (again.status, again.errors) == (404, ["Synthetics global variable not found"])


async def test_what_was_said_of_a_variable_comes_back_and_nothing_else(api: PublicAPI) -> None:
    options = {"totp_parameters": {"digits": 6, "refresh_interval": 30}}
    totp = await api.post(
        VARIABLES, sent("A_CODE", value="JBSWY3DPEHPK3PXP", secure=True, options=options) | {"is_totp": True}
    )
    assert (totp["is_totp"], totp["value"]) == (True, {"secure": True, "options": options})
    fido = await api.post(VARIABLES, sent("A_KEY") | {"is_fido": True, "attributes": {"restricted_roles": []}})
    assert (fido["is_fido"], fido["value"], "attributes" in fido, "is_totp" in fido) == (
        True,
        {"secure": True},
        False,
        False,
    )


async def test_roles_that_a_variable_is_restricted_to_come_back_where_there_are_any(api: PublicAPI) -> None:
    roles = {"restricted_roles": ["role-1", "role-2"]}
    made = await api.post(VARIABLES, sent("A_KEY", value="x", secure=False) | {"attributes": roles})
    assert made["attributes"] == roles
    assert (await api.get(f"{VARIABLES}/{made['id']}"))["attributes"] == roles
    refused = await api.call("POST", VARIABLES, sent("OTHER") | {"attributes": {"restricted_roles": [1]}})
    assert (refused.status, refused.errors) == (400, ["attributes.restricted_roles: is not a valid list of texts"])


@pytest.mark.parametrize(
    "body",
    [
        {"name": "lower", "description": "", "tags": []},
        {"name": 1, "description": "", "tags": []},
        sent() | {"tags": [1]},
        sent() | {"tags": "x"},
        sent() | {"description": []},
        sent() | {"value": "x"},
        sent(value=1),
        sent(value="x" * 70_000),
        sent(value="x", secure="yes"),
    ],
)
async def test_a_mistake_is_named_and_no_value_is_repeated(api: PublicAPI, body: dict[str, Any]) -> None:
    refused = await api.call("POST", VARIABLES, body)
    assert refused.status == 400
    assert "xxx" not in refused.errors[0]


async def test_a_job_brings_the_values_that_its_test_takes_from_outside(
    plane: Plane, api: PublicAPI, session: aiohttp.ClientSession
) -> None:
    worker = await plane.add_location()
    for name in ("USED", "DECLARED", "OWN", "OTHER"):
        await api.post(VARIABLES, sent(name, value=f"value of {name}", secure=False))
    test = http_test("t", "https://shop.test/{{ USED }}/{{OWN}}/{{ MISSING }}", locations=[worker.location])
    test["config"]["configVariables"] = [
        {"type": "global", "name": "DECLARED", "id": "x"},
        {"type": "text", "name": "OWN", "pattern": "mine"},
    ]
    await api.post("/api/v1/synthetics/tests/api", test)
    await api.post("/api/v1/synthetics/tests/api", http_test("plain", locations=[worker.location]))
    brought = {json.loads(bytes(job.test))["name"]: job.variables for job in (await worker.pull(session)).jobs}
    assert brought == {"t": {"USED": "value of USED", "DECLARED": "value of DECLARED"}, "plain": {}}


async def test_secure_values_and_one_time_passwords_are_marked_for_the_worker(
    plane: Plane, api: PublicAPI, session: aiohttp.ClientSession
) -> None:
    worker = await plane.add_location()
    await api.post(VARIABLES, sent("TOKEN", value="canary", secure=True))
    options = {"totp_parameters": {"digits": 8, "refresh_interval": 60}}
    await api.post(
        VARIABLES, sent("A_CODE", value="JBSWY3DPEHPK3PXP", secure=True, options=options) | {"is_totp": True}
    )
    url = "https://shop.test/{{ TOKEN }}/{{ A_CODE }}"
    await api.post("/api/v1/synthetics/tests/api", http_test("t", url, locations=[worker.location]))
    (job,) = (await worker.pull(session)).jobs
    assert job.variables == {"TOKEN": "canary", "A_CODE": "JBSWY3DPEHPK3PXP"}
    assert set(job.secure) == {"TOKEN", "A_CODE"}
    assert {name: (form.digits, form.refresh) for name, form in job.one_time.items()} == {"A_CODE": (8, 60)}
