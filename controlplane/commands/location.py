"""`location`: make, show and switch the places that workers serve."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from controlplane.commands import locationfile
from controlplane.commands.durations import ago
from controlplane.commands.listing import echo_table, echo_values
from controlplane.commands.reach import DEFAULT_INTAKE_URL, Reach, with_reach
from controlplane.errors import MOST_NAMES
from controlplane.operations import locations
from controlplane.operations.locations import (
    CreateLocation,
    DeleteLocation,
    ListLocations,
    RotateLocation,
    SwitchLocation,
)
from controlplane.service import startcommands
from controlplane.service.locationfile import KeyKind
from controlplane.service.locations import LocationHealth, check_name
from controlplane.store.database import Opening
from controlplane.store.workers import SeenWorker
from worker.program.summaries import SummarizedGroup
from worker.text import counted, listed


@click.group(cls=SummarizedGroup)
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
    "--intake-url",
    metavar="URL",
    help=f"Where the workers find `serve`.  [default: {DEFAULT_INTAKE_URL}, or what --url says]",
)
@output_option
@with_reach
def create(reach: Reach, name: str, key_kind: KeyKind, intake_url: str | None, output: Path) -> None:
    """Make a location and the config file of its workers."""
    check_name(name)  # a mistake makes neither a database nor a file
    url = locationfile.check_intake_url(intake_url or reach.intake_url)
    wanted = CreateLocation(name=name, intake_url=url, key_kind=key_kind)
    with locationfile.reserved(output) as keep:
        keep(reach.ask(locations.CREATE, wanted, Opening(create=True)).text)
    _tell(f"location {name!r} is ready; its config file is", output, url)


def _tell(outcome: str, output: Path, intake_url: str) -> None:
    """Say what was done and how to go on; beside the file, where that goes to standard output."""
    streamed = output == locationfile.STREAM
    path = Path(startcommands.POD_KEY) if streamed else output
    click.echo(f"{outcome} {'on standard output' if streamed else output}\n", err=streamed)
    click.echo(locationfile.how_to_start(path, intake_url), err=streamed)


@location.command()
@click.argument("name")
@key_kind_option
@click.option("--intake-url", metavar="URL", help="Where the workers find `serve`.  [default: what the last file said]")
@output_option
@click.option(
    "--overlap-hours",
    type=click.FloatRange(min=0, max=24 * 3650),
    default=24.0,
    show_default=True,
    help="How long the files made before go on working; 0 ends them at once.",
)
@with_reach
def rotate(
    reach: Reach, name: str, key_kind: KeyKind, intake_url: str | None, output: Path, overlap_hours: float
) -> None:
    """Make a new config file with new keys; the old ones end after the overlap."""
    wanted = RotateLocation(
        location=name,
        overlap_ms=round(overlap_hours * 3_600_000),
        intake_url=None if intake_url is None else locationfile.check_intake_url(intake_url),
        key_kind=key_kind,
    )
    with locationfile.reserved(output) as keep:
        issued = reach.ask(locations.ROTATE, wanted)
        keep(issued.text)
    _tell(
        f"older config files of {name!r} work for another {overlap_hours:g} h; the new one is",
        output,
        issued.intake_url,
    )


@location.command()
@click.argument("name")
@with_reach
def disable(reach: Reach, name: str) -> None:
    """Refuse the location's workers and run nothing there, until `enable`."""
    reach.ask(locations.SWITCH, SwitchLocation(location=name, enabled=False))
    click.echo(f"location {name!r} is disabled")


@location.command()
@click.argument("name")
@with_reach
def enable(reach: Reach, name: str) -> None:
    """Undo `disable`. Its tests run again, each in its own phase."""
    reach.ask(locations.SWITCH, SwitchLocation(location=name, enabled=True))
    click.echo(f"location {name!r} is enabled")


@location.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Also where workers serve it, or tests run there.")
@with_reach
def delete(reach: Reach, name: str, *, force: bool) -> None:
    """Delete the location with its keys and what is scheduled there. Results stay until they are too old."""
    homeless = reach.ask(locations.DELETE, DeleteLocation(location=name, force=force))
    click.echo(f"location {name!r} is deleted")
    if homeless:
        click.echo(f"{counted(len(homeless), 'test')} now run nowhere; `test assign` gives them another location:")
        click.echo(f"  {', '.join(listed(homeless, MOST_NAMES))}")


@location.command("list")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@with_reach
def list_(reach: Reach, *, as_json: bool) -> None:
    """Show every location and how its workers are."""
    found = reach.ask(locations.LIST, ListLocations())
    if as_json:
        echo_values(map(_as_json, found))
        return
    headings = ("NAME", "STATE", "WORKERS", "FREE SLOTS", "LAST PULL", "TESTS", "AGENT", "TROUBLE")
    echo_table(headings, [_row(health) for health in found])
    if workers := [row for health in found for row in _worker_rows(health)]:
        headings = ("LOCATION", "HOST", "ADDRESS", "AGENT", "KEY", "FREE SLOTS", "LAST PULL", "STATE")
        click.echo()
        echo_table(headings, workers)


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
