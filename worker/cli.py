"""The command line: what was asked for, done, and its exit code. The only place that ends the process.

Flags come from the option table (`sources` reads them, `reference` describes them), so no option is known here by name but those
that a command itself obeys. Results go to standard output, logs and complaints to standard error.

What a command needs is imported when it is asked for: a worker's parts take half a second, and `--help` needs none of them.
"""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from worker import __version__
from worker.config.sources import CommandLine, read_command_line
from worker.errors import ConfigError, ConfigErrors, ExitCode
from worker.program.crashes import tell_of_crashes
from worker.program.loading import without_collections
from worker.program.streams import hold_standard_streams

if TYPE_CHECKING:
    from worker.apitest.files import Definition, Unusable
    from worker.apitest.given import GivenVariables
    from worker.commands.check import RunTests
    from worker.commands.reports.choice import Output, Wanted
    from worker.config.load import Config, Loaded, LocalConfig

log = logging.getLogger(__name__)

PROGRAM = "synthetics-worker"

Serve: TypeAlias = "Callable[[Config, Sequence[str]], Coroutine[None, None, int]]"
"""Serves a location until a signal and returns the exit code; the texts are warnings to log."""


def main() -> NoReturn:
    hold_standard_streams()
    tell_of_crashes()
    sys.exit(execute(sys.argv[1:]))


def execute(argv: Sequence[str], serve: Serve | None = None) -> int:
    """Do what *argv* asks for, serving by *serve* instead of `start.run` where given; the exit code."""
    try:
        with without_collections():
            work = _prepared(argv, serve)
        return work()
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        sys.stdout = None  # whoever read the results has gone, and Python would try to flush them once more
        return ExitCode.FAILED
    except Exception as error:  # the top of the process: say what is the operator's to mend, and what is our bug
        mistakes = _config_errors(error)
        if not mistakes:
            log.critical("a bug of the worker ended it", exc_info=error, extra={"action": "crashed"})
            return ExitCode.FAILED
        for mistake in mistakes:
            _complain(str(mistake))
        return ExitCode.UNUSABLE


def _prepared(argv: Sequence[str], serve: Serve | None) -> Callable[[], int]:
    """The work that was asked for, with everything imported and read that it takes. Raises ConfigErrors."""
    line = read_command_line(argv)
    if "help" in line.switches:
        from worker.config.reference import help_text

        return partial(_say, help_text(shutil.get_terminal_size().columns))
    if "version" in line.switches:
        return partial(_say, f"{PROGRAM} {__version__}\n")
    if "dumpConfig" in line.switches:
        from worker.config.dump import dump
        from worker.config.load import load_local

        return partial(_say, dump(load_local(argv).settings))
    match line.command:
        case "validate":
            return _validate(line)
        case "check":
            return _check(line, argv)
        case "policy":
            return _policy(line, argv)
        case "spool":
            return _spool(line, argv)
        case "doctor":
            return _doctor(line, argv)
    return _serve(argv, serve)


def _serve(argv: Sequence[str], serve: Serve | None) -> Callable[[], int]:
    from worker.config.load import load
    from worker.program.hardening import protect_memory

    missing = protect_memory()  # before there is a secret in it
    loaded = load(argv)
    _log_to_stderr(loaded)
    for protection in missing:
        log.warning(
            "This system does not give the worker %s",
            protection,
            extra={"action": "protection_missing", "protection": protection},
        )
    if serve is not None:
        return lambda: _run(serve(loaded.config, loaded.warnings))
    from worker import start

    return lambda: _run(start.run(loaded.config, loaded.warnings))


def _validate(line: CommandLine) -> Callable[[], int]:
    """Needs no config, and so reads none; flags must be right all the same."""
    from worker.commands.validate import validate

    if line.findings.mistakes:
        raise ConfigErrors(line.findings.mistakes)
    as_json, allow_update = "json" in line.switches, "allowUpdate" in line.switches
    return lambda: validate(_found(line), as_json=as_json, allow_update=allow_update, show=_show, complain=_complain)


def _check(line: CommandLine, argv: Sequence[str]) -> Callable[[], int]:
    from worker import start
    from worker.commands.check import check
    from worker.commands.reports.choice import Wanted, chosen, mistakes

    loaded = _loaded(argv)
    wanted = Wanted(
        as_json="json" in line.switches,
        failures_only="failuresOnly" in line.switches,
        github="github" in line.switches,
        junit=line.values.get("junit", ""),
    )
    found = list(mistakes(wanted))
    if found:
        raise ConfigErrors(found)
    output = _output(wanted)
    given = _given(line)
    run: RunTests = partial(start.check, loaded.config, given=given)
    if "trace" in line.switches:
        run = _traced(loaded.config, _tell if wanted.as_json else output.show, given)
        output = replace(output, progress=None)  # a timeline comes line by line, at any time

    def once() -> Coroutine[None, None, int]:
        return check(_found(line), run, chosen(wanted, output))

    return _watched(line, once, output) if "watch" in line.switches else lambda: _run(once())


def _given(line: CommandLine) -> GivenVariables | None:
    """The variables on the command line. Raises ConfigErrors."""
    written, file = line.lists.get("variable", ()), line.values.get("variables", "")
    if not written and not file:
        return None
    from worker.commands.variables import given_variables

    return given_variables(written, file)


def _traced(config: LocalConfig, show: Callable[[str], None], given: GivenVariables | None) -> RunTests:
    from worker.clock import SystemClock
    from worker.commands.trace import trace
    from worker.net.trace import Timeline

    clock = SystemClock()
    return partial(trace, config, clock, Timeline(clock, show), given=given)


def _watched(line: CommandLine, once: Callable[[], Coroutine[None, None, int]], output: Output) -> Callable[[], int]:
    from worker.clock import SystemClock
    from worker.commands.definitions import STDIN
    from worker.commands.watch import watch

    if STDIN in line.operands:
        raise ConfigError("standard input cannot be watched: name a file", option="watch", place="flag")
    return lambda: _run(watch(line.operands, once, SystemClock(), output.complain))


def _output(wanted: Wanted) -> Output:
    """The two streams; people read standard error where a JUnit file takes the standard output."""
    from worker.commands.reports.choice import STREAM, Output
    from worker.commands.reports.people import Progress
    from worker.program.terminal import coloured, columns, rewritable

    aside = wanted.junit == STREAM
    stream = sys.stderr if aside else sys.stdout
    watched = rewritable(sys.stdout) and rewritable(sys.stderr) and not wanted.as_json
    return Output(
        show=_tell if aside else _show,
        complain=_complain,
        pour=_pour,
        colour=coloured(stream),
        width=columns(stream),
        progress=Progress(sys.stderr) if watched else None,
    )


def _policy(line: CommandLine, argv: Sequence[str]) -> Callable[[], int]:
    from worker.clock import SystemClock
    from worker.commands.policy import policy
    from worker.start import policy_of, resolver_of

    config = _loaded(argv).config
    judge, resolver, as_json = policy_of(config), resolver_of(config), "json" in line.switches
    return lambda: _run(
        policy(line.operands, judge, resolver, SystemClock(), as_json=as_json, show=_show, complain=_complain)
    )


def _spool(line: CommandLine, argv: Sequence[str]) -> Callable[[], int]:
    """Do it: to drop needs no config, and so reads none; to list needs the keys, and to push everything that a worker needs."""
    from worker.commands.spool import drop_spool, push_spool, show_spool

    action, room = line.operands[0] if line.operands else "", Path(line.operands[-1] if line.operands else "")
    if line.findings.mistakes:
        raise ConfigErrors(line.findings.mistakes)
    if action == "drop":
        return lambda: drop_spool(room, show=_show, complain=_complain)
    from worker.config.load import load

    loaded = load(argv)
    _log_to_stderr(loaded)
    if action == "push":
        return lambda: _run(push_spool(loaded.config, room, show=_show, complain=_complain))
    as_json = "json" in line.switches
    return lambda: show_spool(loaded.config, room, as_json=as_json, show=_show, complain=_complain)


def _doctor(line: CommandLine, argv: Sequence[str]) -> Callable[[], int]:
    """A config that no worker could serve with is a finding, as long as a test could be run with it."""
    from worker.clock import SystemClock
    from worker.commands.doctor import doctor
    from worker.config.load import load, load_local

    mistakes: Sequence[ConfigError] = ()
    loaded: Loaded[LocalConfig]
    try:
        loaded = load(argv)
    except ConfigErrors as error:
        loaded, mistakes = load_local(argv), error.errors
    _log_to_stderr(loaded)
    config, warnings, as_json = loaded.config, loaded.warnings, "json" in line.switches
    return lambda: _run(
        doctor(config, SystemClock(), mistakes=mistakes, warnings=warnings, as_json=as_json, show=_show)
    )


def _loaded(argv: Sequence[str]) -> Loaded[LocalConfig]:
    """The options of a command that runs no worker. What `run` says of them when it starts is said here, too."""
    from worker.config.load import load_local
    from worker.program.hardening import protect_memory
    from worker.start import policy_of

    protect_memory()
    loaded = load_local(argv)
    _log_to_stderr(loaded)
    for warning in (*loaded.warnings, *policy_of(loaded.config).warnings()):
        log.warning("%s", warning, extra={"action": "config_warning"})
    return loaded


def _found(line: CommandLine) -> Iterable[Definition | Unusable]:
    from worker.commands.definitions import read_definitions, with_subtests

    return with_subtests(read_definitions(line.operands, None if sys.stdin is None else sys.stdin.buffer))


def _run(work: Coroutine[None, None, int]) -> int:
    import asyncio

    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def _log_to_stderr(loaded: Loaded[LocalConfig]) -> None:
    from worker.telemetry.log import configure

    configure(loaded.config.log_format, loaded.config.verbosity, sys.stderr)


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


def _say(text: str) -> int:
    if sys.stdout is None:  # the shell's `>&-`
        raise BrokenPipeError
    sys.stdout.write(text)
    sys.stdout.flush()
    return ExitCode.DONE


def _show(text: str) -> None:
    """One result, at once: whoever reads may not wait for the last."""
    _say(f"{text}\n")


def _tell(text: str) -> None:
    """A line for people where programs have the standard output."""
    sys.stderr.write(f"{text}\n")


def _pour(document: bytes) -> None:
    if sys.stdout is None:
        raise BrokenPipeError
    sys.stdout.buffer.write(document)
    sys.stdout.buffer.flush()


def _complain(text: str) -> None:
    sys.stderr.write(f"{PROGRAM}: {text}\n")
