"""`data.jq`, and `select` of every other action: a jq program in a process of its own that is confined and can be killed.

A program of a task has no bound of its own, neither in time nor in memory: it never runs in the runner itself. It reads no
file, no module and no environment. One process serves one program and ends.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import orjson

from worker.actions.action import Action, ActionFailure, ActionOutcome, Effect, Input, Order, succeeded
from worker.actions.connection import ActionConnection
from worker.actions.tools import Tools
from worker.errors import SyntheticsError
from worker.sandbox.process import Process, python_module
from worker.schemas.schema import closed

MAX_PROGRAM: Final = 16 * 1024
"""Characters of a program."""
MAX_RESULTS: Final = 10_000
MAX_RESULT_BYTES: Final = 8 << 20
MEMORY_BYTES: Final = 256 << 20
AT_ONCE: Final = 4
"""Processes at the same time: each may take a processor and its memory."""
START_SECONDS: Final = 20.0
"""Seconds for a start and for waiting on a busy machine: a hundred times what it takes on an idle one."""
WALL_FACTOR: Final = 4
LONGEST_SECONDS: Final = 10.0
"""Seconds of CPU for `data.jq`."""


class JqError(SyntheticsError):
    """A jq program that is not valid, fails on its value, or needs more than it may. The text is for its author."""


class ConfinedJq:
    """Starts a process for each program, a few at a time."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def evaluate(self, program: str, value: Any, seconds: float) -> list[Any]:
        """All results of *program* for *value*; *seconds* bound its CPU. Raises JqError."""
        if len(program) > MAX_PROGRAM:
            raise JqError(f"the program has {len(program)} characters, more than {MAX_PROGRAM}")
        async with self._turns:
            answer = await _Evaluation(seconds).run(orjson.dumps([program, value]))
        if "error" in answer:
            raise JqError(answer["error"])
        results: list[Any] = answer["results"]
        return results


class _Evaluation:
    """One process with one program."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._dead = asyncio.Event()

    async def run(self, task: bytes) -> dict[str, Any]:
        process = Process(self, MAX_RESULT_BYTES + 1024)
        try:
            bounds = map(str, (self._seconds, MEMORY_BYTES, MAX_RESULTS, MAX_RESULT_BYTES))
            await process.start(python_module("worker.actions.jq_program", *bounds))
        except OSError as error:
            raise JqError(f"no process could be started for the program: {error.strerror}") from None
        try:
            process.send(task)
            async with asyncio.timeout(START_SECONDS + WALL_FACTOR * self._seconds):
                answer: dict[str, Any] = orjson.loads(await self._answer)
                return answer
        except TimeoutError:
            raise JqError(f"the program did not end within {self._seconds:g} s of CPU") from None
        except ValueError:
            raise JqError("the program's process gave an answer that is none") from None
        finally:
            process.kill()
            await self._dead.wait()  # a killed process is gone as soon as the kernel has taken back its memory

    def on_frame(self, _process: Process, payload: bytes) -> None:
        if not self._answer.done():
            self._answer.set_result(payload)

    def on_death(self, process: Process) -> None:
        self._dead.set()
        if not self._answer.done():
            reason = (
                "its results are too large"
                if process.rejected
                else f"it needs more than {self._seconds:g} s or its memory"
            )
            self._answer.set_exception(JqError(f"the program was stopped: {reason}"))


async def evaluate(order: Order, _connection: ActionConnection | None, tools: Tools) -> ActionOutcome:
    """Carry out `data.jq`. Raises ActionFailure."""
    try:
        results = await tools.jq.evaluate(
            order.input["program"], order.input.get("value"), min(order.timeout, LONGEST_SECONDS)
        )
    except JqError as error:
        raise ActionFailure("JQ", str(error)) from None
    return succeeded({"value": results[0] if len(results) == 1 else results})


def _reads(_given: Input, _connection: ActionConnection | None) -> Effect:
    return Effect.READ


ACTIONS: Final = (
    Action(
        name="data.jq",
        summary="Apply a jq program to a value; several results come as a list.",
        effects="read",
        effect=_reads,
        input_schema=closed(
            {"program": {"type": "string", "minLength": 1, "maxLength": MAX_PROGRAM}, "value": {}}, "program"
        ),
        output_schema=closed({"value": {}}, "value"),
        codes=("JQ",),
        act=evaluate,
    ),
)
