"""`script.runPredefinedScript` and `script.testConnection`: commands that the operator wrote down, with a task's parameters.

The command line is the operator's, element by element, and never passes a shell. It runs in a folder and an environment of
its own, under limits and without a way to what it was not granted, and nothing that it started outlives it.
"""

from __future__ import annotations

import shlex
import shutil
import signal
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from worker.actions.action import LONGEST_TIMEOUT, Action, ActionFailure, ActionOutcome, Effect, Input, Order, succeeded
from worker.actions.arguments import rendered
from worker.actions.connection import ActionConnection
from worker.actions.tools import Tools
from worker.sandbox.supervised import Ended, SupervisedCommand, run_supervised
from worker.schemas.schema import closed, violation
from worker.text import cut

MAX_OUTPUT_BYTES: Final = 10_000_000
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SYSTEM: Final = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt"),
    *(
        "/etc/alternatives",
        "/etc/ca-certificates",
        "/etc/fonts",
        "/etc/group",
        "/etc/host.conf",
        "/etc/hostname",
        "/etc/hosts",
    ),
    *(
        "/etc/ld.so.cache",
        "/etc/ld.so.conf",
        "/etc/ld.so.conf.d",
        "/etc/ld.so.preload",
        "/etc/locale.alias",
        "/etc/localtime",
    ),
    *("/etc/login.defs", "/etc/mime.types", "/etc/nsswitch.conf", "/etc/os-release", "/etc/passwd", "/etc/pki"),
    *("/etc/protocols", "/etc/resolv.conf", "/etc/services", "/etc/ssl", "/etc/terminfo", "/etc/timezone", "/etc/mtab"),
    *(
        "/proc/cpuinfo",
        "/proc/filesystems",
        "/proc/loadavg",
        "/proc/meminfo",
        "/proc/stat",
        "/proc/uptime",
        "/proc/version",
    ),
    *("/proc/sys", "/sys/devices/system/cpu", "/sys/fs/cgroup", "/run/systemd/resolve", "/dev/random", "/dev/urandom"),
)
"""Read by programs of a system, and without secrets: neither a home, nor the folder of a config, nor another process."""
DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty")


@dataclass(frozen=True, slots=True, kw_only=True)
class PredefinedScript:
    """One entry of a script file. *timeout* in seconds; without one the runner's cap holds."""

    command: tuple[str, ...]
    parameter_schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "object"})
    environment: tuple[str, ...] = ()
    effect: Effect = Effect.ONCE
    timeout: float | None = None
    stdin_parameters: bool = False
    network: bool = False
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    dash_allowed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptConnection(ActionConnection):
    """*user* is whom scripts run as, where the runner is root. *inherited* is what of the runner's environment they may see."""

    file: str
    scripts: Mapping[str, PredefinedScript]
    user: str | None = None
    inherited: Mapping[str, str] = field(default_factory=dict, repr=False)
    trouble: tuple[str, ...] = ()
    """Sentences about what isolation this system does not give."""


def script_of(given: Input, connection: ActionConnection | None) -> PredefinedScript | None:
    return connection.scripts.get(given.get("scriptName", "")) if isinstance(connection, ScriptConnection) else None


def effect(given: Input, connection: ActionConnection | None) -> Effect:
    script = script_of(given, connection)
    return Effect.ONCE if script is None else script.effect


def own_limit(given: Input, connection: ActionConnection | None) -> float | None:
    """The entry's time; a task may ask for less."""
    script, asked = script_of(given, connection), given.get("timeout")
    own = None if script is None else script.timeout
    if asked is None or own is None:
        return own
    return min(float(asked), own)


async def run(order: Order, connection: ActionConnection | None, tools: Tools) -> ActionOutcome:
    """Carry out `script.runPredefinedScript`. Raises ActionFailure."""
    assert isinstance(connection, ScriptConnection)
    name, parameters = order.input["scriptName"], order.input.get("parameters", {})
    script = connection.scripts.get(name)
    if script is None:
        raise ActionFailure(
            "NO_SCRIPT", f"{name[:80]!r} is not a valid name of a script in the connection {connection.name}"
        )
    broken = violation(script.parameter_schema, parameters)
    if broken is not None:
        raise ActionFailure("PARAMETERS", f"the parameters of {name} are not valid at {broken}")
    arguments = rendered(script.command, parameters, dash_allowed=script.dash_allowed)
    seconds = min(order.timeout, float(order.input.get("timeout", order.timeout)))
    began = tools.clock.monotonic_ns()
    directory = tempfile.mkdtemp(prefix="script-", dir=tools.work_directory)
    try:
        command = _command(order, connection, script, arguments, directory)
        ended = await run_supervised(command, seconds=seconds, max_output_bytes=MAX_OUTPUT_BYTES)
    except OSError as error:
        raise ActionFailure("KILLED", f"no process could be started: {error.strerror}", retryable=True) from None
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    milliseconds = (tools.clock.monotonic_ns() - began) // 1_000_000
    return _outcome(order, arguments, ended, milliseconds, seconds)


def _command(
    order: Order, connection: ScriptConnection, script: PredefinedScript, arguments: tuple[str, ...], directory: str
) -> SupervisedCommand:
    environment = {"PATH": PATH, "HOME": directory, "TMPDIR": directory, "RUNNER_TASK_ID": order.task}
    listed = {name: connection.inherited[name] for name in script.environment if name in connection.inherited}
    parameters = order.input.get("parameters", {})
    return SupervisedCommand(
        argv=arguments,
        environment=environment | listed,
        directory=directory,
        stdin=orjson.dumps(parameters).decode() if script.stdin_parameters else None,
        read=(*SYSTEM, *_files(script.command), *script.read),
        write=(*DEVICES, *script.write),
        network=script.network,
        user=connection.user,
    )


def _files(command: Sequence[str]) -> list[str]:
    """The files that the operator's own words name: the program and, of an interpreter, its script."""
    return [
        element for element in command if element.startswith("/") and "{{" not in element and Path(element).is_file()
    ]


def _outcome(
    order: Order, arguments: tuple[str, ...], ended: Ended, milliseconds: int, seconds: float
) -> ActionOutcome:
    outputs: dict[str, Any] = {
        "executedCommand": shlex.join(arguments),
        "exitCode": ended.exit_code,
        "stdout": _text(ended.stdout, order.input),
        "stderr": _text(ended.stderr, order.input),
        "durationMillis": milliseconds,
    }
    if ended.problem is not None:
        raise ActionFailure("KILLED", f"the script could not be executed: {ended.problem}", outputs=None)
    if ended.ended_by == "time":
        raise ActionFailure("TIMEOUT", f"the script did not end within {seconds:g} s", doubtful=True, outputs=outputs)
    if ended.ended_by == "output":
        message = f"the script wrote more than {MAX_OUTPUT_BYTES} bytes and was ended"
        raise ActionFailure("KILLED", message, doubtful=True)
    if ended.signal is not None:
        raise ActionFailure("KILLED", f"the script was ended by {_name(ended.signal)}", doubtful=True, outputs=outputs)
    if ended.exit_code and not order.input.get("noFailOnError", False):
        message = f"the script ended with {ended.exit_code}: {cut(outputs['stderr'], 750)}"
        raise ActionFailure("EXIT", message, outputs=outputs)
    return succeeded(outputs)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _text(output: bytes, given: Mapping[str, Any]) -> str:
    text = output.decode(errors="replace")
    return text if given.get("noStripTrailingNewline", False) else text.rstrip("\n")


async def check_connection(_order: Order, connection: ActionConnection | None, _tools: Tools) -> ActionOutcome:
    """Carry out `script.testConnection`: the scripts that there are, and what does not hold. Nothing is executed."""
    assert isinstance(connection, ScriptConnection)
    scripts = {
        name: {
            "command": [*script.command],
            "parameterSchema": script.parameter_schema,
            "allowedEnvVars": [*script.environment],
            "effect": script.effect,
        }
        for name, script in connection.scripts.items()
    }
    errors = [
        f"{name}: {script.command[0]} is not there"
        for name, script in connection.scripts.items()
        if shutil.which(script.command[0], path=PATH) is None
    ]
    outputs = {
        "configurationValid": not errors,
        "availableScripts": scripts,
        "errors": errors,
        "missing": [*connection.trouble],
    }
    if errors:
        raise ActionFailure("NO_SCRIPT", "; ".join(errors), outputs=outputs)
    return succeeded(outputs)


def _reads(_given: Input, _connection: ActionConnection | None) -> Effect:
    return Effect.READ


_TEXT: Final = {"type": "string"}
_OUTPUTS: Final = closed(
    {
        "executedCommand": _TEXT,
        "exitCode": {"type": "integer"},
        "stdout": _TEXT,
        "stderr": _TEXT,
        "durationMillis": {"type": "integer"},
    },
    "executedCommand",
    "exitCode",
    "stdout",
    "stderr",
    "durationMillis",
)
_AVAILABLE: Final = closed(
    {
        "configurationValid": {"type": "boolean"},
        "availableScripts": {"type": "object"},
        "errors": {"type": "array", "items": _TEXT},
        "missing": {"type": "array", "items": _TEXT, "description": "isolation that this system does not give"},
    },
    "configurationValid",
    "availableScripts",
    "errors",
    "missing",
)

ACTIONS: Final = (
    Action(
        name="script.runPredefinedScript",
        summary="Run a command of the runner's script file.",
        effects="its entry's, else once",
        effect=effect,
        input_schema=closed(
            {
                "scriptName": {"type": "string", "minLength": 1, "maxLength": 200},
                "parameters": {"type": "object"},
                "timeout": {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_TIMEOUT},
                "noFailOnError": {"type": "boolean", "default": False},
                "noStripTrailingNewline": {"type": "boolean", "default": False},
            },
            "scriptName",
        ),
        output_schema=_OUTPUTS,
        codes=("NO_SCRIPT", "PARAMETERS", "EXIT", "KILLED", "TIMEOUT"),
        act=run,
        connection=ScriptConnection,
        needs_connection=True,
        own_limit=own_limit,
    ),
    Action(
        name="script.testConnection",
        summary="List the scripts of a connection, and what isolation does not hold.",
        effects="read",
        effect=_reads,
        input_schema=closed({}),
        output_schema=_AVAILABLE,
        codes=("NO_SCRIPT",),
        act=check_connection,
        connection=ScriptConnection,
        needs_connection=True,
    ),
)
