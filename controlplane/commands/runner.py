"""`runner`: make, show, switch and settle the runners of private actions."""

from __future__ import annotations

from typing import Literal

import click

from controlplane.commands import runnerdetails, runnerstart
from controlplane.commands.durations import ago, milliseconds, period
from controlplane.commands.listing import echo_table, echo_values
from controlplane.commands.reach import DEFAULT_INTAKE_URL, Reach, with_reach
from controlplane.operations import runners as operations
from controlplane.operations.runners import (
    AcceptInstance,
    ChangeKeys,
    CreateRunner,
    IssueToken,
    ListRunners,
    NewToken,
    RunnerCalled,
    SwitchRunner,
)
from controlplane.service import runners, runnershapes
from controlplane.store.database import Opening
from worker.program.summaries import SummarizedGroup
from worker.text import json_line


@click.group(cls=SummarizedGroup)
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
    "--base-url",
    metavar="URL",
    help=f"Where the runner finds `serve`.  [default: {DEFAULT_INTAKE_URL}, or what --url says]",
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
@with_reach
def create(
    reach: Reach,
    name: str,
    *,
    modes: str,
    host: str | None,
    base_url: str | None,
    instances: int,
    ttl: str,
    as_json: bool,
) -> None:
    """Make a runner, and the token by which it enrols. The token is shown now and never again."""
    wanted = CreateRunner(
        name=name,
        modes=runners.read_modes(modes),
        host=host,
        base_url=base_url or reach.intake_url,
        instances=instances,
        ttl_ms=_milliseconds(ttl),
    )
    _show(reach.ask(operations.CREATE, wanted, Opening(create=True)), as_json=as_json)


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
@with_reach
def token(reach: Reach, name: str, *, ttl: str, uses: int, as_json: bool) -> None:
    """Make another token: who enrols with it takes the runner's place. Older ones end."""
    wanted = IssueToken(runner=name, ttl_ms=_milliseconds(ttl), uses=uses)
    _show(reach.ask(operations.TOKEN, wanted), as_json=as_json)


def _milliseconds(text: str) -> int:
    try:
        return milliseconds(text)
    except ValueError:
        raise click.UsageError(f"--ttl: {text!r} is not a valid time: expected 90s, 30min, 2h or 7d") from None


def _show(issued: NewToken, *, as_json: bool) -> None:
    text = issued.token.reveal()
    if as_json:
        click.echo(json_line({"runner": issued.runner, "token": text, "expires_at": issued.expires_at}))
        return
    uses = "one use" if issued.uses == 1 else f"{issued.uses} uses"
    click.echo(f"runner {issued.runner!r}; its token is good for {uses} within {period(issued.ttl_ms)}:\n")
    click.echo(f"export RUNNER_ENROLLMENT_TOKEN={text}\n")
    click.echo(runnerstart.how_to_start(issued.runner, issued.base_url))


@runner.command("list")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@with_reach
def list_(reach: Reach, *, as_json: bool) -> None:
    """Show every runner: its state, its instances, and when it asked last."""
    found = reach.ask(operations.LIST, ListRunners())
    if as_json:
        echo_values(map(runnershapes.as_json, found))
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
    echo_table(heads, rows)


@runner.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="One object.")
@with_reach
def show(reach: Reach, name: str, *, as_json: bool) -> None:
    """Show one runner: its instances, and what it told of its connections. A runner with `report: none` tells nothing."""
    one = reach.ask(operations.SHOW, RunnerCalled(name))
    if as_json:
        click.echo(json_line(runnershapes.as_json(one)))
        return
    found = one.runner
    click.echo(f"{found.name}: {one.state}, modes {','.join(found.modes)}, epoch {found.epoch}")
    for each in one.alive:
        doing = f"{each.running} of {each.concurrency} slots in use"
        click.echo(f"instance {each.id} on {each.host or '?'} ({each.address}), {each.agent}: {doing}")
    click.echo(runnerdetails.for_people(one.details))


@runner.command()
@click.argument("name")
@with_reach
def disable(reach: Reach, name: str) -> None:
    """Refuse the runner until `enable`. It keeps its keys, takes no task, and ends what it runs."""
    click.echo(f"runner {_switch(reach, name, 'disabled')!r} is disabled")


@runner.command()
@click.argument("name")
@with_reach
def enable(reach: Reach, name: str) -> None:
    """Hear a disabled runner again. A revoked one then waits for a new token."""
    click.echo(f"runner {_switch(reach, name, 'enrolled')!r} is enabled")


@runner.command()
@click.argument("name")
@with_reach
def revoke(reach: Reach, name: str) -> None:
    """End the runner's keys for good. `enable` and `token` enrol it anew."""
    click.echo(f"the keys of runner {_switch(reach, name, 'revoked')!r} are revoked")


def _switch(reach: Reach, name: str, state: Literal["enrolled", "disabled", "revoked"]) -> str:
    return reach.ask(operations.SWITCH, SwitchRunner(runner=name, state=state))


@runner.command()
@click.argument("name")
@with_reach
def rotate(reach: Reach, name: str) -> None:
    """Ask the runner for new keys with its next pull; the old ones end at the first request of the new."""
    asked = reach.ask(operations.ROTATE, RunnerCalled(name))
    click.echo(f"runner {asked!r} makes new keys with its next pull")


@runner.command()
@click.argument("name")
@click.option("--instance", required=True, metavar="ID", help="The true one; `runner list --json` shows who is alive.")
@with_reach
def accept(reach: Reach, name: str, *, instance: str) -> None:
    """Settle a contested runner: say which of its instances is true. `rotate` then ends the copy."""
    settled = reach.ask(operations.ACCEPT, AcceptInstance(runner=name, instance=instance))
    click.echo(f"instance {instance} is runner {settled!r}; `runner rotate {settled}` ends copies of its identity")


@runner.command("renew-keys")
@with_reach
def renew_keys(reach: Reach) -> None:
    """Make the next key by which this control plane signs towards runners. It does so by itself long before one ends."""
    seq = reach.ask(operations.RENEW_KEYS, ChangeKeys())
    click.echo(f"keyset {seq} tells a new key; it signs once every living runner has it, or after a day")


@runner.command("replace-keys")
@with_reach
def replace_keys(reach: Reach) -> None:
    """Put a new key in the place of one that was stolen, at once. Orders that wait are refused and have to be made anew."""
    seq = reach.ask(operations.REPLACE_KEYS, ChangeKeys())
    click.echo(f"keyset {seq} has a new key alone: what older ones signed is refused")
