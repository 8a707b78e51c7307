"""Commands as people type them, and results as workers bring them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import Result

from controlplane.store.database import Keyring, open_database
from controlplane.store.engines import sqlite
from controlplane.store.results import keep
from controlplane.store.tables import jobs
from worker.wire import messages

Run = Callable[..., Result]
"""Runs a command; *code* is the exit code that it must have."""


def push(run: Run, location: str, *tests: dict[str, Any], code: int = 0) -> Result:
    Path("tests.json").write_text(json.dumps(list(tests)))
    return run("test", "push", "tests.json", "--location", location, code=code)


def listed(run: Run, what: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(what, "list", "--json").output.splitlines()]


def store(outcomes: list[dict[str, Any]], *, name: str = "shop") -> None:
    """Results as if a worker had pushed them."""

    async def put() -> None:
        path = Path("controlplane.db")
        database = await open_database(sqlite.engine(path), Keyring(path=path.with_name("controlplane.db.key")))
        async with database.write() as connection:
            place = (await connection.exec_driver_sql("SELECT id FROM locations")).scalar_one()
            test = (await connection.exec_driver_sql(f"SELECT public_id FROM tests WHERE name = '{name}'")).scalar_one()
            for number, one in enumerate(outcomes):
                job = f"{name}-{number}"
                row = {"id": job, "test_id": test, "location_id": place, "scheduled_at": 1, "until": 2}
                await connection.execute(jobs.insert().values(**row, delivery=1, leased_at=1, worker="w"))
                result = messages.ResultItem(result=f"r-{job}", job=job, lease=f"{job}.1", outcome=messages.raw(one))
                (kept,) = await keep(connection, location=place, worker="w", items=[result], now=1_767_323_045_000)
                assert kept.disposition.value == "accepted"
        await database.close()

    asyncio.run(put())
