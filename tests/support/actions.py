"""A runner's execution of orders for tests: real files, real processes and a real door that lets loopback through."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from tests.support.servers.door import nameservers
from worker.actionrunner.audit import AuditLog
from worker.actionrunner.doors import ActionDoors, EgressRules
from worker.actionrunner.execution import ActionExecution, Executed
from worker.actionrunner.localstate import LocalFiles, LocalPlaces
from worker.actions.action import ActionOutcome, ActionStatus, Effect, Order
from worker.actions.jq import ConfinedJq
from worker.actions.tools import TestRunner, Tools
from worker.clock import Clock, SystemClock
from worker.net.dns.resolver import Resolver

CANCEL_SECONDS = 1.0
"""From a cancellation to the outcome: what the contract promises (check 13)."""
CANCELLATIONS = 3
LOOPBACK = tuple(map(ip_network, ("127.0.0.0/8", "::1/128")))


def order(
    action: str,
    given: Mapping[str, Any] | None = None,
    *,
    connection: str | None = None,
    client: str = "cli",
    caller: str = "user/alice",
    select: str | None = None,
    timeout: float = 30.0,
    task: str = "5f0c5e0e-0b0e-4b4e-8d0c-0d9a3f1d2c3b",
) -> Order:
    return Order(
        task=task,
        run="run-1",
        action=action,
        connection=connection,
        input=dict(given or {}),
        client=client,
        caller=caller,
        select=select,
        timeout=timeout,
        issued_at=1_767_323_045_000,
        order_sha256="ab" * 32,
        kid="key-1",
    )


class RunnerOfOrders:
    """*connections* and *rules* are written as the operator's files; everything may be changed by writing them again."""

    def __init__(
        self,
        directory: Path,
        *,
        connections: Mapping[str, Any] | None = None,
        rules: Iterable[Mapping[str, Any]] = (),
        dns: Iterable[str] = (),
        clock: Clock | None = None,
        environment: Mapping[str, str] | None = None,
        modes: Iterable[str] = ("pull",),
        allow: Iterable[Any] = LOOPBACK,
        run_test: TestRunner | None = None,
        max_output_bytes: int = 1 << 20,
        task_seconds: float = 60.0,
    ) -> None:
        self.directory = directory
        self.clock = clock or SystemClock()
        self.write(connections or {}, rules)
        self.effects: list[Effect] = []
        self.executed: list[Executed] = []
        places = LocalPlaces(
            directory=directory,
            connections=directory / "connections.yaml",
            policy=directory / "policy.yaml",
            environment=environment or {},
        )
        self.files = LocalFiles(places, self.clock)
        self.audit_path = directory / "audit.log"
        self.doors = ActionDoors(EgressRules(allow=tuple(allow)), Resolver(nameservers(dns), ipv6=False), self.clock)
        self.execution = ActionExecution(
            modes=frozenset(modes),
            files=self.files,
            tools=Tools(
                doors=self.doors,
                clock=self.clock,
                jq=ConfinedJq(),
                run_test=run_test,
                max_output_bytes=max_output_bytes,
                work_directory=directory,
            ),
            audit=AuditLog(self.audit_path, self.clock),
            clock=self.clock,
            environment=environment or {},
            task_seconds=task_seconds,
            observe=self.executed.append,
        )

    def write(self, connections: Mapping[str, Any], rules: Iterable[Mapping[str, Any]]) -> None:
        (self.directory / "connections.yaml").write_text(json.dumps(connections))
        (self.directory / "policy.yaml").write_text(json.dumps({"rules": list(rules)}))

    async def run(self, action: str, given: Mapping[str, Any] | None = None, **facts: Any) -> ActionOutcome:
        return await self.execution.execute(order(action, given, **facts), before_acting=self._started)

    async def _started(self, effect: Effect) -> None:
        self.effects.append(effect)


def token_file(path: Path, **tokens: str) -> str:
    """A file of credentials with *tokens*, readable by its owner alone."""
    credentials = [{"tokenName": name, "tokenValue": value} for name, value in tokens.items()]
    path.write_text(json.dumps({"auth_type": "Token Auth", "credentials": credentials}))
    path.chmod(0o600)
    return str(path)


def allow_all(*actions: str) -> list[dict[str, Any]]:
    """A rule for each of *actions* that allows it, with every URL for HTTP requests."""
    return [
        {
            "name": f"rule-{index}",
            "allow": action,
            **({"when": {"url": {"schemes": ["http", "https"]}}} if action == "http.request" else {}),
        }
        for index, action in enumerate(actions)
    ]


async def end_of_a_cancellation(begin: Callable[[], Awaitable[asyncio.Task[ActionOutcome]]]) -> ActionOutcome:
    """The outcome of what *begin* has under way, cancelled: within `CANCEL_SECONDS`, once in `CANCELLATIONS` attempts.

    One may be late because the machine is busy; an action that waits for something is late each time.
    """
    took = []
    for _ in range(CANCELLATIONS):
        running = await begin()
        began = time.monotonic()
        running.cancel()
        outcome = await running
        took.append(time.monotonic() - began)
        assert outcome.status is ActionStatus.CANCELLED, outcome
        if took[-1] < CANCEL_SECONDS:
            return outcome
    raise AssertionError(f"cancelled in {took} seconds")
