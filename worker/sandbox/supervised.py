"""A command of an operator, run to its end: its output is counted while it is read, and nothing that it started is left.

It knows neither what the command is for nor what its output means. Between it and the command is `launcher`, a process that ends
everything when this one is gone.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from worker.sandbox.process import python_module

READ: Final = 64 * 1024
END_SECONDS: Final = 5.0
"""Seconds beyond a command's notice until its launcher is no longer asked: killing takes it milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisedCommand:
    """*argv* begins with an absolute path. Below *read* it may read and execute, below *write* and in *directory* all.

    *stdin* is its whole input; without one it has none. *user* is whom to become, which takes root.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str
    stdin: str | None = None
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    network: bool = False
    user: str | None = None
    notice_seconds: float = 5.0
    """From SIGTERM to SIGKILL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """*exit_code* is the command's, None where it ended by a *signal* or was never executed, for the *problem*.

    *ended_by*: `time` or `output` where a bound ended it. *missing*: limits that do not hold on this system.
    """

    exit_code: int | None
    signal: int | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    ended_by: str | None = None
    problem: str | None = None
    missing: tuple[str, ...] = ()


class _Output:
    """All that was read of both streams, up to a bound of both together."""

    def __init__(self, most: int) -> None:
        self.pieces: tuple[list[bytes], list[bytes]] = ([], [])
        self.full = asyncio.Event()
        self._left = most

    async def read(self, stream: asyncio.StreamReader, index: int) -> None:
        while data := await stream.read(READ):
            self._left -= len(data)
            if self._left < 0:
                self.full.set()  # the rest is read and dropped, so that the command does not hang on a full pipe
            else:
                self.pieces[index].append(data)


async def run_supervised(command: SupervisedCommand, *, seconds: float, max_output_bytes: int) -> Ended:
    """Run *command* for *seconds* at the most. Cancelled, it ends the command first. Raises OSError for a process that cannot
    be."""
    mine, its = os.pipe()
    try:
        process = await _start(its)
    except BaseException:
        os.close(mine)
        raise
    finally:
        os.close(its)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    output = _Output(max_output_bytes)
    process.stdin.write(json.dumps(asdict(command)).encode() + b"\n")
    reading = asyncio.gather(output.read(process.stdout, 0), output.read(process.stderr, 1), process.wait())
    ended_by = None
    try:
        ended_by = await _wait(reading, output, seconds)
        if ended_by is not None:
            await _end(process, reading, command.notice_seconds)
    except BaseException:
        await _end(process, reading, command.notice_seconds)
        os.close(mine)
        raise
    finally:
        process.stdin.close()
    return _ended(_report(mine), output, ended_by)


async def _start(report: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *python_module("worker.sandbox.launcher").arguments,
        str(report),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        pass_fds=(report,),
        env=python_module("worker.sandbox.launcher").environment,
        cwd="/",
        start_new_session=True,
    )


async def _wait(reading: asyncio.Future[Any], output: _Output, seconds: float) -> str | None:
    """Wait for the end, or for the bound that is reached first."""
    full = asyncio.ensure_future(output.full.wait())
    try:
        done, _ = await asyncio.wait((reading, full), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        full.cancel()
    if reading in done:
        return None
    return "output" if full in done else "time"


async def _end(process: asyncio.subprocess.Process, reading: asyncio.Future[Any], notice: float) -> None:
    """Have the launcher end the command and all it started: told first, killed later. Cancelled, it kills at
    once."""
    assert process.stdin is not None
    process.stdin.write(b"T")
    try:
        async with asyncio.timeout(notice + END_SECONDS):
            await asyncio.shield(reading)
    except TimeoutError:
        pass
    finally:
        process.stdin.close()  # its end is the word to kill
        await asyncio.shield(reading)


def _report(descriptor: int) -> dict[str, Any]:
    with open(descriptor, "rb") as file:
        content = file.read(READ)
    return json.loads(content) if content else {}


def _ended(report: Mapping[str, Any], output: _Output, ended_by: str | None) -> Ended:
    status, told = report.get("status"), report.get("problem", {})
    code = None if status is None else os.waitstatus_to_exitcode(status)
    problem = told.get("error")
    return Ended(
        exit_code=code if code is not None and code >= 0 and problem is None else None,
        signal=-code if code is not None and code < 0 else None,
        stdout=b"".join(output.pieces[0]),
        stderr=b"".join(output.pieces[1]),
        ended_by=ended_by,
        problem=problem or (None if report else "the launcher did not start"),
        missing=tuple(told.get("missing", ())),
    )
