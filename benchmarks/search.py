"""Searches over 100,000 tests by the public API's own code, beside the same questions put to the table itself.

`python -m benchmarks.search [--tests 100000] [--rounds 15]` prints medians in milliseconds: the answer to a search (50 tests, as
JSON) on a file that is in the page cache, and the scan in bare SQLite that answers it without the index `tests_for_search`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from sqlalchemy import insert

from controlplane.service import testdocuments
from controlplane.service.principal import operator
from controlplane.store.tables import tests as table
from tests.integration.controlplane.plane import Plane, opened
from tests.support.definitions import http_test

BY = operator("benchmark")
PAGE = 50
PADDING = 1500
"""Characters beside an ordinary definition: those in use have some two thousand."""
QUERIES = {
    "two words": ("shop 77", "name LIKE '%shop%' AND name LIKE '%77%'"),
    "a tag": ("tag:team:7", "tags LIKE '%\n' || 'team:7' || '\n%'"),
    "a word that no name has": ("nowhere", "name LIKE '%nowhere%'"),
    "everything": ("", "1"),
    "a tag and a status": ("tag:team:2 status:paused", "tags LIKE '%\n' || 'team:2' || '\n%' AND paused"),
}


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        async with opened(Path(folder)) as plane:
            await _fill(plane, arguments.tests)
            bare = sqlite3.connect(Path(folder) / "controlplane.db")
            print(f"{arguments.tests} tests, medians of {arguments.rounds}, ms")
            print(f"{'':32}{'found':>8}{'API':>8}{'scan':>8}")
            for name, (text, condition) in QUERIES.items():
                await _compare(plane, bare, name, text, condition, arguments.rounds)
            bare.close()


async def _compare(plane: Plane, bare: sqlite3.Connection, name: str, text: str, condition: str, rounds: int) -> None:
    async def ask() -> int:
        page = await testdocuments.search(plane.database, BY, text, start=0, count=PAGE)
        json.dumps([one.document for one in page.tests])
        return page.total

    async def scan() -> int:
        bare.execute(f"SELECT * FROM tests NOT INDEXED WHERE {condition} ORDER BY name LIMIT {PAGE}").fetchall()
        ((found,),) = bare.execute(f"SELECT count(*) FROM tests NOT INDEXED WHERE {condition}").fetchall()
        return int(found)

    ours, theirs = [], []
    for _ in range(rounds):
        found, taken = await _timed(ask)
        ours.append(taken)
        expected, taken = await _timed(scan)
        theirs.append(taken)
        assert found == expected, (name, found, expected)
    print(f"{name:32}{found:8}{statistics.median(ours):8.1f}{statistics.median(theirs):8.1f}")


async def _timed(work: Callable[[], Awaitable[int]]) -> tuple[int, float]:
    start = time.perf_counter()
    found = await work()
    return found, (time.perf_counter() - start) * 1000


async def _fill(plane: Plane, number: int) -> None:
    for start in range(0, number, 1000):
        rows = [test_row(n) for n in range(start, min(start + 1000, number))]
        async with plane.database.write() as connection:
            await connection.execute(insert(table), rows)


def test_row(number: int) -> dict[str, object]:
    """A stored test of the benchmark, by its number."""
    public_id = "-".join(_letters(number // 25**part % 15_625) for part in (6, 3, 0))
    name, tags = f"shop {number:06} of some team", (f"team:{number % 10}", f"env:{number % 3}")
    definition = http_test(name, public_id=public_id, tags=list(tags), padding="x" * PADDING)
    return {
        "public_id": public_id,
        "name": name,
        "subtype": "http",
        "version": 1,
        "paused": number % 4 == 0,
        "period_ms": 60_000,
        "definition": json.dumps(definition),
        "created_at": 0,
        "modified_at": 0,
        "tags": "".join(f"\n{tag}\n" for tag in tags),
    }


def _letters(number: int) -> str:
    return "".join("abcdefghijkmnpqrstuvwxyz2"[number // 25**place % 25] for place in (2, 1, 0))


if __name__ == "__main__":
    asyncio.run(main())
