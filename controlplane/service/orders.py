"""Orders: a wish to act is checked, signed with the key in force and queued as a task. Whoever calls has authorised it.

A test that is named in `checks.run` is put in here, as it is stored now: a runner knows no tests.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.actions.effects import shown_by
from controlplane.actions.states import TaskState
from controlplane.errors import DatabaseError, UnusableError
from controlplane.service import enrolments, runnerkeys, subtests, variables
from controlplane.service.runnerkeys import ORG
from controlplane.store import runners, tasks, tests
from controlplane.store.database import Database
from controlplane.store.runners import StoredRunner
from controlplane.store.tasks import ActionTask
from worker.wire import order
from worker.wire.order import OrderClient, OrderedBy, TaskOrder

MOST_OPEN = 10_000
"""Open tasks of one runner: more are not waiting for a runner, but for somebody to notice."""
_CHECK = "checks.run"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderWish:
    """One action that is to be done in *run*, as its task of this *number*."""

    run: str
    step: str = ""
    number: int = 1
    runner: StoredRunner
    action: str
    connection: str | None
    arguments: dict[str, Any]
    select: str | None
    client: OrderClient
    by: OrderedBy
    within_ms: int
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class SignedOrder:
    """A task and its token, to be stored together."""

    task: ActionTask
    token: str


async def runner(connection: AsyncConnection, database: Database, name: str) -> StoredRunner:
    """A runner that takes tasks. Raises NotFoundError, UnusableError."""
    found = await runners.find(connection, database.sealer, name)
    if "pull" not in found.modes:
        raise UnusableError(f"runner {found.name!r} takes requests of apps alone: its modes lack pull")
    if found.state in ("disabled", "revoked"):
        raise UnusableError(f"runner {found.name!r} is {found.state}")
    return found


async def sign(connection: AsyncConnection, database: Database, wish: OrderWish, *, now: int) -> SignedOrder:
    """Sign a wish with the key in force. Raises UnusableError, and NotFoundError for the test that it names."""
    if await tasks.count_open(connection, wish.runner.id) >= MOST_OPEN:
        raise UnusableError(f"runner {wish.runner.name!r} has {MOST_OPEN} tasks waiting or running")
    return await sign_order(
        connection,
        database,
        TaskOrder(
            task=str(uuid.uuid4()),
            run=wish.run,
            step=wish.step,
            org=ORG,
            aud=enrolments.urn(wish.runner),
            action=wish.action,
            connection=wish.connection,
            input=await _with_test(connection, wish),
            select=wish.select,
            client=wish.client,
            by=wish.by,
            iat=now,
            exp=now + wish.within_ms,
            timeout_ms=wish.timeout_ms,
        ),
        runner=wish.runner.id,
        number=wish.number,
    )


async def sign_order(
    connection: AsyncConnection, database: Database, claims: TaskOrder, *, runner: str, number: int
) -> SignedOrder:
    """Sign *claims* as they are. Raises UnusableError for what no runner would read."""
    keys = await runnerkeys.ensure(connection, database.sealer, now=claims.iat)
    try:
        token = order.sign(claims, keys.signing)
    except ValueError as error:
        raise UnusableError(str(error)) from error
    task = ActionTask(
        id=claims.task,
        run=claims.run,
        runner=runner,
        number=number,
        state=TaskState.QUEUED,
        effect=shown_by(claims.action, claims.input),
        order_sha256=order.payload_sha256(token),
        created_at=claims.iat,
        expires_at=claims.exp,
    )
    return SignedOrder(task, token)


async def queue(connection: AsyncConnection, database: Database, signed: SignedOrder) -> None:
    """Store a signed order, whose run is there."""
    await tasks.add_task(connection, database.sealer, signed.task, signed.token)


async def claims_of(connection: AsyncConnection, database: Database, task: ActionTask) -> TaskOrder:
    """The claims that were signed for *task*, by our own signature. Raises DatabaseError where it is not ours."""
    token = await tasks.order_of(connection, database.sealer, task.id)
    if token is None:
        raise DatabaseError(f"the stored order of task {task.id} does not open")
    return order.decode_unverified(token)


async def _with_test(connection: AsyncConnection, wish: OrderWish) -> dict[str, Any]:
    """The arguments, with the definition of a test that they name. Raises NotFoundError, ConflictError, UnusableError."""
    named = wish.arguments.get("test")
    if wish.action != _CHECK or not isinstance(named, str):
        return wish.arguments
    test = await tests.get(connection, named)
    taken = variables.used_by(test.definition)
    if taken:
        names = ", ".join(sorted(taken)[:10])
        raise UnusableError(f"test {named!r} takes the variables {names}: a runner is given none")
    definition = await subtests.whole(connection, json.loads(test.definition))
    return {**wish.arguments, "test": definition}
