"""`runner`: make, show, switch and settle the runners of private actions."""

from __future__ import annotations

import asyncio
import sys

import click

from controlplane import epoch
from controlplane.commands import runnerdetails, runnerstart
from controlplane.commands.durations import ago, milliseconds, period
from controlplane.commands.reach import DEFAULT_INTAKE_URL
from controlplane.commands.session import Session, with_session
from controlplane.service import runners, runnershapes, signingkeys
from controlplane.service.runners import IssuedToken, RunnerHealth, WantedRunner
from controlplane.store.database import Opening
from controlplane.store.runners import RunnerState
from worker.program.terminal import columns
from worker.text import json_line, table


@click.group()
def runner() -> None:
    """Runners of private actions."""


ttl_option = click.option(
    "--ttl", default="1h", show_default=True, metavar="TIME", help="How long the token holds: 90s, 30min, 2h or 7d."
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help='Print {"runner", "token", "expires_at"} and nothing else.'
)


@runner.command()
@click.argument("name")
@click.option("--modes", default="pull", show_default=True, metavar="pull[,push]", help="What it may be asked by.")
@click.option("--host", metavar="URL", help="Where apps reach a runner with push among its modes.")
@click.option(
    "--url", default=DEFAULT_INTAKE_URL, show_default=True, metavar="URL", help="Where the runner finds `serve`."
)
@click.option(
    "--instances",
    type=click.IntRange(1, runners.MOST_TOGETHER),
    default=1,
    show_default=True,
    help="How many of its processes may be alive at a time; with 1, a copied identity is noticed at its first use.",
)
@ttl_option
@json_option
@with_session
def create(
    session: Session,
    name: str,
    *,
    modes: str,
    host: str | None,
    url: str,
    instances: int,
    ttl: str,
    as_json: bool,
) -> None:
    """Make a runner, and the token by which it enrols. The token is shown now and never again."""
    wanted = WantedRunner(name=name, modes=runners.read_modes(modes), host=host, base_url=url, instances=instances)
    issued = asyncio.run(_create(session, wanted, _milliseconds(ttl)))
    _show(session, issued, as_json=as_json)


async def _create(session: Session, wanted: WantedRunner, ttl_ms: int) -> IssuedToken:
    async with session.open(Opening(create=True)) as database:
        return await runners.create(database, session.clock, session.principal(), wanted, ttl_ms=ttl_ms)


@runner.command()
@click.argument("name")
@ttl_option
@click.option(
    "--uses",
    type=click.IntRange(1, runners.MOST_USES),
    default=1,
    show_default=True,
    help="How often it enrols: more than once for a runner that keeps no identity and enrols at each start.",
)
@json_option
@with_session
def token(session: Session, name: str, *, ttl: str, uses: int, as_json: bool) -> None:
    """Make another token: who enrols with it takes the runner's place. Older ones end."""
    _show(session, asyncio.run(_token(session, name, _milliseconds(ttl), uses)), as_json=as_json)


async def _token(session: Session, name: str, ttl_ms: int, uses: int) -> IssuedToken:
    async with session.open() as database:
        return await runners.token(database, session.clock, session.principal(), name, ttl_ms=ttl_ms, uses=uses)


def _milliseconds(text: str) -> int:
    try:
        return milliseconds(text)
    except ValueError:
        raise click.UsageError(f"--ttl: {text!r} is not a valid time: expected 90s, 30min, 2h or 7d") from None


def _show(session: Session, issued: IssuedToken, *, as_json: bool) -> None:
    text = issued.text.reveal()
    if as_json:
        click.echo(json_line({"runner": issued.runner.name, "token": text, "expires_at": issued.expires_at}))
        return
    minutes = round((issued.expires_at - epoch.milliseconds(session.clock)) / 60_000)
    uses = "one use" if issued.uses == 1 else f"{issued.uses} uses"
    click.echo(f"runner {issued.runner.name!r}; its token is good for {uses} within {period(minutes * 60_000)}:\n")
    click.echo(f"export RUNNER_ENROLLMENT_TOKEN={text}\n")
    click.echo(runnerstart.how_to_start(issued.runner.name, issued.runner.base_url))


@runner.command("list")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@with_session
def list_(session: Session, *, as_json: bool) -> None:
    """Show every runner: its state, its instances, and when it asked last."""
    found = asyncio.run(_list(session))
    if as_json:
        for one in found:
            click.echo(json_line(runnershapes.as_json(one)))
        return
    rows = [
        (
            one.runner.name,
            one.state,
            ",".join(one.runner.modes),
            f"{len(one.alive)}/{one.runner.instances}",
            str(one.runner.epoch),
            "never" if one.last_seen is None else ago(one.now - one.last_seen),
            one.runner.contested or next((each.degraded for each in one.alive if each.degraded), ""),
        )
        for one in found
    ]
    heads = ("NAME", "STATE", "MODES", "INSTANCES", "EPOCH", "LAST PULL", "TROUBLE")
    click.echo(table(heads, rows, width=columns(sys.stdout)))


async def _list(session: Session) -> tuple[RunnerHealth, ...]:
    async with session.open() as database:
        return await runners.list_all(database, session.clock, session.principal())


@runner.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="One object.")
@with_session
def show(session: Session, name: str, *, as_json: bool) -> None:
    """Show one runner: its instances, and what it told of its connections. A runner with `report: none` tells nothing."""
    one = asyncio.run(_one(session, name))
    if as_json:
        click.echo(json_line(runnershapes.as_json(one)))
        return
    found = one.runner
    click.echo(f"{found.name}: {one.state}, modes {','.join(found.modes)}, epoch {found.epoch}")
    for each in one.alive:
        doing = f"{each.running} of {each.concurrency} slots in use"
        click.echo(f"instance {each.id} on {each.host or '?'} ({each.address}), {each.agent}: {doing}")
    click.echo(runnerdetails.for_people(one.details))


async def _one(session: Session, name: str) -> RunnerHealth:
    async with session.open() as database:
        return await runners.show(database, session.clock, session.principal(), name)


@runner.command()
@click.argument("name")
@with_session
def disable(session: Session, name: str) -> None:
    """Refuse the runner until `enable`. It keeps its keys, takes no task, and ends what it runs."""
    _switch(session, name, "disabled")
    click.echo(f"runner {name!r} is disabled")


@runner.command()
@click.argument("name")
@with_session
def enable(session: Session, name: str) -> None:
    """Hear a disabled runner again. A revoked one then waits for a new token."""
    _switch(session, name, "enrolled")
    click.echo(f"runner {name!r} is enabled")


@runner.command()
@click.argument("name")
@with_session
def revoke(session: Session, name: str) -> None:
    """End the runner's keys for good. `enable` and `token` enrol it anew."""
    _switch(session, name, "revoked")
    click.echo(f"the keys of runner {name!r} are revoked")


def _switch(session: Session, name: str, state: RunnerState) -> None:
    asyncio.run(_set_state(session, name, state))


async def _set_state(session: Session, name: str, state: RunnerState) -> None:
    async with session.open() as database:
        await runners.set_state(database, session.clock, session.principal(), name, state)


@runner.command()
@click.argument("name")
@with_session
def rotate(session: Session, name: str) -> None:
    """Ask the runner for new keys with its next pull; the old ones end at the first request of the new."""
    asyncio.run(_rotate(session, name))
    click.echo(f"runner {name!r} makes new keys with its next pull")


async def _rotate(session: Session, name: str) -> None:
    async with session.open() as database:
        await runners.rotate(database, session.clock, session.principal(), name)


@runner.command()
@click.argument("name")
@click.option("--instance", required=True, metavar="ID", help="The true one; `runner list --json` shows who is alive.")
@with_session
def accept(session: Session, name: str, *, instance: str) -> None:
    """Settle a contested runner: say which of its instances is true. `rotate` then ends the copy."""
    asyncio.run(_accept(session, name, instance))
    click.echo(f"instance {instance} is runner {name!r}; `runner rotate {name}` ends copies of its identity")


async def _accept(session: Session, name: str, instance: str) -> None:
    async with session.open() as database:
        await runners.accept(database, session.clock, session.principal(), name, instance)


@runner.command("renew-keys")
@with_session
def renew_keys(session: Session) -> None:
    """Make the next key by which this control plane signs towards runners. It does so by itself long before one ends."""
    seq = asyncio.run(_renew_keys(session))
    click.echo(f"keyset {seq} tells a new key; it signs once every living runner has it, or after a day")


async def _renew_keys(session: Session) -> int:
    async with session.open() as database:
        return await signingkeys.renew(database, session.clock, session.principal())


@runner.command("replace-keys")
@with_session
def replace_keys(session: Session) -> None:
    """Put a new key in the place of one that was stolen, at once. Orders that wait are refused and have to be made anew."""
    seq = asyncio.run(_replace_keys(session))
    click.echo(f"keyset {seq} has a new key alone: what older ones signed is refused")


async def _replace_keys(session: Session) -> int:
    async with session.open() as database:
        return await signingkeys.replace(database, session.clock, session.principal())
