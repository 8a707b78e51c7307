"""`alert`: what wakes people, and how it reaches them."""

from __future__ import annotations

import click

from controlplane.commands.channel import attempt, channel


@click.group()
def alert() -> None:
    """Alerts, and the channels by which they reach people."""


alert.add_command(channel)
alert.add_command(attempt)
