"""All commands of this room, for the command line to register."""

from __future__ import annotations

from typing import Final

import click

from worker.actionrunner.commands.actions import actions
from worker.actionrunner.commands.auditing import audit
from worker.actionrunner.commands.explaining import explain, policy
from worker.actionrunner.commands.testing import test_connection

COMMANDS: Final[tuple[click.Command, ...]] = (actions, audit, explain, policy, test_connection)
