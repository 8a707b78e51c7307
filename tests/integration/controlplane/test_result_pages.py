"""Pages of results as they are stored: the heaviest, and those of other versions."""

from __future__ import annotations

import gzip
import json
import re
from typing import Any

import pytest
from sqlalchemy import insert

from controlplane.service import overview
from controlplane.service.principal import Role
from controlplane.store.tables import results
from tests.integration.controlplane.plane import Plane
from tests.support.outcomes import incorrect
from tests.support.visitors import PageVisitor

TEST = "abc-def-ghi"
MAX_PAGE_BYTES = 150_000


@pytest.fixture
async def viewer(plane: Plane) -> PageVisitor:
    await plane.add_user("Vi", Role.VIEWER)
    return PageVisitor(plane.url, cookies={"session": await plane.session_of("Vi")})


async def test_the_heaviest_pages_stay_small(plane: Plane, viewer: PageVisitor) -> None:
    place = (await plane.add_location()).location
    await plane.add_test(place)
    phases = {f"phase {number}": 1.5 for number in range(24)}
    body = "".join(chr(33 + number * 7919 % 90) for number in range(200_000))
    whole = incorrect(message="m" * 5000) | {
        "timings": phases,
        "response": {"body": body, "headers": {f"h{n}": f"{n * 7919}" * 50 for n in range(300)}},
    }
    rows = [_result(number, place, json.dumps(whole)) for number in range(overview.RUNS)]
    async with plane.database.write() as connection:
        await connection.execute(insert(results), rows)
    for path in (f"/tests/{TEST}", f"/tests/{TEST}/results/1"):
        page = await viewer.get(path)
        assert page.status == 200
        assert len(gzip.compress(page.text.encode(), 5)) < MAX_PAGE_BYTES, path


async def test_what_another_version_stored_still_renders(plane: Plane, viewer: PageVisitor) -> None:
    place = (await plane.add_location()).location
    await plane.add_test(place)
    texts = ["{}", "[]", "7", "not JSON", "", '{"timings": {"total": 1e400}}', '{"failure": "\\ud800"}']
    texts += ['{"status": "failed", "timings": {"dns": "x"}, "assertions": {"a": 1}, "failure": "text"}']
    texts += ['{"response": [], "steps": "x", "location": 1, "started_at": "now", "members": "of a later version"}']
    async with plane.database.write() as connection:
        await connection.execute(insert(results), [_result(number, place, text) for number, text in enumerate(texts)])
    page = await viewer.get(f"/tests/{TEST}")
    assert page.status == 200
    shown = re.findall(rf'href="(/tests/{TEST}/results/\d+)"', page.text)
    assert len(set(shown)) == len(texts)
    unreadable = 0
    for path in shown:
        run = await viewer.get(path)
        assert run.status == 200, path
        unreadable += "cannot be read" in run.text
    assert unreadable == 6, "no objects, a number without an end, half a surrogate pair"


def _result(number: int, place: str, text: str) -> dict[str, Any]:
    return {
        "id": f"result-{number}",
        "origin": "worker",
        "test_id": TEST,
        "test_name": "shop",
        "location_id": place,
        "status": "failed",
        "runs": 1,
        "stored_at": 1000 + number,
        "outcome": text,
    }
