"""`private-action-runner`: serves where no command is named. Results go to standard output, all else to standard error.

A command is imported when it is named. The only place of this program that ends the process.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import NoReturn

import click

from worker import __version__
from worker.errors import ConfigError, ConfigErrors, ExitCode
from worker.program.crashes import tell_of_crashes
from worker.program.streams import hold_standard_streams
from worker.program.summaries import SummarizedGroup

PROGRAM = "private-action-runner"
_COMMANDS = {
    "actions": ("actions", "actions"),
    "audit": ("auditing", "audit"),
    "enroll": ("enroll", "enroll"),
    "explain": ("explaining", "explain"),
    "identity": ("identity", "identity"),
    "policy": ("explaining", "policy"),
    "status": ("status", "status"),
    "test-connection": ("testing", "test_connection"),
}
"""Each with the module of `commands` that has it, and its name there."""


class RunnerCommands(SummarizedGroup):
    """Click's own pattern of subcommands that are loaded late."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name]
        command = getattr(import_module(f"worker.actionrunner.commands.{module}"), name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=RunnerCommands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name=PROGRAM)
@click.option(
    "--config-dir",
    metavar="DIR",
    envvar="DD_PRIVATE_RUNNER_CONFIG_DIR",
    show_envvar=True,
    help="The folder of config.yaml, identity, connections and policy.  [default: /etc/dd-action-runner/config]",
)
@click.pass_context
def runner(context: click.Context, config_dir: str | None) -> None:
    """A runner of private actions: enrols itself, pulls signed orders, carries them out under a local policy, and reports.

    Without a command it serves, until a signal. Options are keys of config.yaml or ACTION_RUNNER_ variables: docs/actions.md.
    """
    context.obj = config_dir
    if context.invoked_subcommand is None:
        from worker.actionrunner.commands.serve import serve  # noqa: PLC0415 - see above

        context.exit(serve(config_dir))


def main() -> NoReturn:
    hold_standard_streams()
    tell_of_crashes()
    sys.exit(execute(sys.argv[1:]))


def execute(argv: list[str]) -> int:
    """Do what *argv* asks for; the exit code."""
    try:
        outcome = runner.main(argv, prog_name=PROGRAM, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except ConfigErrors as errors:
        for mistake in errors.errors:
            click.echo(f"{PROGRAM}: {mistake}", err=True)
        return ExitCode.UNUSABLE
    except ConfigError as mistake:
        click.echo(f"{PROGRAM}: {mistake}", err=True)
        return ExitCode.UNUSABLE
    return outcome if isinstance(outcome, int) else ExitCode.DONE


if __name__ == "__main__":
    main()
