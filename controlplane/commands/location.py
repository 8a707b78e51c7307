"""`location`: make, show and switch the places that workers serve."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import click

from controlplane.commands import locationfile
from controlplane.commands.durations import ago
from controlplane.commands.session import Session, with_session
from controlplane.errors import MOST_NAMES
from controlplane.service import locations
from controlplane.service.locationfile import KeyKind
from controlplane.service.locations import LocationHealth
from controlplane.store.database import Opening
from controlplane.store.workers import SeenWorker
from worker.program.terminal import columns
from worker.text import counted, json_line, listed, table

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
    help="The config file to write, or - for standard output. It must not exist, and holds the only copy of its keys.",
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
    asyncio.run(_create(session, name, key_kind, intake_url, output))
    _tell(f"location {name!r} is ready; its config file is", output, intake_url)


def _tell(outcome: str, output: Path, intake_url: str) -> None:
    """Say what was done and how to go on; beside the file, where that goes to standard output."""
    streamed = output == locationfile.STREAM
    path = Path(locationfile.POD_KEY) if streamed else output
    click.echo(f"{outcome} {'on standard output' if streamed else output}\n", err=streamed)
    click.echo(locationfile.how_to_start(path, intake_url), err=streamed)


async def _create(session: Session, name: str, key_kind: KeyKind, intake_url: str, output: Path) -> None:
    locations.check_name(name)  # a mistake makes no database
    url = locationfile.check_intake_url(intake_url)
    async with session.open(Opening(create=True)) as database:
        await locations.create(
            database,
            session.clock,
            session.principal(),
            name,
            key_kind=key_kind,
            intake_url=url,
            hand_over=partial(locationfile.write, output),
        )


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
    url = asyncio.run(_rotate(session, name, key_kind, intake_url, output, overlap_hours))
    _tell(f"older config files of {name!r} work for another {overlap_hours:g} h; the new one is", output, url)


async def _rotate(
    session: Session, name: str, key_kind: KeyKind, intake_url: str | None, output: Path, overlap_hours: float
) -> str:
    """Rotate, and return the intake URL of the new file."""
    url = None if intake_url is None else locationfile.check_intake_url(intake_url)
    async with session.open() as database:
        rotated = await locations.rotate(
            database,
            session.clock,
            session.principal(),
            name,
            key_kind=key_kind,
            intake_url=url,
            overlap_ms=round(overlap_hours * 3_600_000),
            hand_over=partial(locationfile.write, output),
        )
    return rotated.intake_url


@location.command()
@click.argument("name")
@with_session
def disable(session: Session, name: str) -> None:
    """Refuse the location's workers and run nothing there, until `enable`."""
    asyncio.run(_set_enabled(session, name, enabled=False))
    click.echo(f"location {name!r} is disabled")


@location.command()
@click.argument("name")
@with_session
def enable(session: Session, name: str) -> None:
    """Undo `disable`. Its tests run again, each in its own phase."""
    asyncio.run(_set_enabled(session, name, enabled=True))
    click.echo(f"location {name!r} is enabled")


async def _set_enabled(session: Session, name: str, *, enabled: bool) -> None:
    async with session.open() as database:
        await locations.set_enabled(database, session.clock, session.principal(), name, enabled=enabled)


@location.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Also where workers serve it, or tests run there.")
@with_session
def delete(session: Session, name: str, *, force: bool) -> None:
    """Delete the location with its keys and what is scheduled there. Results stay until they are too old."""
    homeless = asyncio.run(_delete(session, name, force=force))
    click.echo(f"location {name!r} is deleted")
    if homeless:
        click.echo(f"{counted(len(homeless), 'test')} now run nowhere; `test assign` gives them another location:")
        click.echo(f"  {', '.join(listed(homeless, MOST_NAMES))}")


async def _delete(session: Session, name: str, *, force: bool) -> tuple[str, ...]:
    async with session.open() as database:
        return await locations.delete(database, session.clock, session.principal(), name, force=force)


@location.command("list")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@with_session
def list_(session: Session, *, as_json: bool) -> None:
    """Show every location and how its workers are."""
    found = asyncio.run(_list(session))
    if as_json:
        for health in found:
            click.echo(json_line(_as_json(health)))
        return
    headings = ("NAME", "STATE", "WORKERS", "FREE SLOTS", "LAST PULL", "TESTS", "AGENT", "TROUBLE")
    click.echo(table(headings, [_row(health) for health in found], width=columns(sys.stdout)))
    if workers := [row for health in found for row in _worker_rows(health)]:
        headings = ("LOCATION", "HOST", "ADDRESS", "AGENT", "KEY", "FREE SLOTS", "LAST PULL", "STATE")
        click.echo(f"\n{table(headings, workers, width=columns(sys.stdout))}")


async def _list(session: Session) -> tuple[LocationHealth, ...]:
    async with session.open() as database:
        return await locations.list_all(database, session.clock, session.principal())


def _as_json(health: LocationHealth) -> dict[str, object]:
    return {
        "id": health.location.id,
        "name": health.location.name,
        "state": health.state,
        "enabled": health.location.enabled,
        "intake_url": health.location.intake_url,
        "tests": health.tests,
        "last_seen": health.last_seen,
        "workers": [_worker_as_json(worker) for worker in health.alive],
        "silent_workers": [_worker_as_json(worker) for worker in health.silent],
        "config_files": [
            {"access_key": file.access_key, "created_at": file.created_at, "expires_at": file.expires_at}
            for file in health.files
        ],
    }


def _worker_as_json(worker: SeenWorker) -> dict[str, object]:
    return {
        "id": worker.id,
        "agent": worker.agent,
        "last_seen": worker.last_seen,
        "concurrency": worker.concurrency,
        "free_slots": worker.free_slots,
        "holding": worker.running,
        "draining": worker.draining,
        "degraded": worker.degraded,
        "host": worker.host,
        "address": worker.address,
        "access_key": worker.access_key,
    }


def _worker_rows(health: LocationHealth) -> Iterator[tuple[str, ...]]:
    """Workers that pull, and those that did lately. Of a key the beginning: enough to tell the files of a location apart."""
    for worker in (*health.alive, *health.silent):
        yield (
            health.location.name,
            worker.host or "-",
            worker.address or "-",
            worker.agent or "-",
            worker.access_key[:8] or "-",
            f"{worker.free_slots}/{worker.concurrency}" if worker in health.alive else "-",
            ago(health.now - worker.last_seen),
            _state(worker, alive=worker in health.alive),
        )


def _state(worker: SeenWorker, *, alive: bool) -> str:
    if not alive:
        return "silent"
    if worker.degraded:
        return f"degraded: {worker.degraded}"
    return "draining" if worker.draining else "healthy"


def _row(health: LocationHealth) -> tuple[str, ...]:
    troubles = sorted({worker.degraded for worker in health.alive if worker.degraded})
    agents = sorted({worker.agent for worker in health.alive if worker.agent})
    slots = f"{sum(worker.free_slots for worker in health.alive)}/{sum(worker.concurrency for worker in health.alive)}"
    return (
        health.location.name,
        health.state,
        str(len(health.alive)),
        slots if health.alive else "-",
        ago(health.now - health.last_seen) if health.last_seen is not None else "-",
        str(health.tests),
        ", ".join(agents) or "-",
        ", ".join(troubles) or "-",
    )
