"""`run`: runs of private actions, looked at and decided by a person."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable

import click

from controlplane import epoch
from controlplane.actions.states import TaskState
from controlplane.commands.durations import ago
from controlplane.commands.session import Session, with_session
from controlplane.service import runs
from controlplane.service.principal import Principal
from controlplane.service.runs import RunView
from controlplane.service.runshapes import as_json, exit_code, headline
from controlplane.store.database import Database
from worker.clock import Clock
from worker.program.terminal import columns
from worker.text import json_line, printable, table

Deed = Callable[[Database, Clock, Principal], Awaitable[RunView]]


@click.group()
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
@click.option("--limit", type=click.IntRange(1, runs.MOST_LISTED), default=20, show_default=True, help="Runs to show.")
@click.option("--json", "as_lines", is_flag=True, help="One object a line.")
@with_session
def list_(session: Session, *, runner: str | None, states: tuple[str, ...], limit: int, as_lines: bool) -> None:
    """Show the newest runs, the newest first."""
    found = asyncio.run(_list(session, runner, states, limit))
    if as_lines:
        for one in found:
            click.echo(json_line(as_json(one)))
        return
    now = epoch.milliseconds(session.clock)
    rows = [
        (
            one.run.id,
            one.state.value,
            one.run.action,
            one.runner_name,
            one.run.connection or "-",
            f"{one.run.by_kind}/{one.run.by_id}",
            ago(now - one.run.created_at),
            one.task.code or one.task.reason or "",
        )
        for one in found
    ]
    headings = ("RUN", "STATE", "ACTION", "RUNNER", "CONNECTION", "BY", "MADE", "CAUSE")
    click.echo(table(headings, rows, width=columns(sys.stdout)))


async def _list(session: Session, runner: str | None, states: tuple[str, ...], limit: int) -> tuple[RunView, ...]:
    async with session.open() as database:
        return await runs.list_newest(database, session.principal(), limit=limit, runner=runner, states=states)


@run.command()
@click.argument("name", metavar="RUN")
@click.option("--json", "as_lines", is_flag=True, help="Print one JSON object.")
@with_session
def show(session: Session, *, name: str, as_lines: bool) -> None:
    """Show RUN: its state, its tasks and its outputs. Exits as `action run` does."""
    view = asyncio.run(_do(session, lambda database, _clock, by: runs.show(database, by, name)))
    _tell(view, as_lines=as_lines)
    sys.exit(exit_code(view))


@run.command()
@click.argument("name", metavar="RUN")
@with_session
def cancel(session: Session, *, name: str) -> None:
    """End RUN: a queued one at once, a running one as soon as its runner hears of it."""
    view = asyncio.run(_do(session, lambda database, clock, by: runs.cancel(database, clock, by, name)))
    _tell(view, as_lines=False)


@run.command()
@click.argument("name", metavar="RUN")
@with_session
def retry(session: Session, *, name: str) -> None:
    """Order the same once more, although RUN failed or its end is not known."""
    view = asyncio.run(_do(session, lambda database, clock, by: runs.retry(database, clock, by, name)))
    _tell(view, as_lines=False)


@run.command()
@click.argument("name", metavar="RUN")
@click.option("--as", "ended", required=True, type=click.Choice(["succeeded", "failed"]), help="How it ended.")
@with_session
def resolve(session: Session, *, name: str, ended: str) -> None:
    """Say how RUN, whose end is not known, has ended."""
    good = ended == "succeeded"
    view = asyncio.run(
        _do(session, lambda database, clock, by: runs.resolve(database, clock, by, name, succeeded=good))
    )
    _tell(view, as_lines=False)


async def _do(session: Session, deed: Deed) -> RunView:
    async with session.open() as database:
        return await deed(database, session.clock, session.principal())


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
