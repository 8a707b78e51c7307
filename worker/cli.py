"""The command line: what was asked for, done, and its exit code. The only place that ends the process.

Flags come from the option table (`sources` reads them, `reference` describes them), so no option is known here by name but those
that a command itself obeys. Results go to standard output, logs and complaints to standard error.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import NoReturn

import click
import uvloop

from worker import __version__, app
from worker.apitest.files import Definition, Unusable
from worker.clock import SystemClock
from worker.commands.check import as_line, check
from worker.commands.exits import DONE, FAILED, INTERRUPTED, UNUSABLE
from worker.commands.policy import policy
from worker.commands.validate import validate
from worker.config import Config, Loaded, LocalConfig, load, load_local
from worker.definitions import read_definitions
from worker.dump import dump
from worker.errors import ConfigError, ConfigErrors
from worker.log import configure
from worker.reference import help_text
from worker.sources import CommandLine, read_command_line

log = logging.getLogger(__name__)

PROGRAM = "synthetics-worker"

Serve = Callable[[Config, Sequence[str]], Coroutine[None, None, int]]
"""Serves a location until a signal and returns the exit code; the texts are warnings to log."""


def main() -> NoReturn:
    sys.exit(execute(sys.argv[1:]))


def execute(argv: Sequence[str], serve: Serve = app.run) -> int:
    """Do what *argv* asks for; the exit code."""
    try:
        return _execute(argv, serve)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        sys.stdout = None  # whoever read the results has gone, and Python would try to flush them once more
        return FAILED
    except Exception as error:  # the top of the process: say what is the operator's to mend, and what is our bug
        mistakes = _config_errors(error)
        if not mistakes:
            log.critical("a bug of the worker ended it", exc_info=error, extra={"action": "crashed"})
            return FAILED
        for mistake in mistakes:
            _complain(str(mistake))
        return UNUSABLE


def _execute(argv: Sequence[str], serve: Serve) -> int:
    line = read_command_line(argv)
    if "help" in line.switches:
        click.echo(help_text(shutil.get_terminal_size().columns), nl=False)
        return DONE
    if "version" in line.switches:
        click.echo(f"{PROGRAM} {__version__}")
        return DONE
    if "dumpConfig" in line.switches:
        click.echo(dump(load_local(argv).settings), nl=False)
        return DONE
    match line.command:
        case "validate":
            return _validate(line)
        case "check":
            return _check(line, argv)
        case "policy":
            return _policy(line, argv)
    loaded = load(argv)
    _log_to_stderr(loaded)
    return _run(serve(loaded.config, loaded.warnings))


def _validate(line: CommandLine) -> int:
    """Needs no config, and so reads none; flags must be right all the same."""
    if line.findings.mistakes:
        raise ConfigErrors(line.findings.mistakes)
    return validate(_found(line), as_json="json" in line.switches, show=click.echo, complain=_complain)


def _check(line: CommandLine, argv: Sequence[str]) -> int:
    loaded = load_local(argv)
    _log_to_stderr(loaded)
    _warn(loaded)
    shown = partial(as_line, as_json="json" in line.switches, colour=sys.stdout.isatty())
    checking = check(
        _found(line),
        partial(app.check, loaded.config),
        show=lambda outcome: click.echo(shown(outcome)),
        complain=_complain,
    )
    return _run(checking)


def _policy(line: CommandLine, argv: Sequence[str]) -> int:
    loaded = load_local(argv)
    _log_to_stderr(loaded)
    _warn(loaded)
    explaining = policy(
        line.operands,
        app.policy_of(loaded.config),
        app.resolver_of(loaded.config),
        SystemClock(),
        as_json="json" in line.switches,
        show=click.echo,
        complain=_complain,
    )
    return _run(explaining)


def _found(line: CommandLine) -> Iterable[Definition | Unusable]:
    return read_definitions(line.operands, sys.stdin.buffer)


def _run(work: Coroutine[None, None, int]) -> int:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def _log_to_stderr(loaded: Loaded[LocalConfig]) -> None:
    configure(loaded.config.log_format, loaded.config.verbosity, sys.stderr)


def _warn(loaded: Loaded[LocalConfig]) -> None:
    """What `run` says when it starts, for the commands that obey the same options."""
    for warning in (*loaded.warnings, *app.policy_of(loaded.config).warnings()):
        log.warning("%s", warning, extra={"action": "config_warning"})


def _config_errors(error: BaseException) -> list[ConfigError]:
    """The mistakes of the operator in *error*, which a TaskGroup may have wrapped."""
    match error:
        case ConfigErrors():
            return list(error.errors)
        case ConfigError():
            return [error]
        case BaseExceptionGroup():
            return [mistake for member in error.exceptions for mistake in _config_errors(member)]
    return []


def _complain(text: str) -> None:
    click.echo(f"{PROGRAM}: {text}", err=True)
