"""`results`: the outcomes of runs, a line each, as they come."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click
import orjson

from controlplane.commands.durations import moment
from controlplane.commands.reach import Reach, with_reach
from controlplane.errors import UnusableError
from controlplane.operations import results as stored
from controlplane.operations.operation import PlaneClient
from controlplane.operations.results import ChosenResults, LaterResults, NewestResults
from controlplane.store.results import StoredResult
from worker.apitest import summary
from worker.program.terminal import coloured, columns
from worker.text import json_line, printable

FOLLOW_SECONDS = 0.2
FOLLOW_FROM_AFAR_SECONDS = 1.0
"""Between two questions to another machine."""
PLACE_CHARACTERS = 120
"""A whole id, which is what a deleted location is shown by."""
UNREADABLE = "the stored outcome cannot be read"


@click.command()
@click.option("--follow", is_flag=True, help="Go on printing results as they come, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One object a line, with everything that is stored.")
@click.option("--test", "test", metavar="ID", help="Of this test only: a public id or a name.")
@click.option("--location", "place", metavar="NAME", help="Of this location only: a name or an id.")
@click.option("--failed", is_flag=True, help="Only of runs that failed.")
@click.option(
    "--since", metavar="WHEN", help="Only those since then: 90s, 30min, 2h, 7d, or a date and time (ISO 8601)."
)
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="How many to begin with.")
@with_reach
def results(
    reach: Reach,
    *,
    follow: bool,
    as_json: bool,
    test: str | None,
    place: str | None,
    failed: bool,
    since: str | None,
    limit: int,
) -> None:
    """Print the newest results, the newest last."""
    start = None if since is None else _start(since, reach.session.clock.now())
    chosen = ChosenResults(test=test, location=place, failed=failed, since=start)

    async def read(client: PlaneClient) -> None:
        stop = _on_signal() if follow else None
        found, last = await _newest(client, chosen, limit)
        _print(found, as_json=as_json)
        if stop is not None:
            await _follow(reach, client, stop, chosen, after=last, as_json=as_json)
        elif not found and not as_json:
            click.echo("no results" if chosen != ChosenResults() else "no results yet", err=True)

    reach.run(read)


def _start(since: str, now: datetime) -> int:
    try:
        return round(moment(since, now).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise UnusableError(
            f"--since {since[:40]!r} is not a time: expected 90s, 30min, 2h, 7d, or a date and time as 2026-01-31T12:00"
        ) from error


async def _newest(client: PlaneClient, chosen: ChosenResults, limit: int) -> tuple[list[StoredResult], int]:
    """The newest *limit* results, the oldest of them first, a page at a time; and the number after which later ones come."""
    newest = await client.ask(stored.NEWEST, NewestResults(chosen=chosen, limit=min(limit, stored.PAGE)))
    pages = [newest.results]
    missing = limit - len(newest.results)
    while missing and pages[-1]:
        asked = NewestResults(chosen=chosen, limit=min(missing, stored.PAGE), before=pages[-1][0].seq)
        pages.append((await client.ask(stored.NEWEST, asked)).results)
        missing -= len(pages[-1])
    return [one for page in reversed(pages) for one in page], newest.last


def _on_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _follow(
    reach: Reach, client: PlaneClient, stop: asyncio.Event, chosen: ChosenResults, *, after: int, as_json: bool
) -> None:
    """Poll until Ctrl-C, which ends following and is not an error."""
    while not stop.is_set():
        found = await client.ask(stored.LATER, LaterResults(after=after, chosen=chosen))
        _print(found, as_json=as_json)
        if found:
            after = found[-1].seq
        else:
            await _pause(reach, stop)


async def _pause(reach: Reach, stop: asyncio.Event) -> None:
    seconds = FOLLOW_SECONDS if reach.url is None else FOLLOW_FROM_AFAR_SECONDS
    tick = asyncio.ensure_future(reach.session.clock.sleep(seconds))
    ended = asyncio.ensure_future(stop.wait())
    await asyncio.wait({tick, ended}, return_when=asyncio.FIRST_COMPLETED)
    for task in (tick, ended):
        task.cancel()


def _print(found: Sequence[StoredResult], *, as_json: bool) -> None:
    colour, width = coloured(sys.stdout), columns(sys.stdout)
    for result in found:
        click.echo(as_line(result) if as_json else describe(result, colour=colour, width=width))


def describe(result: StoredResult, *, colour: bool, width: int | None = None) -> str:
    """One line: the local time at which the result came in, with its zone; what both programs say of a result; test and location.

    The test's name is the one that it was stored under, whatever the worker calls it. A result that cannot be read costs nobody
    but itself: its line says so.
    """
    stored_at = datetime.fromtimestamp(result.stored_at / 1000, UTC).astimezone()
    outcome = _outcome(result) or {"status": result.status, "unhealthy": UNREADABLE}
    place = printable(result.location_name or result.location, PLACE_CHARACTERS)
    return summary.line(
        outcome | {"test": {"name": result.test_name}},
        colour=colour,
        before=f"{stored_at:%Y-%m-%d %H:%M:%S%z}",
        details=(result.test_id, place),
        width=width,
    )


def as_line(result: StoredResult) -> str:
    """Everything that is stored, on one line; an outcome that cannot be read is null, and `unreadable` says why."""
    columns = {
        "id": result.id,
        "job": result.job,
        "origin": result.origin,
        "test_id": result.test_id,
        "test_name": result.test_name,
        "location_id": result.location,
        "location_name": result.location_name,
        "worker": result.worker,
        "status": result.status,
        "runs": result.runs,
        "scheduled_at": result.scheduled_at,
        "stored_at": result.stored_at,
        "attempt": result.attempt,
        "initial_id": result.initial_id,
        "is_last": result.is_last,
    }
    outcome = _outcome(result)
    return json_line(columns | {"outcome": outcome} | ({"unreadable": UNREADABLE} if outcome is None else {}))


def _outcome(result: StoredResult) -> dict[str, Any] | None:
    """The outcome as JSON; None where an older version has stored what nobody can print."""
    try:
        value = orjson.loads(result.outcome)
        orjson.dumps(value)  # deeper than anything can be written, it could be read
    except (ValueError, TypeError):
        return None
    return value if isinstance(value, dict) else None
