"""`synthetics-controlplane`: the options before a command, and the commands. The only place that ends the process."""

from __future__ import annotations

from pathlib import Path

import click

from controlplane.commands.location import location
from controlplane.commands.results import results
from controlplane.commands.serve import serve
from controlplane.commands.session import database_option
from controlplane.commands.test import test
from worker import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@database_option
def main(database: Path | None) -> None:
    """What workers of private locations pull from: tests, schedules, results.

    Secrets in the database are sealed with a key that lies beside it (DATABASE.key), or in the file that
    CONTROLPLANE_KEY_FILE names, or in CONTROLPLANE_KEY (32 bytes in base64).
    """


for command in (serve, location, test, results):
    main.add_command(command)
