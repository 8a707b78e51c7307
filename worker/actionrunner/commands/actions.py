"""`actions [NAME]`: the catalogue, for people and as JSON Schemas."""

from __future__ import annotations

import sys

import click

from worker.actions.catalogue import CATALOGUE, described
from worker.errors import ExitCode
from worker.program.terminal import columns
from worker.text import json_line, nearest, table
from worker.wire.actionwords import plain_name


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@click.pass_context
def actions(ctx: click.Context, *, name: str | None, as_json: bool) -> None:
    """List the actions, or print all of one: its schemas, effect and codes."""
    if name is not None and plain_name(name) not in CATALOGUE:
        close = nearest(plain_name(name), CATALOGUE, likeness=0.6)
        hint = "" if close is None else f"; did you mean {close}?"
        click.echo(f"{name!r} is not a valid name of an action{hint}", err=True)
        ctx.exit(ExitCode.UNUSABLE)
    rows = described([CATALOGUE[plain_name(name)]] if name is not None else CATALOGUE.values())
    if as_json or name is not None:
        for row in rows:
            click.echo(json_line(row))
        return
    lines = [(row["name"], row["connection"] or "–", row["effect"], row["summary"]) for row in rows]
    click.echo(table(("ACTION", "CONNECTION", "EFFECT", "WHAT IT DOES"), lines, width=columns(sys.stdout)))
