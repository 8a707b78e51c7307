"""What a runner tells of itself: asked for once for each digest, shared by instances, and read back by name."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controlplane.commands.runnerdetails import for_people
from controlplane.service import runners
from tests.support.actions import RunnerOfOrders
from tests.support.runnerplane import BOSS, EpochKept, RunnerPlane, keys_of, runner_plane
from worker.actionrunner.channel import RunnerChannel
from worker.actionrunner.identity import KeptIdentity
from worker.actionrunner.leasebook import LeaseBook
from worker.actionrunner.localstate import LocalState
from worker.actionrunner.report import ReportFacts, ReportingStanding, ReportLevel, told
from worker.clock import SystemClock
from worker.intake.transport import Peer
from worker.wire.messages import Pull
from worker.wire.runner_details import RunnerDetails, decode_details, encode_details
from worker.wire.runner_messages import MAX_DETAILS_BYTES, RunnerPull, RunnerWork

SECRET = "postgres://canary"


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[RunnerPlane]:
    (tmp_path / "plane").mkdir()
    async with runner_plane(tmp_path / "plane") as running:
        yield running


@pytest.fixture
def state(tmp_path: Path) -> LocalState:
    """An operator's files with one of each, and one that cannot be used."""
    query = {"sql": f"select '{SECRET}' where id = $1", "params": {"properties": {"id": {"type": "integer"}}}}
    scripts = {
        "disk": {
            "command": ["/bin/df", "{{ parameters.path }}"],
            "parameterSchema": {"properties": {"path": {"type": "string"}}},
        }
    }
    (tmp_path / "ca.pem").write_text("")
    (tmp_path / "s.json").write_text(json.dumps({"schemaId": "script-credentials-v1", "runPredefinedScript": scripts}))
    connections = {
        "crm": {"type": "http", "base_url": "https://crm.internal", "allow": {"actions": ["http.*"]}},
        "db": {
            "type": "postgresql",
            "host": "db.internal",
            "database": "crm",
            "user": "u",
            "tls": {"mode": "disable"},
            "queries": {"customer": query},
        },
        "ops": {"type": "script", "file": "s.json"},
        "broken": {"type": "http"},
    }
    return RunnerOfOrders(tmp_path, connections=connections).files.state


def facts(level: ReportLevel = "full", **changes: Any) -> ReportFacts:
    given: dict[str, Any] = {"tags": ("site:berlin",), "actions": ("data.jq",), "isolation": "full", **changes}
    return ReportFacts(level=level, **given)


class Seen:
    """The pulls that a standing made."""

    def __init__(self, standing: ReportingStanding) -> None:
        self.standing = standing
        self.told: list[bool] = []

    def say(self, pull: RunnerPull) -> RunnerPull:
        said = self.standing.say(pull)
        self.told.append(said.details is not None)
        return said

    def hear(self, work: RunnerWork) -> None:
        self.standing.hear(work)

    def refused(self, code: str, message: str, instance: str | None) -> None:
        self.standing.refused(code, message, instance)


@asynccontextmanager
async def reporting(
    plane: RunnerPlane, identity: KeptIdentity, state: LocalState, level: ReportLevel = "full"
) -> AsyncIterator[tuple[RunnerChannel, Seen]]:
    seen = Seen(ReportingStanding(EpochKept(), facts(level), lambda: state))
    channel = RunnerChannel(
        Peer(url=plane.url),
        keys_of(identity),
        SystemClock(),
        instance=str(uuid.uuid4()),
        agent="t",
        book=LeaseBook(),
        standing=seen,
    )
    async with channel:
        yield channel, seen


async def pull(channel: RunnerChannel, identity: KeptIdentity) -> None:
    await channel.pull(Pull(version=1, concurrency=1, free_slots=0, keys=(identity.keys.opening.kid,)))


async def shown(plane: RunnerPlane) -> RunnerDetails | None:
    return (await runners.show(plane.database, plane.clock, BOSS, "berlin")).details


async def test_details_are_sent_when_they_are_asked_for_and_never_again(plane: RunnerPlane, state: LocalState) -> None:
    identity, _ = await plane.enrol(instances=3)
    async with reporting(plane, identity, state) as (channel, seen):
        for _ in range(4):
            await pull(channel, identity)
        assert seen.told == [False, True, False, False]
    found = await shown(plane)
    assert found is not None
    assert [one.name for one in found.connections] == ["broken", "crm", "db", "ops"]
    async with reporting(plane, identity, state) as (channel, seen):
        for _ in range(2):
            await pull(channel, identity)
        assert seen.told == [False, False], "another instance with the same files"
    async with reporting(plane, identity, state, "names") as (channel, seen):
        for _ in range(3):
            await pull(channel, identity)
        assert seen.told == [False, True, False]
    names = await shown(plane)
    assert names is not None
    assert all(choice.schema is None for one in names.connections for choice in one.choices)


async def test_a_runner_that_reports_nothing_is_asked_for_nothing(plane: RunnerPlane, state: LocalState) -> None:
    identity, _ = await plane.enrol()
    async with reporting(plane, identity, state, "none") as (channel, seen):
        for _ in range(2):
            await pull(channel, identity)
        assert seen.told == [False, False]
    assert await shown(plane) is None
    assert for_people(None) == "it has told nothing of its connections"


async def test_a_report_that_cannot_be_read_is_asked_for_once(plane: RunnerPlane, state: LocalState) -> None:
    identity, _ = await plane.enrol()
    async with reporting(plane, identity, state) as (channel, seen):
        seen.standing._of, seen.standing._details = state, '{"connections": 7}'
        for _ in range(3):
            await pull(channel, identity)
        assert seen.told == [False, True, False]
    assert await shown(plane) is None


def test_the_report_has_names_and_schemas_and_no_address_no_statement_and_no_command(state: LocalState) -> None:
    whole = encode_details(told(facts(), state))
    details = decode_details(whole)
    by_name = {one.name: one for one in details.connections}
    assert (by_name["broken"].usable, by_name["crm"].actions) == (False, ("http.*",))
    assert by_name["db"].choices[0].schema == {
        "type": "object",
        "additionalProperties": False,
        "properties": {"id": {"type": "integer"}},
    }
    assert [choice.name for choice in by_name["ops"].choices] == ["disk"]
    for secret in (SECRET, "internal", "/bin/df", "select"):
        assert secret not in whole
    text = for_people(details)
    assert "tags site:berlin" in text
    assert "customer(id)" in text
    assert "cannot be used" in text


def test_a_report_that_is_too_large_drops_schemas_first(state: LocalState, caplog: pytest.LogCaptureFixture) -> None:
    big = {"type": "object", "description": "x" * MAX_DETAILS_BYTES}
    usable = dict(state.connections.usable)
    db: Any = usable["db"]
    query = db.queries["customer"]
    usable["db"] = replace(db, queries={"customer": replace(query, schema=big)})
    larger = replace(state, connections=replace(state.connections, usable=usable))
    standing = ReportingStanding(EpochKept(), facts(), lambda: larger)
    standing.hear(RunnerWork(send_details=True))
    said = standing.say(RunnerPull(concurrency=1, free_slots=0, keys=("k",)))
    assert said.details is not None
    details = decode_details(said.details)
    assert [one.name for one in details.connections] == ["broken", "crm", "db", "ops"]
    assert details.connections[2].choices[0].schema is None
    assert "names are told without schemas" in caplog.text
