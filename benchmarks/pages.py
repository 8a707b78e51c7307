"""Pages of a filled control plane, over HTTP on loopback: the overview of 1,000 tests, the page of a test with 100,000 results.

`python -m benchmarks.pages [--tests 1000] [--results 100000] [--rounds 20]` prints, for each page, median and longest of its
answers in milliseconds, and its size in bytes as it is sent (gzip) and as a browser reads it. The tests of the first page have a
day of results each, one a minute, those behind them a tenth of that.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
from sqlalchemy import insert, update

from benchmarks.search import test_row
from controlplane.service.overview import PAGE
from controlplane.service.principal import Role
from controlplane.store.tables import assignments, results
from controlplane.store.tables import tests as table
from tests.integration.controlplane.plane import Plane, served
from tests.support.outcomes import incorrect, outcome

DAY = 1440
"""Results of a day, one a minute."""
AT_ONCE = 5000
HEADERS = {"Accept": "text/html", "Accept-Encoding": "gzip"}
PADDING = 1500
"""Characters beside a small outcome: those in use have some two thousand."""


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", type=int, default=1000)
    parser.add_argument("--results", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        async with served(Path(folder)) as plane, aiohttp.ClientSession(auto_decompress=False) as session:
            place = (await plane.add_location()).location
            ids = await _fill(plane, place, arguments.tests, arguments.results)
            await plane.add_user("Ada", Role.VIEWER)
            cookie = f"session={await plane.session_of('Ada')}"
            print(f"{arguments.tests} tests, one with {arguments.results} results; {arguments.rounds} answers each")
            print(f"{'':32}{'median, ms':>12}{'longest, ms':>12}{'sent':>10}{'read':>10}")
            for name, path in (
                ("overview", "/tests"),
                ("overview, its last page", f"/tests?from={(arguments.tests - 1) // PAGE * PAGE}"),
                ("overview, those that failed", "/tests?state=failed"),
                ("one test", f"/tests/{ids[-1]}"),
                ("one run", f"/tests/{ids[0]}/results/1"),
            ):
                await _measure(session, plane.url + path, cookie, name, arguments.rounds)


async def _measure(session: aiohttp.ClientSession, url: str, cookie: str, name: str, rounds: int) -> None:
    taken = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        async with session.get(url, headers=HEADERS | {"Cookie": cookie}, allow_redirects=False) as answer:
            body = await answer.read()
            assert answer.status == 200, (name, answer.status)
        taken.append((time.perf_counter() - start) * 1000)
    del taken[0]  # it compiles the templates
    whole = len(gzip.decompress(body))
    print(f"{name:32}{statistics.median(taken):12.1f}{max(taken):12.1f}{len(body):10}{whole:10}")


async def _fill(plane: Plane, place: str, number: int, many: int) -> list[str]:
    """The public ids of the tests, in the order of their names; the last one has *many* results."""
    rows = [test_row(each) for each in range(number)]
    ids = [str(row["public_id"]) for row in rows]
    async with plane.database.write() as connection:
        await connection.execute(insert(table), rows)
        await connection.execute(
            insert(assignments), [{"test_id": each, "location_id": place, "due_at": plane.now()} for each in ids]
        )
    first, others, last = ids[:PAGE], ids[PAGE:-1], ids[-1]
    wanted = [*((each, DAY) for each in first), *((each, DAY // 10) for each in others), (last, many)]
    portion: list[dict[str, Any]] = []
    for row in _results(plane.now(), place, wanted):
        portion.append(row)
        if len(portion) == AT_ONCE:
            await _put(plane, portion)
            portion = []
    await _put(plane, portion)
    return ids


async def _put(plane: Plane, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    async with plane.database.write() as connection:
        await connection.execute(insert(results), rows)
        for row in {row["test_id"]: row for row in rows}.values():
            there = assignments.c.test_id == row["test_id"]
            newest = {"last_status": row["status"], "last_at": row["stored_at"]}
            await connection.execute(update(assignments).where(there).values(newest))


def _results(now: int, place: str, wanted: list[tuple[str, int]]) -> Iterator[dict[str, Any]]:
    good, bad = json.dumps(outcome(padding="x" * PADDING)), json.dumps(incorrect() | {"padding": "x" * PADDING})
    for test, number in wanted:
        for index in range(number):
            failed = index % 40 == 7
            yield {
                "id": f"{test}-{index}",
                "job_id": f"{test}-{index}",
                "origin": "worker",
                "test_id": test,
                "test_name": test,
                "location_id": place,
                "status": "failed" if failed else "passed",
                "runs": 1,
                "stored_at": now - (number - index) * 60_000,
                "outcome": bad if failed else good,
            }


if __name__ == "__main__":
    asyncio.run(main())
