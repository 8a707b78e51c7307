"""The program between a runner and a command of an operator: it sets limits, executes the command, and ends all that it started.

The command has a session, a working directory and an environment of its own, no new privileges, and no way to files, TCP
ports and processes but those it is granted. When it ends, when the runner says so, and when the runner is gone, every process
that it left is killed. Standard input is the line to the runner: a JSON object, then `T` for an end with notice; its end is
the runner's. The descriptor that the argument names takes one JSON object when all is over.
"""

from __future__ import annotations

import json
import os
import pwd
import resource
import select
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from worker.program.hardening import protect_memory
from worker.sandbox.confinement import die_with, forbid_privileges
from worker.sandbox.descendants import adopt_orphans, kill_all, signal_all
from worker.sandbox.killgroup import KillGroup, make_group
from worker.sandbox.landlock import restrict_to
from worker.sandbox.memory import go_first

MAX_PROCESSES: Final = 256
"""Beyond what the user of the command runs already."""
MAX_FILES: Final = 1024
MAX_FILE_BYTES: Final = 1 << 30
NOT_EXECUTED: Final = 127
"""The status of a child that could not become the command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """The command and its limits, as the runner sends them."""

    argv: list[str]
    environment: dict[str, str]
    directory: str
    stdin: str | None
    read: list[str]
    write: list[str]
    network: bool
    user: str | None
    notice_seconds: float


def main(report: int) -> None:
    os.set_inheritable(report, False)  # noqa: FBT003 - the standard library's signature
    launch = Launch(**json.loads(_line(0)))
    adopt_orphans()
    group = make_group()
    problem, tell = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        os.close(problem)
        if group is not None:
            group.enter()
        _become(launch, tell)
    # Not before the fork: a notice that comes while the child sets its limits must end it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    os.close(tell)
    for standard in (1, 2):
        os.close(standard)  # they are the command's: their end is the end of its output
    status = _watch(child, launch.notice_seconds, group)
    with suppress(OSError):
        os.write(report, json.dumps({"status": status, "problem": _rest(problem)}).encode())
    os._exit(0)


def _watch(child: int, notice: float, group: KillGroup | None) -> int | None:
    """Wait until *child* has ended, or its end is wanted, and leave nothing behind. Its status as `os.waitpid` has it."""
    handle = os.pidfd_open(child)
    ready, _, _ = select.select([handle, 0], [], [])
    if handle not in ready and os.read(0, 1):
        signal_all(os.getpid(), signal.SIGTERM)
        select.select([handle, 0], [], [], notice)
    pid, status = os.waitpid(child, os.WNOHANG)
    if group is not None:
        group.kill()
    killed = kill_all()  # and reap; without a group, the only way
    if group is not None:
        group.remove()
    return status if pid else killed.get(child)


def _become(launch: Launch, tell: int) -> NoReturn:
    """Set the limits and execute the command; tell why where that fails."""
    try:
        parent = os.getppid()
        os.setsid()
        os.chdir(launch.directory)
        os.umask(0o077)
        _connect(launch.stdin)
        missing = _limit(launch)
        if launch.user is not None:
            _switch(launch.user, launch.directory)
        die_with(parent)
        forbid_privileges()
        if not restrict_to(
            [*launch.read, f"/proc/{os.getpid()}"], [*launch.write, launch.directory], network=launch.network
        ):
            missing.append("Landlock")
        os.write(tell, json.dumps({"missing": missing}).encode())
        for number in range(1, signal.NSIG):
            with suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)
        os.execve(launch.argv[0], launch.argv, launch.environment)  # noqa: S606 - no shell is the point
    except OSError as error:
        os.write(tell, b"\n" + json.dumps({"error": error.strerror}).encode())
    finally:
        os._exit(NOT_EXECUTED)


def _limit(launch: Launch) -> list[str]:
    """Set the resource limits. Returns what does not hold here."""
    missing = []
    if not go_first():
        missing.append("an end before the runner's when memory runs out")
    missing += protect_memory()
    uid = os.getuid() if launch.user is None else pwd.getpwnam(launch.user).pw_uid
    for limit, most in (
        (resource.RLIMIT_NOFILE, MAX_FILES),
        (resource.RLIMIT_FSIZE, MAX_FILE_BYTES),
        (resource.RLIMIT_NPROC, _tasks_of(uid) + MAX_PROCESSES),
    ):
        try:
            resource.setrlimit(limit, (most, most))
        except (OSError, ValueError):
            missing.append("bounded files and processes")
    if uid == 0:
        missing.append("a bound on processes, which the kernel does not keep for root")
    return missing


def _switch(user: str, directory: str) -> None:
    """Become *user*, to whom the working directory is given."""
    entry = pwd.getpwnam(user)
    os.chown(directory, entry.pw_uid, entry.pw_gid)
    os.setgroups([entry.pw_gid])
    os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)


def _connect(stdin: str | None) -> None:
    """Standard input holds *stdin*, or nothing."""
    if stdin is None:
        source = os.open(os.devnull, os.O_RDONLY)
    else:
        source = os.memfd_create("stdin", os.MFD_CLOEXEC)
        os.write(source, stdin.encode())
        os.lseek(source, 0, os.SEEK_SET)
    os.dup2(source, 0)
    os.close(source)


def _tasks_of(uid: int) -> int:
    """The threads that *uid* runs, which is what RLIMIT_NPROC counts."""
    count = 0
    for entry in os.scandir("/proc"):
        with suppress(OSError):
            if entry.name.isdecimal() and entry.stat().st_uid == uid:
                count += len(os.listdir(f"/proc/{entry.name}/task"))  # noqa: PTH208 - names are enough
    return count


def _line(descriptor: int) -> bytes:
    """Up to the end of a line; nothing behind it is read."""
    line = bytearray()
    while (octet := os.read(descriptor, 1)) not in (b"\n", b""):
        line += octet
    return bytes(line)


def _rest(descriptor: int) -> dict[str, Any]:
    """All that the child told, one object a line."""
    with open(descriptor, "rb") as file:
        found: dict[str, Any] = {}
        for line in file.read().splitlines():
            found |= json.loads(line) if line else {}
        return found


if __name__ == "__main__":
    main(int(sys.argv[1]))
