"""`serve` killed at random moments while alerts are on their way: each is told at least once, under one key.

`ALERT_KILLS=200` is the number of kills that the promise was made with; without it a handful is done.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from pathlib import Path

import pytest

from controlplane import epoch
from controlplane.alerts.transitions import TransitionKind, notification_key
from controlplane.store import transitions
from controlplane.store.database import Keyring, open_database
from controlplane.store.engines import sqlite
from tests.support.alerts import transition
from tests.support.programs import Program, run
from tests.support.servers.receiver import receiving
from tests.support.waiting import eventually
from worker.clock import SystemClock

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

ROUNDS = int(os.environ.get("ALERT_KILLS", "10"))


def queue(database: Path, number: int) -> list[str]:
    """An alert and its recovery for each of three channels, in a transaction that a process of its own makes; their keys."""

    async def put() -> list[str]:
        opened = await open_database(sqlite.engine(database), Keyring(path=database.with_name(f"{database.name}.key")))
        alert, over = (
            transition(number),
            transition(number + ROUNDS, alert=f"alert-{number}", kind=TransitionKind.RECOVERY),
        )
        keys = []
        try:
            async with opened.write() as connection:
                for told in (alert, over):
                    await transitions.put(connection, told, CHANNELS, now=epoch.milliseconds(SystemClock()))
                    keys += [notification_key(told.id, address) for address in CHANNELS]
        finally:
            await opened.close()
        return keys

    return asyncio.run(put())


CHANNELS = ("one", "two", "three")


@pytest.mark.timeout(1800)
def test_every_alert_is_told_at_least_once_under_one_key_however_often_serve_is_killed(tmp_path: Path) -> None:
    database, chances, wanted = tmp_path / "c.db", random.Random(18), []
    flags = ("--database", str(database))
    assert (
        run("controlplane", *flags, "location", "create", "office", "--output", str(tmp_path / "w.json")).returncode
        == 0
    )
    with receiving() as receiver:
        for name in CHANNELS:
            made = run("controlplane", *flags, "alert", "channel", "add", name, "webhook", f"url={receiver.url}")
            assert made.returncode == 0, made.stderr
        for number in range(ROUNDS):
            wanted += queue(database, number)
            serve = Program(
                tmp_path / f"serve-{number}.log",
                "controlplane",
                "serve",
                *flags,
                "--listen=127.0.0.1:0",
                "--alert-allow-range=127.0.0.1",
            )
            serve.wait_for("listening on")
            time.sleep(chances.random() * 0.3)  # the moment of the kill is what the test is about
            serve.kill()
        last = Program(
            tmp_path / "serve.log",
            "controlplane",
            "serve",
            *flags,
            "--listen=127.0.0.1:0",
            "--alert-allow-range=127.0.0.1",
        )
        eventually(lambda: set(wanted) <= set(receiver.keys), "all of the alerts", lambda: last.output, seconds=120)
        last.kill()
    assert set(receiver.keys) == set(wanted)
    for number in range(ROUNDS):
        for alert, over in zip(
            wanted[6 * number : 6 * number + 3], wanted[6 * number + 3 : 6 * number + 6], strict=True
        ):
            assert receiver.keys.index(alert) < receiver.keys.index(over)
