"""`workflow`: push, list, show, run, pause and delete workflows of private actions."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from controlplane.commands import yamltext
from controlplane.commands.action import WAIT_MS, duration, followed, show_run
from controlplane.commands.durations import ago
from controlplane.commands.listing import echo_table, echo_values
from controlplane.commands.reach import Reach, with_reach
from controlplane.commands.session import UnusableInput
from controlplane.errors import ControlPlaneError, NotYAMLError
from controlplane.operations import clock, runs, workflows
from controlplane.operations.clock import ReadClock
from controlplane.operations.operation import PlaneClient
from controlplane.operations.runs import StartNamed
from controlplane.operations.workflows import (
    DeleteWorkflow,
    ListWorkflows,
    PauseWorkflow,
    PushWorkflow,
    ShownWorkflow,
    ShowWorkflow,
)
from controlplane.service.runs import RunView
from controlplane.service.runshapes import exit_code
from worker.program.summaries import SummarizedGroup
from worker.secret import Secret
from worker.text import json_line, printable


@click.group(cls=SummarizedGroup)
def workflow() -> None:
    """Workflows: private actions in a row, started by people, programs, hooks and failing tests."""


@workflow.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--secret",
    "given",
    multiple=True,
    metavar="NAME=@FILE",
    help="A secret of a hook, from a file; @- is standard input. One that was given before is kept.",
)
@click.option("--json", "as_lines", is_flag=True, help="Print one JSON object.")
@with_reach
def push(reach: Reach, file: Path, *, given: tuple[str, ...], as_lines: bool) -> None:
    """Keep the workflow in FILE (YAML or JSON) under its name, in place of an earlier one."""
    sent = PushWorkflow(definition=_definition(file), secrets=dict(map(_secret, given)))
    try:
        pushed = reach.ask(workflows.PUSH, sent)
    except ControlPlaneError as error:
        raise UnusableInput(f"{file}: {error}") from error
    if as_lines:
        click.echo(json_line(msgspec.to_builtins(pushed)))
        return
    click.echo(f"workflow {pushed.name!r} is {'new' if pushed.is_new else 'changed'}")
    for hook in pushed.hooks:
        click.echo(f"hook ({hook.verify}): {reach.intake_url}{hook.path}")


def _definition(file: Path) -> dict[str, Any]:
    try:
        found = list(yamltext.read(file.read_bytes()))
    except OSError as error:
        raise UnusableInput(f"{file}: {error.strerror}") from error
    except NotYAMLError as error:
        raise UnusableInput(f"{file}: {error}") from error
    if len(found) != 1 or not isinstance(found[0].value, dict):
        raise UnusableInput(f"{file}: is not a valid workflow: expected one object")
    return found[0].value


def _secret(given: str) -> tuple[str, Secret[str]]:
    name, _, source = given.partition("=")
    if not name or not source.startswith("@"):
        raise click.BadParameter(f"--secret {name}: expected NAME=@FILE")
    try:
        text = sys.stdin.read() if source == "@-" else Path(source[1:]).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableInput(f"--secret {name}: {source[1:]} cannot be read") from error
    return name, Secret(text.removesuffix("\n"))


@workflow.command("list")
@click.option("--json", "as_lines", is_flag=True, help="One object a line.")
@with_reach
def list_(reach: Reach, *, as_lines: bool) -> None:
    """Show every workflow."""
    found, now = reach.run(_list)
    if as_lines:
        echo_values(map(msgspec.to_builtins, found))
        return
    rows = [
        (
            one.name,
            _state(one),
            one.definition.get("runner", "-"),
            str(len(one.definition.get("steps", ()))),
            ", ".join(_trigger(each) for each in one.definition.get("triggers", ())) or "-",
            ago(now - one.updated_at) if one.readable else "-",
            one.updated_by,
        )
        for one in found
    ]
    headings = ("NAME", "STATE", "RUNNER", "STEPS", "TRIGGERS", "CHANGED", "BY")
    echo_table(headings, rows)


async def _list(client: PlaneClient) -> tuple[tuple[ShownWorkflow, ...], int]:
    return await client.ask(workflows.LIST, ListWorkflows()), await client.ask(clock.READ, ReadClock())


def _state(one: ShownWorkflow) -> str:
    if not one.readable:
        return "unreadable"
    return "paused" if one.paused else "active"


def _trigger(trigger: dict[str, Any]) -> str:
    test, hook = trigger.get("test"), trigger.get("hook")
    return f"{test['id']} {test['on']}" if test else f"hook {hook['verify']}" if hook else "?"


@workflow.command()
@click.argument("name", metavar="WORKFLOW")
@with_reach
def show(reach: Reach, name: str) -> None:
    """Show WORKFLOW as JSON: its definition, and the paths of its hooks; no secrets."""
    found = reach.ask(workflows.SHOW, ShowWorkflow(workflow=name))
    click.echo(json.dumps(msgspec.to_builtins(found), indent=2, ensure_ascii=False))


@workflow.command()
@click.argument("name", metavar="WORKFLOW")
@click.option("--resume", is_flag=True, help="Let it start again.")
@with_reach
def pause(reach: Reach, name: str, *, resume: bool) -> None:
    """Let WORKFLOW start nothing more, whoever asks. Runs under way go on."""
    found = reach.ask(workflows.PAUSE, PauseWorkflow(workflow=name, paused=not resume))
    click.echo(f"workflow {found.name!r} is {_state(found)}")


@workflow.command()
@click.argument("name", metavar="WORKFLOW")
@with_reach
def delete(reach: Reach, name: str) -> None:
    """Delete WORKFLOW and its hooks. Its runs stay, and go on."""
    gone = reach.ask(workflows.DELETE, DeleteWorkflow(workflow=name))
    click.echo(f"workflow {gone.name!r} is deleted")


@workflow.command()
@click.argument("name", metavar="WORKFLOW")
@click.option("--param", "given", multiple=True, metavar="NAME=VALUE", help="A parameter: JSON, or else a text.")
@click.option(
    "--idempotency-key", "key", metavar="TEXT", help="The same key and the same wish within a day are one run."
)
@click.option("--wait", callback=duration, metavar="TIME", help="Wait for its end for this long.  [default: 1h]")
@click.option("--no-wait", is_flag=True, help="Print the run's id and end.")
@click.option("--json", "as_lines", is_flag=True, help="Print the whole run as one JSON object.")
@with_reach
def run(
    reach: Reach,
    *,
    name: str,
    given: tuple[str, ...],
    key: str | None,
    wait: int | None,
    no_wait: bool,
    as_lines: bool,
) -> None:
    """Start WORKFLOW. Prints the outputs of its last step as JSON, and on standard error how it goes.

    Exit codes: 0 succeeded; 1 failed, cancelled or expired; 2 not started; 3 its end is not known.
    """
    wanted = StartNamed(workflow=name, params=dict(map(_param, given)), idempotency_key=key)
    wait_ms = 0 if no_wait else WAIT_MS if wait is None else wait

    async def work(client: PlaneClient) -> RunView:
        return await followed(client, reach.session.clock, await client.ask(runs.START, wanted), wait_ms)

    view = reach.run(work)
    if no_wait:
        click.echo(view.run.id)
        return
    show_run(view, as_lines=as_lines)
    sys.exit(exit_code(view))


def _param(given: str) -> tuple[str, Any]:
    name, equals, text = given.partition("=")
    if not name or not equals:
        raise click.BadParameter(f"--param {printable(given)}: expected NAME=VALUE")
    try:
        return name, json.loads(text)
    except (ValueError, RecursionError):
        return name, text
