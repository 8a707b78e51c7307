"""`action`: order a private action on a runner, and wait for what comes of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from controlplane.commands.durations import milliseconds
from controlplane.commands.reach import Reach, with_reach
from controlplane.commands.session import UnusableInput
from controlplane.operations import runs
from controlplane.operations.operation import PlaneClient
from controlplane.operations.runs import OrderAction, RunCalled
from controlplane.service.runs import DEFAULT_TIMEOUT_MS, DEFAULT_WITHIN_MS, RunView
from controlplane.service.runshapes import as_json, exit_code, headline
from worker.clock import Clock
from worker.program.summaries import SummarizedGroup
from worker.text import json_line, printable

LOOK_SECONDS, LOOKS_AGAIN = 0.25, 2.0
"""Between looks for the end of a run, at first and of one that takes long: `serve` is another process."""
_SLOWER = 1.1
"""By which each look comes later than the one before: of a run of a minute the end is seen within two seconds."""
WAIT_MS = 3600_000
"""As long as any action may take."""


@click.group(cls=SummarizedGroup)
def action() -> None:
    """Private actions: what runners do inside their networks."""


def duration(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    try:
        return milliseconds(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a valid time: expected 90s, 30min or 2h") from error


@action.command()
@click.argument("name", metavar="ACTION")
@click.option("--runner", required=True, metavar="NAME", help="The runner that is to act.")
@click.option("--connection", metavar="NAME", help="The runner's connection to act through.")
@click.option("--input", "given", default="{}", metavar="JSON|@FILE", help="The action's input. @- is standard input.")
@click.option("--select", metavar="JQ", help="A jq program that the runner applies to the outputs before they leave.")
@click.option("--within", callback=duration, metavar="TIME", help="It must have started by then.  [default: 5min]")
@click.option(
    "--timeout",
    "limit",
    callback=duration,
    metavar="TIME",
    help="It may act for this long, within the runner's own limits.",
)
@click.option(
    "--idempotency-key", "key", metavar="TEXT", help="The same key and the same order within a day are one run."
)
@click.option("--wait", callback=duration, metavar="TIME", help="Wait for its end for this long.  [default: 1h]")
@click.option("--no-wait", is_flag=True, help="Print the run's id and end.")
@click.option("--json", "as_lines", is_flag=True, help="Print the whole run as one JSON object.")
@with_reach
def run(
    reach: Reach,
    *,
    name: str,
    runner: str,
    connection: str | None,
    given: str,
    select: str | None,
    within: int | None,
    limit: int | None,
    key: str | None,
    wait: int | None,
    no_wait: bool,
    as_lines: bool,
) -> None:
    """Order ACTION on a runner. Prints its outputs as JSON, and on standard error how it goes.

    Exit codes: 0 succeeded; 1 failed, cancelled or expired; 2 not ordered; 3 its end is not known.
    """
    wanted = OrderAction(
        action=name,
        runner=runner,
        connection=connection,
        input=_arguments(given),
        select=select,
        within_ms=DEFAULT_WITHIN_MS if within is None else within,
        timeout_ms=DEFAULT_TIMEOUT_MS if limit is None else limit,
        idempotency_key=key,
    )
    wait_ms = 0 if no_wait else WAIT_MS if wait is None else wait

    async def work(client: PlaneClient) -> RunView:
        return await followed(client, reach.session.clock, await client.ask(runs.ORDER, wanted), wait_ms)

    view = reach.run(work)
    if no_wait:
        click.echo(view.run.id)
        return
    show_run(view, as_lines=as_lines)
    sys.exit(exit_code(view))


def _arguments(given: str) -> dict[str, Any]:
    try:
        found = json.loads(_text(given))
    except OSError as error:
        raise UnusableInput(f"--input {given}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UnusableInput(f"--input: is not valid JSON: {error}") from error
    if not isinstance(found, dict):
        raise UnusableInput("--input: is not a valid JSON object")
    return found


def _text(given: str) -> str:
    """Raises OSError."""
    if given == "@-":
        return sys.stdin.read()
    return Path(given[1:]).read_text() if given.startswith("@") else given


async def followed(client: PlaneClient, clock: Clock, view: RunView, wait_ms: int) -> RunView:
    """Wait until the run has ended, *wait_ms* at most; tell each change on standard error. Without a wait, nothing is told."""
    deadline_ns = clock.monotonic_ns() + wait_ms * 1_000_000
    told, pause = None, LOOK_SECONDS
    while wait_ms:
        line = headline(view)
        if line != told:
            click.echo(printable(f"run {view.run.id}: {line}"), err=True)
            told = line
        left = (deadline_ns - clock.monotonic_ns()) / 1e9
        if view.has_ended or left <= 0:
            break
        await clock.sleep(min(pause, left))
        pause = min(pause * _SLOWER, LOOKS_AGAIN)
        view = await client.ask(runs.SHOW, RunCalled(view.run.id))
    return view


def show_run(view: RunView, *, as_lines: bool) -> None:
    """Print the outputs of a run, or all of it."""
    if as_lines:
        click.echo(json_line(as_json(view)))
    elif view.outcome is not None and view.outcome.get("outputs") is not None:
        click.echo(json.dumps(view.outcome["outputs"], indent=2, ensure_ascii=False))
    if not view.has_ended:
        click.echo(f"the run goes on: `run show {view.run.id}` tells its end", err=True)
