"""Results for the public API: pages and single ones, of version 1 and 2, with what clients join them to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.errors import NotFoundError, UnusableError
from controlplane.service import documents
from controlplane.service.principal import KeyScope, Principal
from controlplane.service.resultshapes import RunType
from controlplane.service.triggers import FIRST_RESULT_ID
from controlplane.store import publicresults, testsearch, triggered
from controlplane.store import tests as stored
from controlplane.store.database import Database
from controlplane.store.portions import portions
from controlplane.store.publicresults import PublicResult, Window
from controlplane.store.tests import StoredTest
from controlplane.store.triggered import Followed

PAGE = 150
"""Results of one page, the reference system's number."""
MOST_POLLED = 2000
"""Results of one poll: as many as one trigger makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadResult:
    """A result and the *definition* that was run, as clients are shown it: a document without secrets.

    *outcome* has the status alone where the stored one is not *readable*.
    """

    result: PublicResult
    outcome: dict[str, Any]
    definition: dict[str, Any]
    version: int
    readable: bool = True

    @property
    def run(self) -> RunType:
        if self.result.triggered_at is None:
            return RunType.SCHEDULED
        return RunType.TRIGGERED if self.result.batch is None else RunType.CI


@dataclass(frozen=True, slots=True, kw_only=True)
class PolledResult:
    """A triggered run, and its outcome: None until there is one."""

    followed: Followed
    outcome: dict[str, Any] | None
    definition: dict[str, Any]


async def page(database: Database, by: Principal, test: str, window: Window) -> tuple[ReadResult, ...]:
    """The newest results of a test, the newest first. Raises NotFoundError where the test is gone and has none."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        found = await publicresults.newest(connection, test, window, limit=PAGE)
        known = await stored.by_id(connection, test)
        if known is None and not found:
            raise NotFoundError("test", test)
        shown = await _shown(connection, known)
    return tuple(_read(one, shown, known) for one in found)


async def get(database: Database, by: Principal, test: str, number: str) -> ReadResult:
    """One result of a test. Raises NotFoundError where it is not there, or not yet."""
    by.require(KeyScope.READ)
    wanted = result_id(number)
    async with database.read() as connection:
        found = await publicresults.by_id(connection, wanted, triggered_from=FIRST_RESULT_ID)
        return await _whole(connection, found, test, number)


async def find(database: Database, by: Principal, test: str, name: str) -> ReadResult:
    """One result of a test by its number, or by the id that its worker gave it: alerts name that. Raises NotFoundError."""
    if name.isascii() and name.isdecimal():
        return await get(database, by, test, name)
    by.require(KeyScope.READ)
    async with database.read() as connection:
        return await _whole(connection, await publicresults.by_pushed_id(connection, name), test, name)


async def _whole(connection: AsyncConnection, found: PublicResult | None, test: str, name: str) -> ReadResult:
    if found is None or found.test_id != test:
        raise NotFoundError("result", name[:40])
    known = await stored.by_id(connection, test)
    return _read(found, await _shown(connection, known), known)


async def poll(database: Database, by: Principal, numbers: Sequence[str]) -> tuple[PolledResult, ...]:
    """Triggered runs by their result ids, those that there are, in that order. Raises UnusableError."""
    by.require(KeyScope.TRIGGER, KeyScope.READ)
    if len(numbers) > MOST_POLLED:
        raise UnusableError(f"result_ids: {len(numbers)} ids, and at most {MOST_POLLED} are taken")
    wanted = [result_id(number) for number in numbers]
    found: dict[int, Followed] = {}
    async with database.read() as connection:
        for some in portions(wanted):
            rows = await triggered.by_result_ids(connection, some)
            found |= {one.run.result_id: one for one in rows}
    return tuple(
        PolledResult(
            followed=one,
            outcome=None if one.outcome is None else _object(one.outcome) or {"status": one.status},
            definition=documents.withheld(json.loads(one.run.definition)),
        )
        for number in wanted
        if (one := found.get(number)) is not None
    )


def result_id(text: str) -> int:
    """The number of a result's id. Raises UnusableError where it is none."""
    if not text.isascii() or not text.isdecimal() or len(text) > 19 or int(text) >= 2**63:
        raise UnusableError(f"result id {text[:40]!r} is not a valid number of up to 19 digits")
    return int(text)


async def _shown(connection: AsyncConnection, known: StoredTest | None) -> dict[str, Any]:
    if known is None:
        return {}
    places = await testsearch.places_of(connection, [known.public_id])
    return documents.shown(known, [place for place, _ in places[known.public_id]])


def _read(found: PublicResult, shown: dict[str, Any], known: StoredTest | None) -> ReadResult:
    stored_outcome = _object(found.outcome)
    outcome: dict[str, Any] = {"status": found.status} if stored_outcome is None else stored_outcome
    brought = None if found.definition is None else documents.withheld(json.loads(found.definition))
    ran = outcome.get("test", {}).get("version") if isinstance(outcome.get("test"), dict) else None
    version = ran if isinstance(ran, int) and ran > 0 else 1 if known is None else known.version
    return ReadResult(
        result=found,
        outcome=outcome,
        definition=shown if brought is None else brought,
        version=version,
        readable=stored_outcome is not None,
    )


def _object(text: str) -> dict[str, Any] | None:
    """A stored outcome, None where it cannot be read: another version may have written it, and one row costs itself alone."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None
