"""`test`: put definitions into the schedule, and take them out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from controlplane.commands import definitions
from controlplane.commands.durations import ago, period
from controlplane.commands.listing import echo_table, echo_values
from controlplane.commands.reach import Reach, with_reach
from controlplane.operations import clock, tests
from controlplane.operations.clock import ReadClock
from controlplane.operations.operation import PlaneClient
from controlplane.operations.tests import (
    ListTests,
    MoveTest,
    NamedTest,
    PauseTest,
    PushedTest,
    PushTests,
    SentDefinition,
    TestInList,
)
from controlplane.service.definitions import MISTAKES_SHOWN
from controlplane.store.tests import Assignment
from worker.program.summaries import SummarizedGroup
from worker.text import counted, listed, printable


@click.group(cls=SummarizedGroup)
def test() -> None:
    """API tests and their schedule."""


places_option = click.option(
    "--location", "places", required=True, multiple=True, metavar="NAME", help="A location, once for each."
)


@test.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@places_option
@with_reach
def push(reach: Reach, files: tuple[Path, ...], places: tuple[str, ...]) -> None:
    """Add or update tests from FILEs (- is standard input): a JSON object, an array, or one object a line.

    They run at each --location, besides those where they run already; `test unassign` takes one away.

    A test with the same public id is updated; for a definition without one, the test of its name. Nothing is changed
    unless everything is valid.
    """
    found = definitions.read_all(files)
    if found.mistakes:
        for mistake in listed(found.mistakes, MISTAKES_SHOWN):
            click.echo(printable(mistake), err=True)
        click.echo(f"{counted(len(found.mistakes), 'mistake')}; nothing was pushed", err=True)
        raise click.exceptions.Exit(2)
    for suspicion in found.misspelt:
        click.echo(printable(suspicion), err=True)
    sent = [tests.as_sent(one) for one in found.valid]
    for pushed in reach.run(lambda client: _push(client, sent, places)):
        click.echo(
            f"{pushed.change.value:9} {pushed.public_id}  {printable(pushed.name)}, every {period(pushed.period_ms)}"
        )
        for note in (*(f"will end as REQUIRES_UPDATE: {lack}" for lack in pushed.requires_update), *pushed.ignored):
            click.echo(f"          note: {printable(note)}")


async def _push(client: PlaneClient, sent: Sequence[SentDefinition], places: Sequence[str]) -> list[PushedTest]:
    """Push in portions; where there are several, all are checked before the first one is stored."""
    portions = [PushTests(definitions=list(some), locations=list(places)) for some in definitions.portions(sent)]
    for portion in portions if len(portions) > 1 else ():
        await client.ask(tests.CHECK_PUSH, portion)
    return [pushed for portion in portions for pushed in await client.ask(tests.PUSH, portion)]


@test.command()
@click.argument("name")
@places_option
@with_reach
def assign(reach: Reach, name: str, places: tuple[str, ...]) -> None:
    """Run NAME (a public id or a name) at each --location, too."""
    reach.ask(tests.ASSIGN, MoveTest(test=name, locations=list(places)))
    click.echo(f"test {name!r} runs at {', '.join(places)}")


@test.command()
@click.argument("name")
@places_option
@with_reach
def unassign(reach: Reach, name: str, places: tuple[str, ...]) -> None:
    """Run NAME (a public id or a name) at each --location no more."""
    left = reach.ask(tests.UNASSIGN, MoveTest(test=name, locations=list(places)))
    click.echo(f"test {name!r} runs at {', '.join(left)}" if left else f"test {name!r} runs nowhere now")


@test.command("list")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@with_reach
def list_(reach: Reach, *, as_json: bool) -> None:
    """Show every test, where it runs, and when next."""
    found, now = reach.run(_list)
    if as_json:
        echo_values(map(_as_json, found))
        return
    rows = [
        (
            one.public_id,
            one.name,
            one.subtype,
            "paused" if one.paused else "live",
            period(one.period_ms),
            _last(one.assignments),
            ", ".join(f"{place.location_name} ({_doing(place, now)})" for place in one.assignments) or "nowhere",
        )
        for one in found
    ]
    headings = ("ID", "NAME", "TYPE", "STATUS", "EVERY", "LAST", "LOCATIONS")
    echo_table(headings, rows)


async def _list(client: PlaneClient) -> tuple[list[TestInList], int]:
    """Every test, a page at a time, and the time there."""
    found: list[TestInList] = []
    while True:
        page = await client.ask(tests.LIST, ListTests(offset=len(found)))
        found += page
        if len(page) < tests.PAGE:
            return found, await client.ask(clock.READ, ReadClock())


def _as_json(stored: TestInList) -> dict[str, object]:
    return {
        "public_id": stored.public_id,
        "name": stored.name,
        "subtype": stored.subtype,
        "version": stored.version,
        "status": "paused" if stored.paused else "live",
        "tick_every": stored.period_ms // 1000,
        "modified_at": stored.modified_at,
        "locations": [
            {
                "id": place.location,
                "name": place.location_name,
                "due_at": place.due_at,
                "running": place.running,
                "last": None if place.last_at is None else {"status": place.last_status, "stored_at": place.last_at},
            }
            for place in stored.assignments
        ],
    }


def _last(places: Sequence[Assignment]) -> str:
    """The status of the newest result, wherever it came from."""
    seen = [(place.last_at, place.last_status) for place in places if place.last_at is not None]
    return max(seen)[1] or "-" if seen else "-"


def _doing(place: Assignment, now: int) -> str:
    """The last run and the next one at one location."""
    if place.last_at is None:
        return _next(place, now)
    return f"{place.last_status} {ago(now - place.last_at)}, {_next(place, now)}"


def _next(place: Assignment, now: int) -> str:
    if place.running:
        return "running"
    if place.due_at is None:
        return "not due"
    return f"in {(place.due_at - now + 999) // 1000} s" if place.due_at > now else "due"


@test.command()
@click.argument("name")
@with_reach
def pause(reach: Reach, name: str) -> None:
    """Run NAME (a public id or a name) no more, until `resume`."""
    reach.ask(tests.PAUSE, PauseTest(test=name, paused=True))
    click.echo(f"test {name!r} is paused")


@test.command()
@click.argument("name")
@with_reach
def resume(reach: Reach, name: str) -> None:
    """Undo `pause`; the test is due at once."""
    reach.ask(tests.PAUSE, PauseTest(test=name, paused=False))
    click.echo(f"test {name!r} is live")


@test.command("run")
@click.argument("name")
@with_reach
def run_(reach: Reach, name: str) -> None:
    """Run NAME (a public id or a name) now, wherever it is assigned, paused or not, beside its schedule."""
    places = reach.ask(tests.RUN, NamedTest(test=name))
    click.echo(f"test {name!r} runs now at {', '.join(places)}")


@test.command()
@click.argument("name")
@with_reach
def delete(reach: Reach, name: str) -> None:
    """Delete NAME (a public id or a name). Its results stay until they are too old."""
    reach.ask(tests.DELETE, NamedTest(test=name))
    click.echo(f"test {name!r} is deleted")
