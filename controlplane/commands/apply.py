"""`apply`: make the tests of a control plane what files say, having shown what that changes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

import click

from controlplane.commands import definitions, sources
from controlplane.commands.reach import Reach, with_reach
from controlplane.commands.sources import Read
from controlplane.errors import UnusableError
from controlplane.operations import plans
from controlplane.operations.operation import PlaneClient
from controlplane.operations.plans import (
    ApplyTests,
    ApplyVariables,
    ListApplied,
    PlanTests,
    PlanVariables,
    PruneApplied,
)
from controlplane.operations.tests import SentDefinition
from controlplane.service.definitions import MISTAKES_SHOWN
from controlplane.service.differences import Difference
from controlplane.service.plans import Planned, check_collection
from controlplane.service.tests import Change
from controlplane.store.applied import Applied, AppliedKind
from worker.errors import TestError
from worker.text import counted, listed, printable

SOME = 100
"""Variables, and ids, of one request."""
T = TypeVar("T")
CHANGED = 1
"""The exit code of a dry run that found changes, as `diff` has it."""
_SIGNS = {Change.ADDED: ("+", "green"), Change.UPDATED: ("~", "yellow")}


@dataclass(frozen=True, slots=True)
class FilesPlan:
    """The effect of files on tests, and the tests of their collection that they do not hold."""

    planned: tuple[Planned, ...]
    gone: tuple[Applied, ...]

    @property
    def changes(self) -> bool:
        return bool(self.gone) or any(one.change is not Change.UNCHANGED for one in self.planned)

    def count(self, change: Change) -> int:
        return sum(1 for one in self.planned if one.change is change)


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="DIR|FILE...", type=click.Path(path_type=Path))
@click.option(
    "--dry-run", is_flag=True, help="Only show what would change. Exit code 1 where something would, 0 where not."
)
@click.option("--prune", is_flag=True, help="Delete what was applied before and is in the files no more.")
@click.option("--yes", is_flag=True, help="Delete without asking.")
@click.option(
    "--collection",
    default="default",
    show_default=True,
    metavar="NAME",
    help="The name of these files together: --prune looks at what was applied under it, and at nothing else.",
)
@with_reach
def apply(reach: Reach, paths: tuple[Path, ...], *, dry_run: bool, prune: bool, yes: bool, collection: str) -> None:
    """Make tests what DIRs and FILEs (JSON or YAML; - is standard input) say.

    A test is known by its public id, or, where a file has none, by its name. It runs where its `locations` say.

    Nothing is changed unless everything is valid.
    """
    check_collection(collection)
    sent = _read(paths)

    async def look(client: PlaneClient) -> FilesPlan:
        return await _plan(client, sent, collection if prune else None)

    try:
        plan = reach.run(look)
    except TestError as error:
        _refuse(error.errors)
    _show(plan)
    if dry_run:
        raise click.exceptions.Exit(CHANGED if plan.changes else 0)
    if plan.gone and not yes:
        _confirm(plan.gone)

    async def change(client: PlaneClient) -> FilesPlan:
        return await _apply(client, sent, plan.gone, collection)

    click.echo(f"applied: {_summary(reach.run(change), done=True)}")


def _read(paths: Sequence[Path]) -> Read:
    found = sources.read(paths, os.environ)  # noqa: TID251 - a command's edge
    for remark in found.remarks:
        click.echo(printable(remark), err=True)
    if found.mistakes:
        _refuse(found.mistakes)
    return found


def _refuse(mistakes: Sequence[str]) -> NoReturn:
    for mistake in listed(mistakes, MISTAKES_SHOWN):
        click.echo(printable(mistake), err=True)
    click.echo(f"{counted(len(mistakes), 'mistake')}; nothing was applied", err=True)
    raise click.exceptions.Exit(2)


async def _plan(client: PlaneClient, sent: Read, pruned: str | None) -> FilesPlan:
    planned: list[Planned] = []
    for variables in _some(sent.variables):
        found = await client.ask(plans.PLAN_VARIABLES, PlanVariables(variables=variables))
        planned += found
    for portion in _portions(sent):
        found = await client.ask(plans.PLAN, PlanTests(definitions=portion))
        planned += found
    if pruned is None:
        return FilesPlan(tuple(planned), ())
    kept = {one.id for one in planned} | {str(one.content.get("public_id")) for one in sent.definitions}
    managed = [*await _managed(client, "test", pruned), *await _managed(client, "variable", pruned)]
    return FilesPlan(tuple(planned), tuple(one for one in managed if one.id not in kept))


async def _managed(client: PlaneClient, kind: AppliedKind, collection: str) -> list[Applied]:
    found: list[Applied] = []
    while True:
        after = found[-1].id if found else ""
        page = await client.ask(plans.MANAGED, ListApplied(kind=kind, collection=collection, after=after))
        found += page
        if len(page) < plans.PAGE:
            return found


async def _apply(client: PlaneClient, sent: Read, gone: Sequence[Applied], collection: str) -> FilesPlan:
    """Everything in portions, variables before the tests that use them; what was really done."""
    done: list[Planned] = []
    for variables in _some(sent.variables):
        found = await client.ask(plans.APPLY_VARIABLES, ApplyVariables(variables=variables, collection=collection))
        done += found
    for portion in _portions(sent):
        found = await client.ask(plans.APPLY, ApplyTests(definitions=portion, collection=collection))
        done += found
    deleted: set[str] = set()
    for kind, operation in (("test", plans.PRUNE), ("variable", plans.PRUNE_VARIABLES)):
        for some in _some([one.id for one in gone if one.kind == kind]):
            pruned = await client.ask(operation, PruneApplied(ids=some, collection=collection))
            deleted.update(pruned)
    return FilesPlan(tuple(done), tuple(one for one in gone if one.id in deleted))


def _portions(sent: Read) -> list[list[SentDefinition]]:
    return list(definitions.portions(sent.definitions)) if sent.definitions else []


def _some(things: Sequence[T]) -> list[list[T]]:
    return [list(things[start : start + SOME]) for start in range(0, len(things), SOME)]


def _confirm(gone: Sequence[Applied]) -> None:
    counts = ((kind, sum(one.kind == kind for one in gone)) for kind in ("test", "variable"))
    what = " and ".join(counted(number, kind) for kind, number in counts if number)
    if not sys.stdin.isatty():
        raise UnusableError(f"--prune would delete {what}: --yes says that this is meant")
    click.confirm(f"Delete {what} and what is scheduled of {'it' if len(gone) == 1 else 'them'}?", abort=True)


def _show(plan: FilesPlan) -> None:
    for one in plan.planned:
        if one.change is not Change.UNCHANGED:
            sign, colour = _SIGNS[one.change]
            click.secho(f"{sign} {_named(one)}  {one.id or '(new)'}", fg=colour)
            for difference in one.differences:
                click.echo(f"    {printable(_line(difference))}")
        for note in one.notes:
            click.echo(f"    note: {printable(note)}")
    for gone in plan.gone:
        click.secho(f"- {_named(gone)}  {gone.id}", fg="red")
    click.echo(_summary(plan, done=False))


def _named(one: Planned | Applied) -> str:
    return f"variable {one.name}" if one.kind == "variable" else printable(one.name)


def _line(difference: Difference) -> str:
    before, after = difference.before, difference.after
    if before == after:
        return f"{difference.path}: changed, and not shown"
    if before is None:
        return f"{difference.path}: + {after}"
    return f"{difference.path}: - {before}" if after is None else f"{difference.path}: {before} → {after}"


def _summary(plan: FilesPlan, *, done: bool) -> str:
    counts = (
        ("added" if done else "to add", plan.count(Change.ADDED)),
        ("changed" if done else "to change", plan.count(Change.UPDATED)),
        ("deleted" if done else "to delete", len(plan.gone)),
        ("unchanged", plan.count(Change.UNCHANGED)),
    )
    return ", ".join(f"{number} {what}" for what, number in counts if number) or "nothing"
