"""`alert route`: who is told of tests by their tags."""

from __future__ import annotations

import click

from controlplane.commands.listing import echo_table
from controlplane.commands.reach import Reach, with_reach
from controlplane.operations import alerts
from controlplane.operations.alerts import ListRoutes, PutRoute, RemoveRoute
from worker.program.summaries import SummarizedGroup
from worker.text import json_line, printable


@click.group(cls=SummarizedGroup)
def route() -> None:
    """Routes: the handles that are told of every test with some tags."""


@route.command("set")
@click.argument("name")
@click.argument("handles", nargs=-1, required=True, metavar="HANDLE…")
@click.option(
    "--tag", "tags", multiple=True, help="A tag that the test must bear; several: all of them. None: every test."
)
@with_reach
def set_(reach: Reach, name: str, handles: tuple[str, ...], *, tags: tuple[str, ...]) -> None:
    """Make the route NAME, or replace it. A HANDLE is a channel's name or an e-mail address, with or without @."""
    made = reach.ask(alerts.ROUTE, PutRoute(name=name, tags=list(tags), handles=list(handles)))
    of = f"tests with {', '.join(map(printable, made.tags))}" if made.tags else "every test"
    click.echo(f"route {made.name}: {of} is told to {', '.join('@' + handle for handle in made.handles)}")


@route.command("list")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@with_reach
def list_(reach: Reach, *, as_json: bool) -> None:
    """Show every route."""
    found = reach.ask(alerts.ROUTES, ListRoutes())
    if as_json:
        for one in found:
            click.echo(json_line({"name": one.name, "tags": list(one.tags), "handles": list(one.handles)}))
        return
    rows = [(one.name, ", ".join(one.tags) or "(every test)", ", ".join(one.handles)) for one in found]
    echo_table(("NAME", "TAGS", "TELLS"), rows)


@route.command()
@click.argument("name")
@with_reach
def remove(reach: Reach, name: str) -> None:
    """Take the route NAME away."""
    reach.ask(alerts.UNROUTE, RemoveRoute(name))
    click.echo(f"route {printable(name)} is gone")
