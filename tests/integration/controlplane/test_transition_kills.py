"""`serve` killed at random moments while results come in: each transition is decided and queued exactly once.

`ALERT_KILLS=200` is the number of kills that the promise was made with; without it a handful is done.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
from contextlib import closing
from itertools import groupby
from pathlib import Path

import aiohttp
import pytest

from tests.integration.controlplane.process import Serving, command, serving, worker_of
from tests.support.definitions import http_test
from tests.support.protocol import ProtocolWorker, item
from worker.wire.messages import ResultItem

pytestmark = pytest.mark.long

ROUNDS = int(os.environ.get("ALERT_KILLS", "10"))
TESTS = 5
LONGEST = 0.06
"""Seconds after the first push within which the kill comes; a push takes some hundredths."""


def push_tests(folder: Path, number: int) -> None:
    """Edit every test, so that each is due at once."""
    file = folder / "tests.json"
    tests = [http_test(f"test {which}", message=f"@one @two edit {number}") for which in range(TESTS)]
    file.write_text(json.dumps(tests))
    command(folder, "test", "push", str(file), "--location", "office")


async def send(worker: ProtocolWorker, session: aiohttp.ClientSession, items: list[ResultItem]) -> None:
    """Push *items* one after another and drop those that were taken; raises aiohttp.ClientError once nobody answers."""
    while items:
        reply = await worker.push(session, items[0])
        assert reply.accepted or reply.duplicate, reply
        items.pop(0)


async def play(
    folder: Path,
    plane: Serving,
    chances: random.Random,
    left: list[ResultItem],
    said: dict[str, list[str]],
    *,
    kill: bool,
) -> None:
    """Push what is *left*, run what is due and push that, killed on the way where *kill* says so. *said* has each test's runs."""
    worker = worker_of(folder, plane.url)
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        await send(worker, session, left)
        for job in (await worker.pull(session)).jobs:
            status = chances.choice(["passed", "failed"])
            test = json.loads(bytes(job.test))["public_id"]
            said.setdefault(test, []).append(status)
            failure = {"code": "DNS", "message": "no such name"} if status == "failed" else None
            left.append(item(job, status=status, failure=failure))
        sending = asyncio.create_task(send(worker, session, left))
        if kill:
            await asyncio.sleep(chances.random() * LONGEST)  # the moment of the kill is what the test is about
            await asyncio.to_thread(plane.kill)
        with_errors = await asyncio.gather(sending, return_exceptions=True)
        assert all(isinstance(error, aiohttp.ClientError | None) for error in with_errors), with_errors


@pytest.mark.timeout(1800)
def test_each_transition_is_queued_exactly_once_however_often_serve_is_killed(tmp_path: Path) -> None:
    chances, left, said = random.Random(18), list[ResultItem](), dict[str, list[str]]()
    command(tmp_path, "location", "create", "office", "--output", str(tmp_path / "worker-config.json"))
    cut_short = 0
    for number in range(ROUNDS + 1):
        push_tests(tmp_path, number)
        with serving(tmp_path) as plane:
            asyncio.run(play(tmp_path, plane, chances, left, said, kill=number < ROUNDS))
        cut_short += bool(left)
    assert not left
    assert cut_short, "no kill came in the middle of anything"
    assert sum(map(len, said.values())) >= TESTS * ROUNDS // 2, "too little was run to show anything"
    with closing(sqlite3.connect(tmp_path / "c.db")) as connection:
        decided = connection.execute("SELECT test_id, kind FROM transitions ORDER BY seq").fetchall()
        queued = connection.execute("SELECT transition_id, address FROM notifications").fetchall()
        (transitions,) = connection.execute("SELECT count(DISTINCT id) FROM transitions").fetchone()
    for test, runs in said.items():
        told = [kind for of, kind in decided if of == test]
        assert told == expected(runs), (test, runs)
    assert len(set(queued)) == len(queued) == 2 * transitions


def expected(runs: list[str]) -> list[str]:
    """The transitions of a test with these runs in this order: where it turns, and not where it was well from the start."""
    kinds = [{"failed": "alert", "passed": "recovery"}[status] for status, _ in groupby(runs)]
    return kinds[1:] if kinds[:1] == ["recovery"] else kinds
