"""`alert`: the alerts that go on and those that were, how each was told, and who is told of the next ones."""

from __future__ import annotations

import click

from controlplane.commands.alertroute import route
from controlplane.commands.channel import attempt, channel
from controlplane.commands.durations import ago, milliseconds
from controlplane.commands.listing import echo_table, echo_values
from controlplane.commands.reach import Reach, with_reach
from controlplane.errors import UnusableError
from controlplane.operations import alerts, clock
from controlplane.operations.alerts import (
    AcknowledgeAlert,
    AddSilence,
    ListAlerts,
    ListTransitions,
    RemoveSilences,
    ShowAlert,
)
from controlplane.operations.clock import ReadClock
from controlplane.operations.operation import PlaneClient
from controlplane.service.alerts import AlertRecord, NumberedTransition
from controlplane.store.monitors import OngoingAlert
from worker.program.summaries import SummarizedGroup
from worker.text import json_line, printable


@click.group(cls=SummarizedGroup)
def alert() -> None:
    """Alerts, and the channels by which they reach people."""


@alert.command("list")
@click.option("--all", "everything", is_flag=True, help="What was decided, the newest first; not only what goes on.")
@click.option("--test", help="Of one test alone, by its public id or name; with --all.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="With --all.")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@with_reach
def list_(reach: Reach, *, everything: bool, test: str | None, limit: int, as_json: bool) -> None:
    """Show the alerts that go on, the oldest first."""
    if everything or test is not None:
        _list_decided(reach, limit, test, as_json=as_json)
        return
    ongoing, now = reach.run(_ongoing)
    if as_json:
        _print_json(ongoing)
        return
    rows = [(one.alert, one.test, one.name, ago(now - one.since), _state(one)) for one in ongoing]
    echo_table(("ALERT", "TEST", "NAME", "SINCE", "STATE"), rows)


def _list_decided(reach: Reach, limit: int, test: str | None, *, as_json: bool) -> None:
    found, now = reach.run(lambda client: _history(client, limit, test))
    if as_json:
        _print_json(found)
        return
    rows = [
        (ago(now - one.transition.at), one.transition.kind.value, one.transition.alert, one.transition.summary)
        for one in found
    ]
    echo_table(("DECIDED", "KIND", "ALERT", "WHAT"), rows)


def _print_json(found: tuple[OngoingAlert, ...] | tuple[NumberedTransition, ...]) -> None:
    from msgspec import to_builtins  # noqa: PLC0415 - for machines alone

    echo_values(map(to_builtins, found))


async def _ongoing(client: PlaneClient) -> tuple[tuple[OngoingAlert, ...], int]:
    return await client.ask(alerts.LIST, ListAlerts()), await client.ask(clock.READ, ReadClock())


async def _history(client: PlaneClient, limit: int, test: str | None) -> tuple[tuple[NumberedTransition, ...], int]:
    found = await client.ask(alerts.HISTORY, ListTransitions(limit=limit, test=test))
    return found, await client.ask(clock.READ, ReadClock())


def _state(one: OngoingAlert) -> str:
    if not one.test:
        return "notice"
    if one.location is not None:
        return f"no data from {one.location}"
    if not one.told:
        return f"silenced by {one.muted_by}"
    if one.acknowledged_by is not None:
        return f"acknowledged by {one.acknowledged_by}"
    return "alert" if not one.renotified else f"alert, repeated {one.renotified} times"


@alert.command()
@click.argument("name", metavar="ALERT|TEST")
@click.option("--json", "as_json", is_flag=True, help="One object.")
@with_reach
def show(reach: Reach, name: str, *, as_json: bool) -> None:
    """Show an alert, or the last one of a test: what was decided, who was told, and how far that is."""
    found, now = reach.run(lambda client: _show(client, name))
    if as_json:
        from msgspec import to_builtins  # noqa: PLC0415

        click.echo(json_line(to_builtins(found)))
        return
    click.echo(f"alert {found.alert}: {_state(found.ongoing) if found.ongoing else 'over'}")
    for told in found.transitions:
        decided = told.transition
        muted = f", silenced by {decided.muted_by}" if decided.muted_by else ""
        click.echo(f"\n{decided.kind.value}, {ago(now - decided.at)}{muted}: {printable(decided.summary)}")
        for one in told.notifications:
            reason = f": {printable(one.reason)}" if one.reason else ""
            click.echo(f"  @{printable(one.address)}: {one.state}, {one.attempts} attempts{reason}")


async def _show(client: PlaneClient, name: str) -> tuple[AlertRecord, int]:
    return await client.ask(alerts.SHOW, ShowAlert(name)), await client.ask(clock.READ, ReadClock())


@alert.command()
@click.argument("name", metavar="ALERT|TEST")
@with_reach
def ack(reach: Reach, name: str) -> None:
    """Say that somebody looks after an alert: it is repeated no more, and its end is told."""
    found = reach.ask(alerts.ACKNOWLEDGE, AcknowledgeAlert(name))
    click.echo(f"the alert of {printable(found.name)} is acknowledged by {found.acknowledged_by}")


@alert.command()
@click.argument("test", required=False)
@click.option("--tag", "tags", multiple=True, help="Of tests with this tag; several: with all of them.")
@click.option("--for", "length", help="How long: 30min, 2h, 7d. Without it: until `alert unsilence`.")
@click.option("--name", default="", help="What it is about.")
@with_reach
def silence(reach: Reach, test: str | None, *, tags: tuple[str, ...], length: str | None, name: str) -> None:
    """Keep alerts of TEST from being told from now on; without a test and a tag, all alerts."""
    made = reach.ask(
        alerts.SILENCE, AddSilence(name=name, test=test, tags=list(tags), minutes=read_minutes("--for", length))
    )
    click.echo(f"silence {made.id} of {printable(made.name)} holds; `alert unsilence {made.id}` ends it")


@alert.command()
@click.argument("name", metavar="SILENCE|TEST")
@with_reach
def unsilence(reach: Reach, name: str) -> None:
    """End silences by their id or name, or by the public id of their test. What still goes on is told within a second."""
    for one in reach.ask(alerts.UNSILENCE, RemoveSilences(name)):
        click.echo(f"silence {one.id} of {printable(one.name)} is over")


def read_minutes(option: str, text: str | None) -> int | None:
    """A length in whole minutes, None where none is said. Raises UnusableError."""
    if text is None:
        return None
    try:
        found = milliseconds(text)
    except ValueError as error:
        raise UnusableError(f"{option} {text[:40]!r} is not a valid length: expected one as 30min, 2h or 7d") from error
    if found % 60_000 or not found:
        raise UnusableError(f"{option} {text[:40]!r} is not a valid length: expected whole minutes")
    return found // 60_000


alert.add_command(channel)
alert.add_command(attempt)
alert.add_command(route)
