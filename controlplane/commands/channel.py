"""`alert channel` and `alert test`: the ways in which alerts reach people, and a try of one of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from controlplane.alerts.channels import settings
from controlplane.alerts.channels.table import KINDS
from controlplane.commands.durations import ago
from controlplane.commands.listing import echo_table, echo_values
from controlplane.commands.reach import Reach, with_reach
from controlplane.errors import UnusableError
from controlplane.operations import channels, clock
from controlplane.operations.channels import (
    CreateChannel,
    DeleteChannel,
    ListChannels,
    ReadNotification,
    TryChannel,
)
from controlplane.operations.clock import ReadClock
from controlplane.operations.operation import PlaneClient
from controlplane.service.channels import ShownChannel
from controlplane.store.notifications import DELIVERED, QUEUED, NotificationState
from worker.clock import Clock, SystemClock
from worker.program.summaries import SummarizedGroup

WAIT_SECONDS = 30.0
"""For the state of a try: longer than one attempt takes."""
LOOK_SECONDS = 0.5
MAX_FILE_BYTES = 64 * 1024


@click.group(cls=SummarizedGroup)
def channel() -> None:
    """Channels: the ways in which alerts reach people."""


@channel.command()
@click.argument("name")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("written", nargs=-1, metavar="MEMBER=VALUE…")
@with_reach
def add(reach: Reach, name: str, kind: str, written: tuple[str, ...]) -> None:
    """Make the channel NAME. Alerts reach it by @NAME in a test's message.

    A value that begins with env: names a variable of the environment, one with @ a file, - is standard input: a secret on a
    command line is seen by everybody on the machine. Several values have commas between them: to=a@example.com,b@example.com.
    A member of a member has a dot before it: headers.X-Token=env:TOKEN.
    """
    sent = {"type": kind, **read_settings(written, os.environ)}  # noqa: TID251 - a command's edge
    made = reach.ask(channels.CREATE, CreateChannel(name=name, settings=sent))
    click.echo(f"channel {made.name!r} is there; `alert test {made.name}` tries it")


@channel.command("list")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@with_reach
def list_(reach: Reach, *, as_json: bool) -> None:
    """Show every channel, without its secrets."""
    found, now = reach.run(_list)
    if as_json:
        echo_values(map(_as_json, found))
        return
    rows = [(one.name, one.kind, _summary(one), ago(now - one.created_at), one.created_by) for one in found]
    echo_table(("NAME", "KIND", "SETTINGS", "CREATED", "BY"), rows)


@channel.command()
@click.argument("name")
@with_reach
def delete(reach: Reach, name: str) -> None:
    """Delete the channel NAME. What waits for it is given up."""
    gone = reach.ask(channels.DELETE, DeleteChannel(name=name))
    click.echo(f"channel {gone.name!r} is deleted")


@click.command("test")
@click.argument("name")
@with_reach
def attempt(reach: Reach, name: str) -> None:
    """Send a message through the channel NAME, by the control plane that serves, and say what became of it.

    Exit 1 where it was not delivered.
    """

    async def tried(client: PlaneClient) -> NotificationState:
        queued = await client.ask(channels.TRY, TryChannel(name=name))
        return await _ended(client, queued.key, SystemClock())

    found = reach.run(tried)
    if found.state == DELIVERED:
        click.echo(f"delivered{f'; {found.reason}' if found.reason else ''}")
        return
    if found.state == QUEUED and not found.attempts:
        click.echo("nobody has taken it from the queue yet: is a `serve` of this database running?")
    else:
        click.echo(f"{'not delivered yet' if found.state == QUEUED else 'given up'}: {found.reason or 'no answer yet'}")
    click.get_current_context().exit(1)


def read_settings(written: tuple[str, ...], environment: Mapping[str, str]) -> dict[str, Any]:
    """The settings that MEMBER=VALUE texts say. Raises UnusableError."""
    pairs = [settings.pair(text) for text in written]
    return settings.structured((member, _value(member, text, environment)) for member, text in pairs)


def _value(member: str, text: str, environment: Mapping[str, str]) -> str:
    if text.startswith("env:"):
        name = text.removeprefix("env:")
        if name not in environment:
            raise UnusableError(f"{member}: the environment has no {name}")
        return environment[name]
    if text == "-":
        return sys.stdin.read(MAX_FILE_BYTES).rstrip("\r\n")
    return _content(member, Path(text[1:])) if text.startswith("@") else text


def _content(member: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES).decode().rstrip("\r\n")
    except OSError as error:
        raise UnusableError(f"{member}: {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UnusableError(f"{member}: {path}: is not valid text in UTF-8") from error


async def _list(client: PlaneClient) -> tuple[tuple[ShownChannel, ...], int]:
    return await client.ask(channels.LIST, ListChannels()), await client.ask(clock.READ, ReadClock())


async def _ended(client: PlaneClient, key: str, patience: Clock) -> NotificationState:
    """The notification once its first attempt has ended, or after `WAIT_SECONDS`."""
    until = patience.monotonic_ns() + round(WAIT_SECONDS * 1e9)
    while True:
        found = await client.ask(channels.READ, ReadNotification(key=key))
        if found.state != QUEUED or found.reason or patience.monotonic_ns() >= until:
            return found
        await patience.sleep(LOOK_SECONDS)


def _summary(one: ShownChannel) -> str:
    said = {name: value for name, value in one.settings.items() if value not in (None, "", [], {}, 0)}
    return ", ".join(f"{name}={_short(value)}" for name, value in said.items())


def _short(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | dict) else str(value)


def _as_json(one: ShownChannel) -> dict[str, object]:
    return {
        "name": one.name,
        "kind": one.kind,
        "settings": one.settings,
        "created_at": one.created_at,
        "created_by": one.created_by,
    }
