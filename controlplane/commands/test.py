"""`test`: put definitions into the schedule, and take them out."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from controlplane import epoch
from controlplane.commands import definitions
from controlplane.commands.durations import ago, period
from controlplane.commands.session import Session, with_session
from controlplane.service import tests, triggers
from controlplane.service.definitions import CheckedDefinition
from controlplane.service.tests import AssignedTest, Pushed
from controlplane.store.tests import Assignment, StoredTest
from worker.apitest.spelling import misspelt
from worker.program.terminal import columns
from worker.text import counted, json_line, listed, printable, table

MISTAKES_SHOWN = 50
"""Lines of mistakes: more than a person mends at once, few enough to keep the first ones on the screen."""


@click.group()
def test() -> None:
    """API tests and their schedule."""


places_option = click.option(
    "--location", "places", required=True, multiple=True, metavar="NAME", help="A location, once for each."
)


@test.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@places_option
@with_session
def push(session: Session, files: tuple[Path, ...], places: tuple[str, ...]) -> None:
    """Add or update tests from FILEs (- is standard input): a JSON object, an array, or one object a line.

    They run at each --location, besides those where they run already; `test unassign` takes one away.

    A test with the same public id is updated; for a definition without one, the test of its name. Nothing is changed
    unless everything is valid.
    """
    found, mistakes = definitions.read_all(files)
    if mistakes:
        for mistake in listed(mistakes, MISTAKES_SHOWN):
            click.echo(printable(mistake), err=True)
        click.echo(f"{counted(len(mistakes), 'mistake')}; nothing was pushed", err=True)
        raise click.exceptions.Exit(2)
    for one in found:
        for suspicion in misspelt(one.content):
            click.echo(printable(f"{one.place}: {suspicion}"), err=True)
    for pushed in asyncio.run(_push(session, found, places)):
        stored = pushed.test
        click.echo(
            f"{pushed.change.value:9} {stored.public_id}  {printable(stored.name)}, every {period(stored.period_ms)}"
        )
        for note in (*(f"will end as REQUIRES_UPDATE: {lack}" for lack in pushed.requires_update), *pushed.ignored):
            click.echo(f"          note: {printable(note)}")


async def _push(session: Session, found: Sequence[CheckedDefinition], places: Sequence[str]) -> tuple[Pushed, ...]:
    async with session.open() as database:
        return await tests.push(database, session.clock, session.principal(), found, places=places)


@test.command()
@click.argument("name")
@places_option
@with_session
def assign(session: Session, name: str, places: tuple[str, ...]) -> None:
    """Run NAME (a public id or a name) at each --location, too."""
    asyncio.run(_assign(session, name, places))
    click.echo(f"test {name!r} runs at {', '.join(places)}")


async def _assign(session: Session, name: str, places: Sequence[str]) -> None:
    async with session.open() as database:
        await tests.assign(database, session.clock, session.principal(), name, places=places)


@test.command()
@click.argument("name")
@places_option
@with_session
def unassign(session: Session, name: str, places: tuple[str, ...]) -> None:
    """Run NAME (a public id or a name) at each --location no more."""
    left = asyncio.run(_unassign(session, name, places))
    click.echo(f"test {name!r} runs at {', '.join(left)}" if left else f"test {name!r} runs nowhere now")


async def _unassign(session: Session, name: str, places: Sequence[str]) -> tuple[str, ...]:
    async with session.open() as database:
        return await tests.unassign(database, session.clock, session.principal(), name, places=places)


@test.command("list")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@with_session
def list_(session: Session, *, as_json: bool) -> None:
    """Show every test, where it runs, and when next."""
    found = asyncio.run(_list(session))
    if as_json:
        for one in found:
            click.echo(json_line(_as_json(one.test, one.assignments)))
        return
    now = epoch.milliseconds(session.clock)
    rows = [
        (
            one.test.public_id,
            one.test.name,
            one.test.subtype,
            "paused" if one.test.paused else "live",
            period(one.test.period_ms),
            _last(one.assignments),
            ", ".join(f"{place.location_name} ({_doing(place, now)})" for place in one.assignments) or "nowhere",
        )
        for one in found
    ]
    headings = ("ID", "NAME", "TYPE", "STATUS", "EVERY", "LAST", "LOCATIONS")
    click.echo(table(headings, rows, width=columns(sys.stdout)))


async def _list(session: Session) -> tuple[AssignedTest, ...]:
    async with session.open() as database:
        return await tests.list_all(database)


def _as_json(stored: StoredTest, places: Sequence[Assignment]) -> dict[str, object]:
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
            for place in places
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
@with_session
def pause(session: Session, name: str) -> None:
    """Run NAME (a public id or a name) no more, until `resume`."""
    asyncio.run(_set_paused(session, name, paused=True))
    click.echo(f"test {name!r} is paused")


@test.command()
@click.argument("name")
@with_session
def resume(session: Session, name: str) -> None:
    """Undo `pause`; the test is due at once."""
    asyncio.run(_set_paused(session, name, paused=False))
    click.echo(f"test {name!r} is live")


async def _set_paused(session: Session, name: str, *, paused: bool) -> None:
    async with session.open() as database:
        await tests.set_paused(database, session.clock, session.principal(), name, paused=paused)


@test.command("run")
@click.argument("name")
@with_session
def run_(session: Session, name: str) -> None:
    """Run NAME (a public id or a name) now, wherever it is assigned, paused or not, beside its schedule."""
    places = asyncio.run(_run_now(session, name))
    click.echo(f"test {name!r} runs now at {', '.join(places)}")


async def _run_now(session: Session, name: str) -> tuple[str, ...]:
    async with session.open() as database:
        return await triggers.trigger_one(database, session.clock, session.principal(), name)


@test.command()
@click.argument("name")
@with_session
def delete(session: Session, name: str) -> None:
    """Delete NAME (a public id or a name). Its results stay until they are too old."""
    asyncio.run(_delete(session, name))
    click.echo(f"test {name!r} is deleted")


async def _delete(session: Session, name: str) -> None:
    async with session.open() as database:
        await tests.delete(database, session.clock, session.principal(), name)
