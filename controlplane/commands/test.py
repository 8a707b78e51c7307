"""`test`: put definitions into the schedule, and take them out."""

from __future__ import annotations

import json
from pathlib import Path

import click
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.commands.session import Session, run, with_session
from controlplane.errors import UnusableError
from controlplane.service import definitions
from controlplane.service.definitions import Definition
from controlplane.store import locations, tests
from controlplane.store.locations import Location
from controlplane.store.tests import Assignment, StoredTest
from worker.text import table

AT_ONCE = 100
"""Definitions stored in one transaction: some tenths of a second."""

Pushed = tuple[str, StoredTest, tuple[str, ...]]
"""What was done with a definition, what is stored of it, and what its author should know."""


@click.group()
def test() -> None:
    """API tests and their schedule."""


@test.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--location", "place", required=True, metavar="NAME", help="Where to run them.")
@with_session
def push(session: Session, files: tuple[Path, ...], place: str) -> None:
    """Add or update tests from FILEs: a JSON object, an array, or one object a line.

    A test with the same public id is updated; for a definition without one, the test of its name. Nothing is changed
    unless everything is valid.
    """
    found, mistakes = definitions.read_all(files)
    if mistakes:
        for mistake in mistakes:
            click.echo(mistake, err=True)
        click.echo(f"{len(mistakes)} mistakes; nothing was pushed", err=True)
        raise click.exceptions.Exit(2)
    for verb, stored, notes in run(_push(session, found, place), session):
        click.echo(f"{verb:9} {stored.public_id}  {stored.name}, every {_period(stored.period_ms)}")
        for note in notes:
            click.echo(f"          note: {note}")


async def _push(session: Session, found: list[Definition], place: str) -> list[Pushed]:
    """A bounded number at a time: who serves workers waits for the same lock."""
    pushed: list[Pushed] = []
    async with session.open() as database:
        async with database.read() as connection:
            for definition in found:
                await _known(connection, definition)  # raises what would be raised half-way
        for start in range(0, len(found), AT_ONCE):
            async with database.write() as connection:
                location = await locations.find(connection, place)
                some = found[start : start + AT_ONCE]
                pushed += [await _put(connection, definition, location, now=session.now()) for definition in some]
    return pushed


async def _put(connection: AsyncConnection, definition: Definition, location: Location, *, now: int) -> Pushed:
    known = await _known(connection, definition)
    stored = _to_store(definition, known, now)
    verb = "added"
    if known is None:
        await tests.add(connection, stored, now=now)
    elif _content(known) == _content(stored):
        verb = "unchanged"
    else:
        verb = "updated"
        await tests.replace(connection, stored, now=now)
    await tests.assign(connection, stored, location.id, enabled=location.enabled, now=now)
    notes = (
        *(f"will end as REQUIRES_UPDATE: {lack}" for lack in definition.parsed.requires_update),
        *definition.parsed.ignored,
    )
    return verb, stored, notes


async def _known(connection: AsyncConnection, definition: Definition) -> StoredTest | None:
    """The test that a definition updates: the one with its public id, or, if it has none, the one with its name."""
    public_id, name = definition.parsed.public_id, definition.parsed.name
    if public_id:
        return await tests.by_id(connection, public_id)
    named = await tests.by_name(connection, name)
    if len(named) > 1:
        raise UnusableError(f"{definition.place}: {len(named)} tests are named {name!r}; give it a public_id")
    return named[0] if named else None


def _to_store(definition: Definition, known: StoredTest | None, now: int) -> StoredTest:
    """With its public id and the next version inside, so that results name what was run."""
    parsed, content = definition.parsed, definition.content
    public_id = known.public_id if known else parsed.public_id or definitions.public_id()
    version = known.version + 1 if known else 1
    status = content.get("status")
    return StoredTest(
        public_id=public_id,
        name=parsed.name,
        subtype=parsed.subtype,
        version=version,
        paused=status == "paused" if status is not None else known is not None and known.paused,
        period_ms=_tick_every(definition) * 1000,
        definition=json.dumps(content | {"public_id": public_id, "version": version}),
        modified_at=now,
    )


def _tick_every(definition: Definition) -> int:
    seconds = definition.parsed.tick_every
    assert seconds is not None, "read_all lets no definition through without it"
    return seconds


def _content(stored: StoredTest) -> tuple[bool, object]:
    return stored.paused, json.loads(stored.definition) | {"version": None}


@test.command("list")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@with_session
def list_(session: Session, *, as_json: bool) -> None:
    """Show every test, where it runs, and when next."""
    found = run(_list(session), session)
    if as_json:
        for stored, places in found:
            click.echo(json.dumps(_as_json(stored, places)))
        return
    now = session.now()
    rows = [
        (
            stored.public_id,
            stored.name,
            stored.subtype,
            "paused" if stored.paused else "live",
            _period(stored.period_ms),
            ", ".join(f"{place.location_name} ({_next(place, now)})" for place in places) or "nowhere",
        )
        for stored, places in found
    ]
    click.echo(table(("ID", "NAME", "TYPE", "STATUS", "EVERY", "LOCATIONS"), rows))


async def _list(session: Session) -> list[tuple[StoredTest, list[Assignment]]]:
    async with session.open() as database, database.read() as connection:
        everywhere = await tests.everywhere(connection)
        return [
            (stored, [place for place in everywhere if place.test == stored.public_id])
            for stored in await tests.everyone(connection)
        ]


def _as_json(stored: StoredTest, places: list[Assignment]) -> dict[str, object]:
    return {
        "public_id": stored.public_id,
        "name": stored.name,
        "subtype": stored.subtype,
        "version": stored.version,
        "status": "paused" if stored.paused else "live",
        "tick_every": stored.period_ms // 1000,
        "modified_at": stored.modified_at,
        "locations": [
            {"id": place.location, "name": place.location_name, "due_at": place.due_at, "running": place.running}
            for place in places
        ],
    }


def _next(place: Assignment, now: int) -> str:
    if place.running:
        return "running"
    if place.due_at is None:
        return "not due"
    return f"in {(place.due_at - now + 999) // 1000} s" if place.due_at > now else "due"


def _period(milliseconds: int) -> str:
    seconds = milliseconds // 1000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


@test.command()
@click.argument("name")
@with_session
def pause(session: Session, name: str) -> None:
    """Run NAME (a public id or a name) no more, until `resume`."""
    run(_set_paused(session, name, paused=True), session)
    click.echo(f"test {name!r} is paused")


@test.command()
@click.argument("name")
@with_session
def resume(session: Session, name: str) -> None:
    """Undo `pause`; the test is due at once."""
    run(_set_paused(session, name, paused=False), session)
    click.echo(f"test {name!r} is live")


async def _set_paused(session: Session, name: str, *, paused: bool) -> None:
    async with session.open() as database, database.write() as connection:
        await tests.set_paused(connection, await tests.get(connection, name), paused=paused, now=session.now())


@test.command("run")
@click.argument("name")
@with_session
def run_(session: Session, name: str) -> None:
    """Run NAME (a public id or a name) now, wherever it is assigned, paused or not."""
    places = run(_run_now(session, name), session)
    click.echo(f"test {name!r} is due now at {', '.join(places)}")


async def _run_now(session: Session, name: str) -> list[str]:
    async with session.open() as database, database.write() as connection:
        stored = await tests.get(connection, name)
        places = await tests.run_now(connection, stored, now=session.now())
    if not places:
        raise UnusableError(f"test {name!r} is assigned to no enabled location; `test push --location` assigns it")
    return list(places)


@test.command()
@click.argument("name")
@with_session
def delete(session: Session, name: str) -> None:
    """Delete NAME (a public id or a name). Its results stay until they are too old."""
    run(_delete(session, name), session)
    click.echo(f"test {name!r} is deleted")


async def _delete(session: Session, name: str) -> None:
    async with session.open() as database, database.write() as connection:
        await tests.remove(connection, await tests.get(connection, name), now=session.now())
