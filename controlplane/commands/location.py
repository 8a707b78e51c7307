"""`location`: make, show and switch the places that workers serve."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from controlplane.commands.session import Session, run, with_session
from controlplane.errors import UnusableError
from controlplane.service import locationfile
from controlplane.service.locationfile import KeyKind
from controlplane.store import locations, tests, workers
from controlplane.store.locations import Location
from controlplane.store.workers import Worker
from worker.text import ago, table

HEALTHY = 5_000
"""Milliseconds since the last pull within which a location counts as polled, as the reference system counts."""
DEFAULT_INTAKE_URL = "http://127.0.0.1:8080"


@click.group()
def location() -> None:
    """Places that workers serve."""


key_kind_option = click.option(
    "--key-kind",
    type=click.Choice(["x25519", "rsa4096"]),
    default="x25519",
    show_default=True,
    help="What jobs and results are sealed with. RSA is what the reference system uses; X25519 is far cheaper.",
)
output_option = click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="The config file to write. It must not exist, and holds the only copy of its keys.",
)


@location.command()
@click.argument("name")
@key_kind_option
@click.option(
    "--intake-url", default=DEFAULT_INTAKE_URL, show_default=True, metavar="URL", help="Where the workers find `serve`."
)
@output_option
@with_session
def create(session: Session, name: str, key_kind: KeyKind, intake_url: str, output: Path) -> None:
    """Make a location and the config file of its workers."""
    run(_create(session, name, key_kind, intake_url, output), session)
    click.echo(f"location {name!r} is ready; its config file is {output}\n")
    click.echo(locationfile.commands(output, intake_url))


async def _create(session: Session, name: str, key_kind: KeyKind, intake_url: str, output: Path) -> None:
    if not name.strip() or len(name) > 200 or not name.isprintable():
        raise UnusableError(f"location {name!r}: a name has 1 to 200 printable characters")
    url = locationfile.check_intake_url(intake_url)
    place = Location(
        id=locationfile.location_id(name), name=name, enabled=True, intake_url=url, created_at=session.now()
    )
    new = locationfile.make(place.id, key_kind=key_kind, intake_url=url)  # before the lock: RSA takes its time
    async with session.open(create=True) as database, database.write() as connection:
        await locations.add(connection, place)
        await locations.add_credential(connection, database.sealer, place.id, new.credential, now=place.created_at)
        # Written before the commit: a file that opens nothing is a smaller loss than a location without its file.
        locationfile.write(output, new.text)


@location.command()
@click.argument("name")
@key_kind_option
@click.option("--intake-url", metavar="URL", help="Where the workers find `serve`.  [default: what the last file said]")
@output_option
@click.option(
    "--overlap-hours",
    type=click.FloatRange(min=0),
    default=24.0,
    show_default=True,
    help="How long the files made before go on working; 0 ends them at once.",
)
@with_session
def rotate(
    session: Session, name: str, key_kind: KeyKind, intake_url: str | None, output: Path, overlap_hours: float
) -> None:
    """Make a new config file with new keys; the old ones end after the overlap."""
    run(_rotate(session, name, key_kind, intake_url, output, overlap_hours), session)


async def _rotate(
    session: Session, name: str, key_kind: KeyKind, intake_url: str | None, output: Path, overlap_hours: float
) -> None:
    now = session.now()
    async with session.open() as database:
        async with database.read() as connection:
            place = await locations.find(connection, name)
        url = place.intake_url if intake_url is None else locationfile.check_intake_url(intake_url)
        new = locationfile.make(place.id, key_kind=key_kind, intake_url=url)
        async with database.write() as connection:
            await locations.retire_credentials(connection, place.id, expires_at=now + round(overlap_hours * 3_600_000))
            await locations.add_credential(connection, database.sealer, place.id, new.credential, now=now)
            await locations.set_intake_url(connection, place.id, url)
            locationfile.write(output, new.text)
    click.echo(f"the new config file of {name!r} is {output}; older ones work for another {overlap_hours:g} h\n")
    click.echo(locationfile.commands(output, url))


@location.command()
@click.argument("name")
@with_session
def disable(session: Session, name: str) -> None:
    """Refuse the location's workers and run nothing there, until `enable`."""
    run(_set_enabled(session, name, enabled=False), session)
    click.echo(f"location {name!r} is disabled")


@location.command()
@click.argument("name")
@with_session
def enable(session: Session, name: str) -> None:
    """Undo `disable`. Its tests run again, each in its own phase."""
    run(_set_enabled(session, name, enabled=True), session)
    click.echo(f"location {name!r} is enabled")


async def _set_enabled(session: Session, name: str, *, enabled: bool) -> None:
    async with session.open() as database, database.write() as connection:
        place = await locations.find(connection, name)
        if place.enabled is enabled:
            return
        await locations.set_enabled(connection, place.id, enabled=enabled)
        await tests.schedule_location(connection, place.id, enabled=enabled, now=session.now())


@location.command()
@click.argument("name")
@with_session
def delete(session: Session, name: str) -> None:
    """Delete the location with its keys and what is scheduled there. Results stay until they are too old."""
    run(_delete(session, name), session)
    click.echo(f"location {name!r} is deleted")


async def _delete(session: Session, name: str) -> None:
    async with session.open() as database, database.write() as connection:
        place = await locations.find(connection, name)
        await locations.remove(connection, place.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """A location with the workers that were seen within `HEALTHY` of *now*."""

    location: Location
    tests: int
    alive: Sequence[Worker]
    last_seen: int | None
    now: int

    @property
    def state(self) -> str:
        if not self.location.enabled:
            return "disabled"
        if not self.alive:
            return "silent" if self.last_seen is not None else "never seen"
        return "degraded" if all(worker.degraded for worker in self.alive) else "healthy"

    def as_json(self) -> dict[str, object]:
        return {
            "id": self.location.id,
            "name": self.location.name,
            "state": self.state,
            "enabled": self.location.enabled,
            "tests": self.tests,
            "last_seen": self.last_seen,
            "workers": [
                {
                    "id": worker.id,
                    "agent": worker.agent,
                    "last_seen": worker.last_seen,
                    "concurrency": worker.concurrency,
                    "free_slots": worker.free_slots,
                    "holding": worker.running,
                    "draining": worker.draining,
                    "degraded": worker.degraded,
                }
                for worker in self.alive
            ],
        }

    def row(self) -> tuple[str, ...]:
        troubles = sorted({worker.degraded for worker in self.alive if worker.degraded})
        agents = sorted({worker.agent for worker in self.alive if worker.agent})
        slots = f"{sum(worker.free_slots for worker in self.alive)}/{sum(worker.concurrency for worker in self.alive)}"
        return (
            self.location.name,
            self.state,
            str(len(self.alive)),
            slots if self.alive else "-",
            ago(self.now - self.last_seen) if self.last_seen is not None else "-",
            str(self.tests),
            ", ".join(agents) or "-",
            ", ".join(troubles) or "-",
        )


@location.command("list")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@with_session
def list_(session: Session, *, as_json: bool) -> None:
    """Show every location and how its workers are."""
    found = run(_health(session), session)
    if as_json:
        for health in found:
            click.echo(json.dumps(health.as_json()))
        return
    headings = ("NAME", "STATE", "WORKERS", "FREE SLOTS", "LAST PULL", "TESTS", "AGENT", "TROUBLE")
    click.echo(table(headings, [health.row() for health in found]))


async def _health(session: Session) -> list[Health]:
    now = session.now()
    async with session.open() as database, database.read() as connection:
        places = await locations.everyone(connection)
        processes = await workers.everyone(connection)
        counts = await locations.count_tests(connection)
    found = []
    for place in places:
        mine = [worker for worker in processes if worker.location == place.id and worker.concurrency]
        found.append(
            Health(
                location=place,
                tests=counts.get(place.id, 0),
                alive=[worker for worker in mine if now - worker.last_seen <= HEALTHY],
                last_seen=max((worker.last_seen for worker in mine), default=None),
                now=now,
            )
        )
    return found
