"""`synthetics-controlplane`: the options before a command, and the commands.

A command is imported when it is named: the web server alone takes longer to import than most commands take to run.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from controlplane.commands.reach import ca_option, url_option
from controlplane.commands.session import database_option
from worker import __version__
from worker.program.crashes import tell_of_crashes
from worker.program.hardening import protect_memory
from worker.program.summaries import SummarizedGroup

_COMMANDS = (
    "serve",
    "location",
    "test",
    "results",
    "alert",
    "maintenance",
    "apply",
    "export",
    "runner",
    "action",
    "app",
    "run",
    "workflow",
    "key",
    "user",
    "audit",
    "backup",
    "restore",
    "migrate",
)
"""Each in the module of its name, under its name."""


class Commands(SummarizedGroup):
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
@url_option
@ca_option
def main(database: str | None, url: str | None, ca_file: Path | None) -> None:  # noqa: ARG001 - the commands find them
    """The control plane that workers of private locations pull from: tests, schedules, results.

    Secrets in the database are sealed with a key that lies beside it (DATABASE.key), or in the file that
    CONTROLPLANE_KEY_FILE names, or in CONTROLPLANE_KEY (32 bytes in base64).

    All but `serve`, `backup`, `restore` and `migrate` work as well from afar: --url names a running control plane.
    """
    tell_of_crashes()
    protect_memory()  # before there is a secret in it
