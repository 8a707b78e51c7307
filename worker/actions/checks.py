"""`checks.run`: an API test, run once, now, from inside. Its runner is handed in; this module knows no test language."""

from __future__ import annotations

import asyncio
from typing import Final

from worker.actions.action import Action, ActionFailure, ActionOutcome, Effect, Input, Order, succeeded
from worker.actions.connection import ActionConnection
from worker.actions.tools import Tools
from worker.errors import TestError
from worker.schemas.schema import closed
from worker.text import cut


async def run(order: Order, _connection: ActionConnection | None, tools: Tools) -> ActionOutcome:
    """Carry out `checks.run`. A test that does not pass is a failure that keeps its outcome. Raises ActionFailure."""
    if tools.run_test is None:
        raise ActionFailure("RUNNER", "this runner runs no tests")
    try:
        async with asyncio.timeout(order.timeout):
            outcome = await tools.run_test(order.input["test"])
    except TimeoutError:
        raise ActionFailure("TIMEOUT", f"the test did not end within {order.timeout:g} s", retryable=True) from None
    except TestError as error:
        raise ActionFailure("INVALID_TEST", cut(str(error), 1000)) from None
    failure = outcome.get("failure")
    if outcome.get("status") == "passed" and failure is None:
        return succeeded(outcome)
    message = f"{failure['code']}: {failure['message']}" if failure else f"the test is {outcome.get('status')}"
    raise ActionFailure("CHECK", cut(message, 1000), outputs=outcome)


def _reads(_given: Input, _connection: ActionConnection | None) -> Effect:
    return Effect.READ


ACTIONS: Final = (
    Action(
        name="checks.run",
        summary="Run an API test once, from inside.",
        effects="read",
        effect=_reads,
        input_schema=closed({"test": {"type": "object", "description": "the definition of an API test"}}, "test"),
        output_schema={"type": "object", "description": "the outcome of a run, as in docs/protocol.md"},
        codes=("CHECK", "INVALID_TEST", "TIMEOUT", "RUNNER"),
        act=run,
    ),
)
