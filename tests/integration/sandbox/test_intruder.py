"""What code execution in a confined process cannot do, each attempt with its control: the same attempt, unconfined, succeeds.

`whole` is the confinement of evaluators, which are forked. Its parts are tried alone where another would hide that one fails.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import platform
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.sandbox.processes import serving, started
from tests.support.sandbox import MAY_BE_MISSING
from worker.sandbox import landlock
from worker.sandbox.process import Starter, python_module

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in {"x86_64", "aarch64"}, reason="no filter of system calls here"
)
LANDLOCK = pytest.mark.skipif(landlock.version() < 1, reason="this kernel has no Landlock, or a container forbids it")
SCOPES = pytest.mark.skipif(landlock.version() < 6, reason="this kernel's Landlock knows no signals")
PORTS = pytest.mark.skipif(landlock.version() < 4, reason="this kernel's Landlock knows no ports")

SECRET = b"a secret of the parent"
KILLED = f"killed by {signal.SIGSYS.name}"
GONE = "ended 0"


class Victim:
    """A process of the same user, which does nothing, and a piece of this process's memory."""

    def __init__(self) -> None:
        self.memory = ctypes.create_string_buffer(SECRET, len(SECRET))
        self.process = subprocess.Popen(["/bin/sleep", "600"])

    @property
    def pid(self) -> int:
        return self.process.pid

    def memory_at(self) -> tuple[int, int]:
        return os.getpid(), ctypes.addressof(self.memory)


@pytest.fixture
def victim() -> Iterator[Victim]:
    victim = Victim()
    yield victim
    victim.process.kill()
    victim.process.wait()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        yield server


@asynccontextmanager
async def starter(confined: str) -> AsyncIterator[Starter]:
    command = python_module("tests.integration.sandbox.intruder", confined)
    if confined == "whole":
        async with serving(command) as server:
            yield server
    else:
        yield command


@asynccontextmanager
async def intruder(confined: str) -> AsyncIterator[Any]:
    """A function that makes one attempt and returns what came of it: the answer, or the process's end."""
    async with starter(confined) as program, started(program) as (process, owner):
        assert set(json.loads(await owner.frame())) <= MAY_BE_MISSING

        async def attempt(name: str, *arguments: object) -> str:
            process.send(json.dumps([name, *arguments]).encode())
            answered = asyncio.create_task(owner.frame())
            died = asyncio.create_task(owner.death())
            await asyncio.wait({answered, died}, return_when=asyncio.FIRST_COMPLETED)
            if answered.done():
                died.cancel()
                return answered.result().decode()
            answered.cancel()
            code = process.exit_code
            assert code is not None
            return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended {code}"

        yield attempt


async def tried(confined: str, name: str, *arguments: object) -> str:
    async with intruder(confined) as attempt:
        return str(await attempt(name, *arguments))


async def control(name: str, *arguments: object) -> str:
    """The attempt without any confinement. Skips where the system forbids it to everybody, so that nothing can be compared."""
    outcome = await tried("free", name, *arguments)
    if outcome in {"EPERM", "EACCES", "ENOSYS"}:
        pytest.skip(f"this system forbids it to everybody: {outcome} (Yama, or a container's profile)")
    return outcome


async def test_it_cannot_read_its_parents_memory(victim: Victim) -> None:
    pid, address = victim.memory_at()
    assert await tried("whole", "read_memory", pid, address, len(SECRET)) == KILLED
    assert await control("read_memory", pid, address, len(SECRET)) == SECRET.decode()


async def test_it_cannot_write_its_parents_memory(victim: Victim) -> None:
    pid, address = victim.memory_at()
    assert await tried("whole", "write_memory", pid, address, "x") == KILLED
    assert victim.memory.raw == SECRET
    assert await control("write_memory", pid, address, "x") == "written"
    assert victim.memory.raw == b"x" + SECRET[1:]


async def test_it_cannot_open_its_parents_memory(victim: Victim) -> None:
    pid, address = victim.memory_at()
    assert await tried("whole", "read_memory_file", pid, address, len(SECRET)) == "EACCES"
    assert await control("read_memory_file", pid, address, len(SECRET)) == SECRET.decode()


async def test_it_cannot_trace_another_process(victim: Victim) -> None:
    assert await tried("whole", "trace", victim.pid) == KILLED
    assert await control("trace", victim.pid) == "traced"


async def test_it_cannot_signal_another_process(victim: Victim) -> None:
    assert await tried("whole", "send_signal", victim.pid, signal.SIGTERM) == KILLED
    assert await tried("whole", "send_signal", -1, 0) == KILLED
    assert await tried("whole", "send_signal", os.getpid(), 0) == KILLED
    assert victim.process.poll() is None
    assert await control("send_signal", victim.pid, signal.SIGTERM) == "sent"
    assert victim.process.wait(60) == -signal.SIGTERM


async def test_it_cannot_fork() -> None:
    assert await tried("whole", "fork") == KILLED
    assert await control("fork") == "forked"


async def test_it_cannot_start_a_thread() -> None:
    assert await tried("whole", "start_thread") == KILLED
    assert await control("start_thread") == "EINVAL"


async def test_it_cannot_execute_a_program() -> None:
    assert await tried("whole", "execute", "/bin/true") == KILLED
    assert await control("execute", "/bin/true") == GONE


async def test_it_cannot_unlink_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert await tried("whole", "unlink", str(file)) == KILLED
    assert file.exists()
    assert await control("unlink", str(file)) == "unlinked"
    assert not file.exists()


async def test_it_cannot_open_a_file_and_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("content")
    assert await control("open_file", str(file), os.O_RDONLY) == "content"
    async with intruder("whole") as attempt:
        assert await attempt("open_file", str(file), os.O_RDONLY) == "EACCES"
        assert await attempt("open_file", str(tmp_path / "new"), os.O_WRONLY | os.O_CREAT) == "EACCES"
        assert await attempt("look_at", str(file)) == "EACCES"
    assert not (tmp_path / "new").exists()


async def test_it_cannot_reach_the_network(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    assert await tried("whole", "connect", port) == KILLED
    with pytest.raises(BlockingIOError):
        listener.accept()
    assert await control("connect", port) == "connected"
    listener.accept()[0].close()


async def test_it_cannot_make_memory_executable() -> None:
    assert await tried("whole", "map_code") == KILLED
    assert await control("map_code") == "mapped"


async def test_it_cannot_lift_a_limit() -> None:
    assert await tried("whole", "lift_limit") == KILLED
    assert await control("lift_limit") == "lifted"


async def test_it_can_abort_as_a_library_does() -> None:
    assert await tried("whole", "abort") == f"killed by {signal.SIGABRT.name}"


@LANDLOCK
async def test_landlock_alone_keeps_it_from_files(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("content")
    async with intruder("landlock") as attempt:
        assert await attempt("open_file", str(file), os.O_RDONLY) == "EACCES"
        assert await attempt("open_file", str(tmp_path / "new"), os.O_WRONLY | os.O_CREAT) == "EACCES"
        assert await attempt("unlink", str(file)) == "EACCES"
        assert await attempt("execute", "/bin/true") == "EACCES"
        assert await attempt("look_at", str(file)) == str(len("content"))  # what Landlock does not govern
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@LANDLOCK
async def test_landlock_alone_keeps_it_from_tracing(victim: Victim) -> None:
    pid, address = victim.memory_at()
    async with intruder("landlock") as attempt:
        assert await attempt("trace", victim.pid) == "EPERM"
        assert await attempt("read_memory", pid, address, len(SECRET)) == "EPERM"


@SCOPES
async def test_landlock_alone_keeps_it_from_signals(victim: Victim) -> None:
    assert await tried("landlock", "send_signal", victim.pid, signal.SIGTERM) == "EPERM"
    assert victim.process.poll() is None


@PORTS
async def test_landlock_alone_keeps_it_from_ports(listener: socket.socket) -> None:
    assert await tried("landlock", "connect", listener.getsockname()[1]) == "EACCES"
