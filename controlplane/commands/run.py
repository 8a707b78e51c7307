"""`run`: runs of private actions, looked at and decided by a person."""

from __future__ import annotations

import json
import sys

import click

from controlplane.actions.states import TaskState
from controlplane.commands.durations import ago
from controlplane.commands.listing import echo_table
from controlplane.commands.reach import Reach, with_reach
from controlplane.operations import runs
from controlplane.operations.runs import ListRuns, ResolveUnknown, RunCalled
from controlplane.service.runs import MOST_LISTED, RunView
from controlplane.service.runshapes import as_json, exit_code, headline
from worker.program.summaries import SummarizedGroup
from worker.text import json_line, printable


@click.group(cls=SummarizedGroup)
def run() -> None:
    """Runs of private actions."""


@run.command("list")
@click.option("--runner", metavar="NAME", help="Runs of this runner alone.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in TaskState]),
    help="Runs in this state alone; may be given more than once.",
)
@click.option("--limit", type=click.IntRange(1, MOST_LISTED), default=20, show_default=True, help="Runs to show.")
@click.option("--json", "as_lines", is_flag=True, help="One object a line.")
@with_reach
def list_(reach: Reach, *, runner: str | None, states: tuple[str, ...], limit: int, as_lines: bool) -> None:
    """Show the newest runs, the newest first."""
    chosen = tuple(map(TaskState, states))
    found = reach.ask(runs.LIST, ListRuns(limit=limit, runner=runner, states=chosen))
    if as_lines:
        for one in found.runs:
            click.echo(json_line(as_json(one)))
        return
    rows = [
        (
            one.run.id,
            one.state.value,
            one.run.action,
            one.runner_name,
            one.run.connection or "-",
            f"{one.run.by_kind}/{one.run.by_id}",
            ago(found.now - one.run.created_at),
            one.task.code or one.task.reason or "",
        )
        for one in found.runs
    ]
    headings = ("RUN", "STATE", "ACTION", "RUNNER", "CONNECTION", "BY", "MADE", "CAUSE")
    echo_table(headings, rows)


@run.command()
@click.argument("name", metavar="RUN")
@click.option("--json", "as_lines", is_flag=True, help="Print one JSON object.")
@with_reach
def show(reach: Reach, *, name: str, as_lines: bool) -> None:
    """Show RUN: its state, its tasks and its outputs. Exits as `action run` does."""
    view = reach.ask(runs.SHOW, RunCalled(name))
    _tell(view, as_lines=as_lines)
    sys.exit(exit_code(view))


@run.command()
@click.argument("name", metavar="RUN")
@with_reach
def cancel(reach: Reach, *, name: str) -> None:
    """End RUN: a queued one at once, a running one as soon as its runner hears of it."""
    _tell(reach.ask(runs.CANCEL, RunCalled(name)), as_lines=False)


@run.command()
@click.argument("name", metavar="RUN")
@with_reach
def retry(reach: Reach, *, name: str) -> None:
    """Order the same once more, although RUN failed or its end is not known."""
    _tell(reach.ask(runs.RETRY, RunCalled(name)), as_lines=False)


@run.command()
@click.argument("name", metavar="RUN")
@click.option("--as", "ended", required=True, type=click.Choice(["succeeded", "failed"]), help="How it ended.")
@with_reach
def resolve(reach: Reach, *, name: str, ended: str) -> None:
    """Say how RUN, whose end is not known, has ended."""
    _tell(reach.ask(runs.RESOLVE, ResolveUnknown(run=name, succeeded=ended == "succeeded")), as_lines=False)


def _tell(view: RunView, *, as_lines: bool) -> None:
    if as_lines:
        click.echo(json_line(as_json(view)))
        return
    click.echo(printable(f"run {view.run.id}: {headline(view)}"))
    for step in view.steps:
        attempt, task = step.attempt, step.task
        again = f" (attempt {attempt.attempt})" if attempt.attempt > 1 else ""
        cause = task.code or task.reason or ""
        click.echo(printable(f"  {attempt.name}{again}: {attempt.action}: {task.state.value} {cause}".rstrip()))
    if view.outcome is not None and view.outcome.get("outputs") is not None:
        click.echo(json.dumps(view.outcome["outputs"], indent=2, ensure_ascii=False))
