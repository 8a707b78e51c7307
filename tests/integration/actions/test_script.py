"""`script.runPredefinedScript` with real processes: no shell, no way out of the limits, and nothing left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.actions import RunnerOfOrders, allow_all, end_of_a_cancellation, token_file
from tests.support.waiting import until
from worker.actions.action import ActionOutcome, ActionStatus, Effect
from worker.sandbox.landlock import version
from worker.sandbox.supervised import SupervisedCommand, run_supervised

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="scripts need Linux")
confined = pytest.mark.skipif(version() < 4, reason="this kernel's Landlock does not know TCP")
PRINT = [sys.executable, "-I", "-S", "-c", "import sys; print(*map(ascii, sys.argv[1:]), sep='|')"]


def runner(
    tmp_path: Path, scripts: dict[str, Any], *, environment: dict[str, str] | None = None, **members: Any
) -> RunnerOfOrders:
    home = str(Path(sys.prefix).resolve())
    base = str(Path(sys.base_prefix).resolve())
    for script in scripts.values():
        script.setdefault("read", [home, base])
    (tmp_path / "scripts.yaml").write_text(
        json.dumps({"schemaId": "script-credentials-v1", "runPredefinedScript": scripts})
    )
    connections = {"ops": {"type": "script", "file": "scripts.yaml", **members}}
    return RunnerOfOrders(tmp_path, connections=connections, rules=allow_all("script.*"), environment=environment)


async def run(
    made: RunnerOfOrders, name: str, parameters: dict[str, Any] | None = None, **members: Any
) -> ActionOutcome:
    given = {"scriptName": name, "parameters": parameters or {}, **members}
    return await made.run("script.runPredefinedScript", given, connection="ops")


def detail(outcome: ActionOutcome) -> str:
    assert outcome.error is not None, outcome
    return outcome.error.detail


def marked(mark: str) -> list[int]:
    """The processes whose command line holds *mark*."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with suppress(OSError):
                if mark.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found


async def test_a_script_gets_its_parameters_and_a_small_environment(tmp_path: Path) -> None:
    code = "import os, json, sys; print(json.dumps([sys.argv[1], sys.stdin.read(), dict(os.environ), os.getcwd()]))"
    made = runner(
        tmp_path,
        {
            "show": {
                "command": [sys.executable, "-c", code, "{{ parameters.a.b }}"],
                "stdin": "parameters",
                "allowedEnvVars": ["LISTED"],
                "effect": "read",
            }
        },
        environment={"LISTED": "yes", "SECRET": "no"},
    )
    outcome = await run(made, "show", {"a": {"b": [1, "x"]}})
    argument, stdin, environment, directory = json.loads(outcome.outputs["stdout"])  # type: ignore[index]
    assert (argument, json.loads(stdin)) == ('[1,"x"]', {"a": {"b": [1, "x"]}})
    assert environment.pop("LC_CTYPE", None) in (None, "C.UTF-8")
    assert set(environment) == {"PATH", "HOME", "TMPDIR", "RUNNER_TASK_ID", "LISTED"}
    assert not Path(directory).exists()
    assert made.effects == [Effect.READ]


HOSTILE = [
    "; id",
    "$(id)",
    "`id`",
    "&& id",
    "| id",
    "> /tmp/x",
    "< /etc/shadow",
    "a\nb",
    "a\r\nb",
    "*",
    "?",
    "[a-z]*",
    "{a,b}",
    "~",
    "~root",
    "$HOME",
    "${HOME}",
    "$((1+1))",
    "%s%n",
    "\\",
    "\\n",
    "'",
    '"',
    "''",
    "' ; id '",
    "a b  c",
    "\t",
    " ",
    "é‹›",
    "\u202e",
    "!!",
    "#",
    "{{ parameters.x }}",
    "{{ 1 }}",
    "=cmd",
    "@file",
    "/../../etc/passwd",
    "\x1b[31m",
    "\x7f",
    "x" * 100_000,
]


async def test_no_parameter_reaches_a_shell(tmp_path: Path) -> None:
    """Check 21: each arrives as the one argument that it is."""
    made = runner(
        tmp_path, {"show": {"command": [*PRINT, *(f"{{{{ parameters.v[{n}] }}}}" for n in range(len(HOSTILE)))]}}
    )
    outcome = await run(made, "show", {"v": HOSTILE})
    assert outcome.outputs is not None, outcome
    assert outcome.outputs["stdout"] == "|".join(map(ascii, HOSTILE))


@pytest.mark.parametrize("value", ["-rf", "--help", "-", "a\0b", "x" * (1 << 20), "\ud800"])
async def test_a_parameter_that_no_argument_can_be_is_refused(tmp_path: Path, value: str) -> None:
    made = runner(tmp_path, {"show": {"command": [*PRINT, "{{ parameters.v }}"]}})
    outcome = await run(made, "show", {"v": value})
    assert detail(outcome) == "PARAMETERS"
    assert outcome.status is ActionStatus.FAILED


async def test_a_dash_is_taken_where_the_operator_says_so_and_a_path_that_is_not_there_never(tmp_path: Path) -> None:
    made = runner(tmp_path, {"show": {"command": [*PRINT, "{{ parameters.v }}"], "allowDash": True}})
    outcome = await run(made, "show", {"v": "--x"})
    assert outcome.outputs is not None, outcome
    assert outcome.outputs["stdout"] == "'--x'"
    assert detail(await run(made, "show", {"w": 1})) == "PARAMETERS"


async def test_parameters_are_checked_by_the_whole_schema(tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"v": {"pattern": "^[a-z]+$"}},
        "required": ["v"],
        "additionalProperties": False,
    }
    made = runner(tmp_path, {"show": {"command": [*PRINT, "{{ parameters.v }}"], "parameterSchema": schema}})
    assert detail(await run(made, "show", {"v": "a1"})) == "PARAMETERS"
    assert detail(await run(made, "show", {"v": "a", "w": 1})) == "PARAMETERS"
    assert (await run(made, "show", {"v": "ab"})).status is ActionStatus.SUCCEEDED
    assert detail(await run(made, "other")) == "NO_SCRIPT"


async def test_an_exit_code_is_a_failure_unless_asked_otherwise(tmp_path: Path) -> None:
    made = runner(
        tmp_path, {"fail": {"command": ["/bin/sh", "-c", "echo out; echo err >&2; exit 3"], "effect": "read"}}
    )
    failed = await run(made, "fail")
    taken = await run(made, "fail", noFailOnError=True, noStripTrailingNewline=True)
    assert (detail(failed), failed.status) == ("EXIT", ActionStatus.FAILED)
    assert "err" in str(failed.error)
    assert taken.outputs is not None
    assert (taken.outputs["exitCode"], taken.outputs["stdout"]) == (3, "out\n")


async def test_a_command_that_is_deaf_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    """A sleeping grandchild in a session of its own, and a program that does not hear SIGTERM."""
    mark = f"mark-{os.getpid()}-deaf"
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)', '{mark}'], start_new_session=True)\n"
        "print('ready', flush=True)\n"
        "time.sleep(1000)\n"
    )
    command = SupervisedCommand(
        argv=(sys.executable, "-c", code, mark),
        environment={},
        directory=str(tmp_path),
        read=("/",),
        write=("/dev/null",),
        notice_seconds=0.2,
    )
    ended = await run_supervised(command, seconds=0.7, max_output_bytes=1000)
    assert (ended.ended_by, ended.signal) == ("time", signal.SIGKILL)
    assert marked(mark) == []


async def test_a_script_that_outlasts_its_time_is_unknown(tmp_path: Path) -> None:
    made = runner(tmp_path, {"sleep": {"command": ["/bin/sleep", "1000"], "timeout": 3600}})
    outcome = await run(made, "sleep", timeout=0.1)
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code) == (ActionStatus.UNKNOWN, "TIMEOUT")
    assert outcome.error.may_have_run


@pytest.mark.parametrize(
    ("after", "status", "cause"),
    [
        ("kill -KILL $$", ActionStatus.UNKNOWN, ("ACTION", "KILLED")),
        ("exit 3", ActionStatus.FAILED, ("ACTION", "EXIT")),
        ("exit 0", ActionStatus.FAILED, ("OUTPUT_TOO_LARGE", "")),
    ],
)
async def test_outputs_that_are_too_large_to_leave_hide_no_other_end(
    tmp_path: Path, after: str, status: ActionStatus, cause: tuple[str, str]
) -> None:
    command = ["/bin/sh", "-c", f"head -c 1100000 /dev/zero; {after}"]
    outcome = await run(runner(tmp_path, {"large": {"command": command}}), "large")
    assert outcome.error is not None
    assert (outcome.status, (outcome.error.code, outcome.error.detail)) == (status, cause)
    assert (outcome.outputs, outcome.error.may_have_run) == (None, True)
    assert "bytes, more than 1048576" in outcome.error.message


async def test_a_cancelled_script_ends_at_once_with_its_grandchildren(tmp_path: Path) -> None:
    mark = f"mark-{os.getpid()}-cancel"
    started = tmp_path / "started"
    started.mkdir()
    command = ["/bin/sh", "-c", f"setsid sh -c 'sleep 1000; : {mark}' & touch {started}/yes; sleep 1000; : {mark}"]
    made = runner(tmp_path, {"sleep": {"command": command, "write": [str(started)], "timeout": 3600}})

    async def begin() -> asyncio.Task[ActionOutcome]:
        (started / "yes").unlink(missing_ok=True)
        running = asyncio.create_task(run(made, "sleep"))
        await until((started / "yes").exists)
        return running

    outcome = await end_of_a_cancellation(begin)
    assert outcome.error is not None
    assert outcome.error.may_have_run
    assert marked(mark) == []


async def test_a_daemon_does_not_outlive_its_script(tmp_path: Path) -> None:
    mark = f"mark-{os.getpid()}-daemon"
    command = ["/bin/sh", "-c", f"setsid sh -c 'sleep 1000; : {mark}' >/dev/null 2>&1 & echo done"]
    made = runner(tmp_path, {"daemon": {"command": command}})
    outcome = await run(made, "daemon")
    assert outcome.status is ActionStatus.SUCCEEDED, outcome
    assert marked(mark) == []


async def test_endless_output_is_counted_and_ended(tmp_path: Path) -> None:
    made = runner(tmp_path, {"endless": {"command": ["/bin/sh", "-c", "yes"], "timeout": 3600}})
    outcome = await run(made, "endless")
    assert (outcome.status, detail(outcome)) == (ActionStatus.UNKNOWN, "KILLED")


async def test_a_fork_bomb_is_bounded_and_cleared_away(tmp_path: Path) -> None:
    """As root the kernel counts no processes, so the script runs as another user there."""
    mark = f"mark-{os.getpid()}-bomb"
    code = f"import os, time\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        time.sleep(0.01)\n# {mark}"
    members: dict[str, Any] = {"user": "nobody"} if os.getuid() == 0 else {}
    tmp_path.chmod(0o755)
    made = runner(
        tmp_path,
        {
            "bomb": {
                "command": ["/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable, "-c", code]
            }
        },
        **members,
    )
    outcome = await run(made, "bomb", timeout=0.5)
    assert outcome.status is ActionStatus.UNKNOWN, outcome
    assert marked(mark) == []


@confined
async def test_what_the_runner_keeps_is_out_of_reach(tmp_path: Path) -> None:
    """Check 22: identity, credentials, other processes' environments, TCP; and a folder of its own is not."""
    token_file(tmp_path / "credentials.json", token="s3cret-of-the-crm")
    listener = socket.create_server(("127.0.0.1", 0))
    code = (
        "import os, socket, sys\n"
        "def attempt(what):\n"
        "    try:\n"
        "        what(); return 'open'\n"
        "    except OSError as error:\n"
        "        return error.strerror\n"
        f"print(attempt(lambda: open('{tmp_path}/credentials.json')))\n"
        f"print(attempt(lambda: os.listdir('{tmp_path}')))\n"
        f"print(attempt(lambda: open('/proc/{os.getpid()}/environ', 'rb').read()))\n"
        f"print(attempt(lambda: open('/proc/{os.getpid()}/mem', 'rb').read(1)))\n"
        f"print(attempt(lambda: os.kill({os.getpid()}, 0)))\n"
        f"print(attempt(lambda: socket.create_connection(('127.0.0.1', {listener.getsockname()[1]}))))\n"
        "print(attempt(lambda: open('own', 'w').write('x')))\n"
        "print(attempt(lambda: open('/proc/self/status').read()))\n"
    )
    made = runner(tmp_path, {"look": {"command": [sys.executable, "-c", code], "effect": "read"}})
    with listener:
        outcome = await run(made, "look")
    assert outcome.outputs is not None, outcome
    found = outcome.outputs["stdout"].splitlines()
    assert found[:3] == ["Permission denied"] * 3
    assert found[3] == "Permission denied"
    if version() >= 6:
        assert found[4] == "Operation not permitted"
    assert found[5:] == ["Permission denied", "open", "open"]


async def test_a_script_may_open_tcp_connections_where_its_entry_says_so(tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    code = f"import socket; socket.create_connection(('127.0.0.1', {listener.getsockname()[1]})); print('open')"
    made = runner(tmp_path, {"look": {"command": [sys.executable, "-c", code], "network": True}})
    with listener:
        outcome = await run(made, "look")
    assert outcome.outputs is not None, outcome
    assert outcome.outputs["stdout"] == "open"


async def test_the_test_of_a_connection_lists_its_scripts(tmp_path: Path) -> None:
    made = runner(tmp_path, {"one": {"command": ["/bin/true"]}})
    outcome = await made.run("script.testConnection", connection="ops")
    assert outcome.outputs is not None, outcome
    assert list(outcome.outputs["availableScripts"]) == ["one"]
    made = runner(tmp_path, {"one": {"command": ["/nonexistent/program"]}})
    assert detail(await made.run("script.testConnection", connection="ops")) == "NO_SCRIPT"
    assert (await run(made, "one")).status is ActionStatus.FAILED


async def test_two_scripts_do_not_share_a_folder_and_leave_none(tmp_path: Path) -> None:
    made = runner(tmp_path, {"pwd": {"command": ["/bin/sh", "-c", "touch x; pwd; ls"]}})
    outcomes = await asyncio.gather(run(made, "pwd"), run(made, "pwd"))
    assert [outcome.outputs["stdout"].splitlines()[1:] for outcome in outcomes if outcome.outputs] == [["x"], ["x"]]
    assert not list(tmp_path.glob("script-*"))
