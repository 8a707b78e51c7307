"""The tools that an action is handed: doors, a clock, processes that can be killed, the runner of tests. It makes none itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from worker.clock import Clock
from worker.net.door import Door


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRoute:
    """*named*: to a host that the operator wrote into a connection, so private address space is open.

    *ca_file* holds further authorities; *expired_allowed* forgives a certificate that its time is over, and nothing else.
    """

    named: bool = False
    ca_file: str | None = None
    expired_allowed: bool = False


class Doors(Protocol):
    """The ways to targets under the two policies of actions."""

    async def to(self, route: ActionRoute) -> Door:
        """Raises ActionFailure (TLS) where the authorities cannot be read."""
        ...


class JqProcess(Protocol):
    """Evaluates jq programs in a process that can be killed."""

    async def evaluate(self, program: str, value: Any, seconds: float) -> list[Any]:
        """All results of *program* for *value*. Raises JqError."""
        ...


TestRunner: TypeAlias = Callable[[Any], Awaitable[dict[str, Any]]]
"""Runs the API test of a definition once and returns its outcome as JSON; raises TestError for a definition that is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """*http_seconds* and *max_output_bytes* are the operator's caps; *work_directory* is where scripts get a folder each."""

    doors: Doors
    clock: Clock
    jq: JqProcess
    run_test: TestRunner | None = None
    http_seconds: float = 30.0
    max_output_bytes: int = 1 << 20
    work_directory: Path = Path("/tmp")  # noqa: S108  # folders in it are made by mkdtemp
