"""Keys and the audit log: who gets in, how far, and what is written down of it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import aiohttp
import pytest
from sqlalchemy import select, text, update

from controlplane.rest.failures import MOST_FAILURES, WINDOW_NS
from controlplane.service.keys import identify
from controlplane.store.database import Keyring, Opening, open_database
from controlplane.store.engines import sqlite
from controlplane.store.tables import audit, keys
from tests.integration.controlplane.plane import Plane
from tests.integration.controlplane.typed import Run
from tests.support.definitions import http_test
from tests.support.public_api import PublicAPI

TESTS = "/api/v1/synthetics/tests"
VALIDATE = "/api/v1/validate"


def test_a_key_is_made_shown_once_listed_and_revoked(run: Run, location: str) -> None:
    made = json.loads(run("key", "create", "ci", "--scopes", "trigger,read", "--json").output)
    assert set(made) == {"api_key", "app_key"}
    assert (len(made["api_key"]), len(made["app_key"])) == (32, 40)
    listed = json.loads(run("key", "list", "--json").output)
    assert (listed["name"], listed["scopes"], listed["last_used_at"]) == ("ci", ["read", "trigger"], None)
    assert not {made["api_key"], made["app_key"]} & set(run("key", "list").output.split())
    assert "`key revoke` ends that one" in run("key", "create", "ci", code=2).output
    assert "key 'ci' is revoked" in run("key", "revoke", "ci").output
    assert run("key", "list", "--json").output == ""
    assert "no key 'ci'" in run("key", "revoke", "ci", code=2).output


@pytest.mark.parametrize("scopes", ["", "everything", "read,root"])
def test_a_scope_that_is_not_there_is_named(run: Run, location: str, scopes: str) -> None:
    assert "expected some of read, write, trigger" in run("key", "create", "x", "--scopes", scopes, code=2).output


async def test_keys_stand_in_the_database_as_hashes_alone(plane: Plane, api: PublicAPI) -> None:
    assert api.api_key
    assert api.app_key
    content = b"".join(path.read_bytes() for path in plane.folder.glob("controlplane.db*"))
    assert api.api_key.encode() not in content
    assert api.app_key.encode() not in content


async def test_who_shows_what_gets_how_far(plane: Plane, api: PublicAPI) -> None:
    other, _ = await plane.add_key("read", name="other")
    assert (await api.call("GET", TESTS)).status == 200
    assert (await api.holding(api_key=None).call("GET", TESTS)).status == 200, "the application key is enough"
    bearer = {"Authorization": f"Bearer {api.app_key}"}
    assert (await api.raw("GET", TESTS, bearer)).status == 200
    assert (await api.holding(app_key=None).call("GET", VALIDATE)).body == {"valid": True}
    assert (await api.holding(app_key=None).call("GET", TESTS)).status == 401
    nobody = api.holding(api_key=None, app_key=None)
    assert (await nobody.call("GET", VALIDATE)).errors == ["API key required"]
    assert [(await nobody.call("GET", path)).status for path in (VALIDATE, TESTS)] == [403, 401]
    assert (await api.holding(api_key="0" * 32).call("GET", TESTS)).errors == ["Forbidden"]
    assert (await api.holding(app_key="x" * 40).call("GET", TESTS)).status == 403
    assert (await api.holding(api_key=other).call("GET", TESTS)).status == 403, "one pair's API key is not another's"


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        (("read",), {"read"}),
        (("write",), {"write"}),
        (("trigger",), {"trigger"}),
        (("read", "write"), {"read", "write"}),
    ],
)
async def test_a_scope_opens_its_own_routes(
    plane: Plane, session: aiohttp.ClientSession, scopes: tuple[str, ...], allowed: set[str]
) -> None:
    api_key, app_key = await plane.add_key(*scopes)
    api = PublicAPI(session, plane.url, api_key, app_key)
    asked = {
        "read": await api.call("GET", TESTS),
        "write": await api.call("POST", f"{TESTS}/delete", {"public_ids": ["abc-def-ghi"]}),
        "trigger": await api.call("POST", f"{TESTS}/trigger", {"tests": [{"public_id": "abc-def-ghi"}]}),
    }
    refused = {name for name, answer in asked.items() if answer.status == 403}
    assert refused == set(asked) - allowed
    for name in refused:
        assert asked[name].errors == ["Forbidden", "Failed permission authorization checks"]


async def test_a_revoked_key_is_refused_at_once(plane: Plane, api: PublicAPI, run: Run) -> None:
    assert (await api.call("GET", TESTS)).status == 200
    async with plane.database.write() as connection:
        await connection.execute(keys.delete())
    assert (await api.call("GET", TESTS)).status == 403


@pytest.mark.parametrize(
    "change",
    [
        {"scopes": "read,write,trigger,admin,action/**"},
        {"name": "another"},
        {"id": "0" * 16},
        {"api_key_hash": hashlib.sha256(b"k" * 32).digest()},
        {"sealed": None},
        {"sealed": b"x" * 60},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_who_writes_the_database_makes_and_widens_no_key(
    plane: Plane, api: PublicAPI, change: dict[str, Any]
) -> None:
    planted = api.holding(api_key=None, app_key="p" * 40)
    async with plane.database.write() as connection:
        row = dict((await connection.execute(select(keys))).one()._mapping)
        twin = {
            "id": "1" * 16,
            "name": "planted",
            "api_key_hash": b"h",
            "app_key_hash": hashlib.sha256(b"p" * 40).digest(),
        }
        await connection.execute(keys.insert().values(row | twin))
        await connection.execute(update(keys).where(keys.c.id == row["id"]).values(change))
    assert (await planted.call("GET", TESTS)).status == 403
    assert (await api.holding(api_key=None).call("GET", TESTS)).status == 403
    assert (await api.holding(app_key=None).call("GET", VALIDATE)).status == 403


async def test_keys_of_an_older_version_are_sealed_with_its_schema_and_at_no_other_time(
    plane: Plane, api: PublicAPI
) -> None:
    database = plane.database
    pair = {"api_key": api.api_key, "app_key": api.app_key}
    async with database.write() as connection:
        await connection.execute(update(keys).values(sealed=None))
    assert await identify(database, plane.clock, **pair) is None
    async with database.write() as connection:
        await connection.execute(text("ALTER TABLE keys DROP COLUMN sealed"))
        await connection.execute(text("DROP INDEX assignments_by_location"))  # of a later schema, which makes it again
        await connection.execute(text("UPDATE alembic_version SET version_num = '0019'"))
    path = plane.folder / "controlplane.db"
    keyring = Keyring(path=path.with_name(f"{path.name}.key"))
    again = await open_database(sqlite.engine(path), keyring, Opening(upgrade=True, backup=False))
    try:
        found = await identify(again, plane.clock, **pair)
        assert found is not None
        assert found.name == "ci"
    finally:
        await again.close()


async def test_failures_are_limited_and_good_keys_are_not(plane: Plane, api: PublicAPI) -> None:
    assert (await api.call("GET", TESTS)).status == 200
    stranger = api.holding(api_key=None, app_key="f" * 40)
    statuses = [(await stranger.call("GET", TESTS)).status for _ in range(MOST_FAILURES + 1)]
    assert statuses == [403] * MOST_FAILURES + [429]
    limited = await stranger.call("GET", TESTS)
    assert 1 <= int(limited.headers["x-ratelimit-reset"]) <= 60
    assert (await api.call("GET", TESTS)).status == 200, "behind the same address, with keys that were good before"
    plane.clock.stall(WINDOW_NS / 1e9)
    assert (await stranger.call("GET", TESTS)).status == 403


async def test_the_last_use_is_noted_once_a_minute(plane: Plane, api: PublicAPI) -> None:
    seen = []
    for seconds in (0, 30, 31):
        plane.clock.stall(seconds)
        await api.get(TESTS)
        ((row,),) = await plane.rows(keys)
        seen.append(row.last_used_at)
    assert seen[0] == seen[1] == seen[2] - 61_000


async def test_each_change_is_in_the_log_with_what_was_before_and_no_secret(plane: Plane, api: PublicAPI) -> None:
    await plane.add_location()
    secret = {
        "basicAuth": {"type": "web", "username": "u", "password": "canary"},
        "headers": {"Authorization": "canary"},
    }
    test = http_test("one")
    test["config"]["request"] |= secret
    made = await api.post(f"{TESTS}/api", test)
    test_id = made["public_id"]
    await api.put(f"{TESTS}/api/{test_id}", test | {"name": "two"})
    await api.put(f"{TESTS}/{test_id}/status", {"new_status": "paused"})
    await api.post(f"{TESTS}/delete", {"public_ids": [test_id]})

    entries = (await api.get("/api/v1/audit", subject=test_id))["entries"]

    assert [(one["actor"], one["via"], one["action"]) for one in reversed(entries)] == [
        ("ci", "api", "test.create"),
        ("ci", "api", "test.update"),
        ("ci", "api", "test.pause"),
        ("ci", "api", "test.delete"),
    ]
    created, updated = entries[3], entries[2]
    assert (created["before"], created["after"]["name"]) == (None, "one")
    assert (updated["before"]["name"], updated["after"]["name"]) == ("one", "two")
    assert updated["after"]["config"]["request"]["basicAuth"]["password"] == "<redacted>"
    (rows,) = await plane.rows(audit)
    assert "canary" not in str(rows)
    older = (await api.get("/api/v1/audit", subject=test_id, before=entries[2]["seq"], limit=1))["entries"]
    assert [one["action"] for one in older] == ["test.create"]


def test_a_command_is_in_the_log_under_its_user(run: Run, location: str) -> None:
    run("location", "disable", "office")
    entries = [json.loads(line) for line in run("audit", "--json").output.splitlines()]
    assert [(one["via"], one["action"]) for one in entries] == [
        ("command", "location.create"),
        ("command", "location.disable"),
    ]
    assert (entries[1]["before"]["enabled"], entries[1]["after"]["enabled"]) == (True, False)
    assert "location.disable" in run("audit").output
