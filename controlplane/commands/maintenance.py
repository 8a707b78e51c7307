"""`maintenance`: times that are planned, once or again and again, in which alerts are not told."""

from __future__ import annotations

import click

from controlplane.commands.alert import read_minutes
from controlplane.commands.listing import echo_table, echo_values
from controlplane.commands.reach import Reach, with_reach
from controlplane.operations import alerts
from controlplane.operations.alerts import AddSilence, ListSilences, RemoveSilences, ShownSilence
from worker.program.summaries import SummarizedGroup
from worker.text import printable


@click.group(cls=SummarizedGroup)
def maintenance() -> None:
    """Planned times in which alerts are not told. What still goes on at their end is told then."""


@maintenance.command()
@click.argument("name")
@click.option("--start", required=True, metavar="TIME", help="A local time of the zone: 2026-11-28T22:00.")
@click.option("--for", "length", required=True, help="How long: 30min, 2h, 1d.")
@click.option("--zone", default="UTC", show_default=True, help="A time zone, as Europe/Berlin.")
@click.option("--rrule", "rule", default="", help="When it comes again: FREQ=WEEKLY;BYDAY=SU (RFC 5545).")
@click.option("--test", help="Of one test, by its public id or name.")
@click.option("--tag", "tags", multiple=True, help="Of tests with this tag; several: with all of them.")
@with_reach
def add(
    reach: Reach, name: str, *, start: str, length: str, zone: str, rule: str, test: str | None, tags: tuple[str, ...]
) -> None:
    """Plan the maintenance NAME, of all tests unless a test or tags are named."""
    made = reach.ask(
        alerts.SILENCE,
        AddSilence(
            name=name,
            test=test,
            tags=list(tags),
            starts=start,
            zone=zone,
            minutes=read_minutes("--for", length),
            rule=rule,
        ),
    )
    click.echo(f"maintenance {printable(made.name)} is planned as {made.id}")


@maintenance.command("list")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@with_reach
def list_(reach: Reach, *, as_json: bool) -> None:
    """Show every planned time and every silence, and which of them hold now."""
    found = reach.ask(alerts.SILENCES, ListSilences())
    if as_json:
        from msgspec import to_builtins  # noqa: PLC0415 - for machines alone

        echo_values(map(to_builtins, found))
        return
    rows = [(*_row(one), "holds" if one.holds else "") for one in found]
    echo_table(("ID", "NAME", "OF", "STARTS", "FOR", "AGAIN", "NOW"), rows)


def _row(one: ShownSilence) -> tuple[str, ...]:
    planned = one.silence
    of = planned.test or ", ".join(planned.tags) or "(every test)"
    length = "until it is ended" if planned.minutes is None else f"{planned.minutes} min"
    return planned.id, planned.name, of, f"{planned.starts} {planned.zone}", length, planned.rule


@maintenance.command()
@click.argument("name", metavar="ID|NAME")
@with_reach
def remove(reach: Reach, name: str) -> None:
    """Take planned times away, by their id or name. What they kept from being told and still goes on is told."""
    for one in reach.ask(alerts.UNSILENCE, RemoveSilences(name)):
        click.echo(f"maintenance {printable(one.name)} is gone")
