"""`test-connection NAME`: reach the service of one connection now, with its credentials. No policy is asked."""

from __future__ import annotations

import asyncio

import click

from worker.actionrunner.commands.context import CommandContext
from worker.actionrunner.connectiontest import check_connection
from worker.errors import ConfigError, ExitCode
from worker.text import json_line


@click.command("test-connection")
@click.argument("name")
@click.pass_context
def test_connection(ctx: click.Context, *, name: str) -> None:
    """Test one connection. Exit code 0 or 1, and 2 for a connection that cannot be used."""
    context = CommandContext(ctx.obj)
    connections = context.state().connections
    if name in connections.unusable:
        raise ConfigError(f"the connection {name} cannot be used: {connections.unusable[name]}")
    if name not in connections.usable:
        known = ", ".join(connections.usable) or "none"
        raise ConfigError(f"{name!r} is not a valid name of a connection; there are: {known}")
    outcome = asyncio.run(check_connection(connections.usable[name], context.tools(), context.environment))
    if outcome.error is not None:
        click.echo(f"{outcome.error.detail or outcome.error.code}: {outcome.error.message}", err=True)
        ctx.exit(ExitCode.FAILED)
    click.echo(json_line(outcome.outputs))
