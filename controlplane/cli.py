"""`synthetics-controlplane`: the options before a command, and the commands.

A command is imported when it is named: the web server alone takes longer to import than most commands take to run.
"""

from __future__ import annotations

from importlib import import_module

import click

from controlplane.commands.session import database_option
from worker import __version__
from worker.program.hardening import protect_memory

_COMMANDS = ("serve", "location", "test", "results", "runner", "action", "run", "key", "audit", "backup", "migrate")
"""Each in the module of its name, under its name."""


class Commands(click.Group):
    """Click's own pattern of subcommands that are loaded late."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(import_module(f"controlplane.commands.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@database_option
def main(database: str | None) -> None:  # noqa: ARG001 - the commands find it in the context
    """The control plane that workers of private locations pull from: tests, schedules, results.

    Secrets in the database are sealed with a key that lies beside it (DATABASE.key), or in the file that
    CONTROLPLANE_KEY_FILE names, or in CONTROLPLANE_KEY (32 bytes in base64).
    """
    protect_memory()  # before there is a secret in it
