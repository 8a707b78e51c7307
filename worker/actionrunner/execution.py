"""The execution of one order, from the check of its mode to the redacted outcome: checks 9 to 19, in order.

What stands before (signature, dates, replays) and the start record on disk are the executor's, who calls it. A check that fails
is an outcome with its code, and nothing later has been touched.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from worker.actions.action import ActionOutcome, Effect, Order
from worker.errors import SyntheticsError

BeforeActing: TypeAlias = Callable[[Effect], Awaitable[None]]
"""Check 16: puts on disk that an order is about to act. Raises NotStarted."""


class NotStarted(SyntheticsError):  # noqa: N818  # it is an order's end, and not a fault of the program
    """An order that may not act. *code* is that of the outcome (JOURNAL); the text says why."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        super().__init__(text)


class ActionExecution:
    """Carries out orders, many at once. A cancellation of `execute` ends what it does; the outcome is returned all the same."""

    async def execute(self, order: Order, *, before_acting: BeforeActing) -> ActionOutcome:
        """Raises nothing that an order, a target or a connection can cause."""
        raise NotImplementedError
