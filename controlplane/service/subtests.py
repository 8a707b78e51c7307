"""Tests with the subtests that they play in them, as those are stored now: a worker knows no test but the one of its job.

What is not stored stays as it is, and its run ends as REQUIRES_UPDATE with the name of what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.store import tests
from controlplane.store.dispatch import Lease
from worker.apitest.subtests import DEEPEST, SUBTEST, embed, subtest_ids

MOST_SUBTESTS = 100
"""Different subtests of one test that are looked up: no test has more steps."""


async def whole(connection: AsyncConnection, definition: object) -> object:
    """*definition* with its subtests, and theirs."""
    known: dict[str, object] = {}
    wanted = set(subtest_ids(definition))
    for _ in range(DEEPEST):
        asked = sorted(wanted)[: MOST_SUBTESTS - len(known)]
        stored = await tests.by_ids(connection, asked) if asked else {}
        found = {public_id: json.loads(test.definition) for public_id, test in stored.items()}
        known |= found
        wanted = {inner for content in found.values() for inner in subtest_ids(content)} - known.keys()
    return embed(definition, known.get)


async def complete(connection: AsyncConnection, leases: Sequence[Lease], *, characters: int) -> tuple[Lease, ...]:
    """*leases* with whole definitions, as long as all of them together have at most *characters*."""
    left = characters - sum(len(lease.definition) for lease in leases)
    completed: list[Lease] = []
    for lease in leases:
        if plays_subtests(lease.definition):
            text = json.dumps(await whole(connection, json.loads(lease.definition)))
            if (more := len(text) - len(lease.definition)) <= left:
                left -= more
                lease = msgspec.structs.replace(lease, definition=text)  # noqa: PLW2901
        completed.append(lease)
    return tuple(completed)


def plays_subtests(definition: str) -> bool:
    """True where the JSON text *definition* may play subtests: few do, and the others are not read."""
    return f'"{SUBTEST}"' in definition
