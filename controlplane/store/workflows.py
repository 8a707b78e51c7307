"""Workflows at rest: a definition with its secrets, sealed and bound to its row, and the rows by which others find it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.actions.workflows import Workflow
from controlplane.errors import DatabaseError, NotFoundError
from controlplane.store.sealing import Sealer
from controlplane.store.workflowtables import (
    hook_bodies,
    workflow_hooks,
    workflow_starts,
    workflow_streaks,
    workflow_triggers,
    workflows,
)
from worker.secret import Secret

MOST_KNOWN = 20
"""Names in an error line."""


class StoredWorkflow(msgspec.Struct, frozen=True, kw_only=True):
    """The sealed part. *hooks* are ids and *tests* public ids, each by the number of its trigger, in decimal."""

    id: str
    workflow: Workflow
    hooks: dict[str, str] = {}
    tests: dict[str, str] = {}
    secrets: dict[str, Secret[str]] = {}
    paused: bool = False
    updated_at: int = 0
    updated_by: str = ""

    @property
    def name(self) -> str:
        return self.workflow.name


class _Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow as it is sealed: secrets as texts."""

    workflow: Workflow
    hooks: dict[str, str]
    tests: dict[str, str]
    secrets: dict[str, str]
    paused: bool


async def put(connection: AsyncConnection, sealer: Sealer, stored: StoredWorkflow) -> None:
    """Store a workflow, new or changed, with the rows of its hooks and triggers."""
    row = {
        "name": stored.name,
        "sealed": sealer.seal(_encoded(stored), _context(stored.id)),
        "updated_at": stored.updated_at,
        "updated_by": stored.updated_by,
    }
    changed = await connection.execute(update(workflows).where(workflows.c.id == stored.id).values(row))
    if changed.rowcount == 0:
        await connection.execute(insert(workflows).values({"id": stored.id, **row}))
    await _put_hooks(connection, stored)
    await _put_triggers(connection, stored)


def _encoded(stored: StoredWorkflow) -> bytes:
    return msgspec.json.encode(
        _Sealed(
            workflow=stored.workflow,
            hooks=stored.hooks,
            tests=stored.tests,
            secrets={name: secret.reveal() for name, secret in stored.secrets.items()},
            paused=stored.paused,
        )
    )


async def _put_hooks(connection: AsyncConnection, stored: StoredWorkflow) -> None:
    mine = workflow_hooks.c.workflow_id == stored.id
    known = set(await connection.scalars(select(workflow_hooks.c.id).where(mine)))
    wanted = set(stored.hooks.values())
    await connection.execute(delete(workflow_hooks).where(mine, workflow_hooks.c.id.not_in(sorted(wanted))))
    for hook in sorted(wanted - known):
        await connection.execute(insert(workflow_hooks).values(id=hook, workflow_id=stored.id))


async def _put_triggers(connection: AsyncConnection, stored: StoredWorkflow) -> None:
    """A trigger that is as it was keeps what it has seen: pushing a file again starts nothing."""
    mine = workflow_triggers.c.workflow_id == stored.id
    known = {row.number: dict(row._mapping) for row in await connection.execute(select(workflow_triggers).where(mine))}  # noqa: SLF001 - SQLAlchemy's public name
    wanted = {row["number"]: row for row in _trigger_rows(stored)}
    gone = [number for number, row in known.items() if wanted.get(number) != row]
    if gone:
        await connection.execute(delete(workflow_triggers).where(mine, workflow_triggers.c.number.in_(gone)))
        seen = workflow_streaks.c.workflow_id == stored.id
        await connection.execute(delete(workflow_streaks).where(seen, workflow_streaks.c.number.in_(gone)))
    new = [row for number, row in wanted.items() if known.get(number) != row]
    if new:
        await connection.execute(insert(workflow_triggers), new)


def _trigger_rows(stored: StoredWorkflow) -> Iterable[dict[str, Any]]:
    for number, trigger in enumerate(stored.workflow.triggers):
        if trigger.test is None or stored.paused:
            continue
        most, per_ms = trigger.test.rate or (0, 0)
        yield {
            "workflow_id": stored.id,
            "number": number,
            "test_id": stored.tests[str(number)],
            "transition": trigger.test.on,
            "after": trigger.test.after,
            "cooldown_ms": trigger.test.cooldown_ms,
            "most": most,
            "per_ms": per_ms,
        }


async def find(connection: AsyncConnection, sealer: Sealer, name: str) -> StoredWorkflow:
    """A workflow by its name or id. Raises NotFoundError, and DatabaseError where the row does not open."""
    which = or_(workflows.c.name == name, workflows.c.id == name)
    row = (await connection.execute(select(workflows).where(which).order_by(workflows.c.id))).first()
    if row is None:
        known = await connection.scalars(select(workflows.c.name).order_by(workflows.c.name).limit(MOST_KNOWN))
        raise NotFoundError("workflow", name, known=tuple(known))
    return _opened(row, sealer)


async def named(connection: AsyncConnection, sealer: Sealer, name: str) -> StoredWorkflow | None:
    """The workflow of exactly this name. Raises DatabaseError where its row does not open."""
    row = (await connection.execute(select(workflows).where(workflows.c.name == name))).one_or_none()
    return None if row is None else _opened(row, sealer)


async def list_all(connection: AsyncConnection, sealer: Sealer) -> Sequence[StoredWorkflow | str]:
    """Every workflow, by name; the name alone of one whose row does not open."""
    found: list[StoredWorkflow | str] = []
    for row in await connection.execute(select(workflows).order_by(workflows.c.name)):
        try:
            found.append(_opened(row, sealer))
        except DatabaseError:
            found.append(str(row.name))
    return found


async def remove(connection: AsyncConnection, workflow: str) -> None:
    """Delete a workflow with its hooks and triggers. Its runs stay."""
    for table in (workflow_triggers, workflow_streaks, workflow_starts):
        await connection.execute(delete(table).where(table.c.workflow_id == workflow))
    hooks = select(workflow_hooks.c.id).where(workflow_hooks.c.workflow_id == workflow)
    await connection.execute(delete(hook_bodies).where(hook_bodies.c.hook_id.in_(hooks.scalar_subquery())))
    await connection.execute(delete(workflow_hooks).where(workflow_hooks.c.workflow_id == workflow))
    await connection.execute(delete(workflows).where(workflows.c.id == workflow))


async def of_hook(connection: AsyncConnection, sealer: Sealer, hook: str) -> tuple[StoredWorkflow, int] | None:
    """The workflow of a hook, and the number of its trigger; None where its sealed part knows no such hook."""
    row = (
        await connection.execute(
            select(workflows)
            .join(workflow_hooks, workflow_hooks.c.workflow_id == workflows.c.id)
            .where(workflow_hooks.c.id == hook)
        )
    ).one_or_none()
    if row is None:
        return None
    try:
        stored = _opened(row, sealer)
    except DatabaseError:
        return None
    number = next((number for number, known in stored.hooks.items() if known == hook), None)
    return None if number is None else (stored, int(number))


async def taken(connection: AsyncConnection, hook: str, digest: str) -> tuple[str, int] | None:
    """The run that a signed body made, and when; None where it is new."""
    mine = (hook_bodies.c.hook_id == hook) & (hook_bodies.c.sha256 == digest)
    row = (await connection.execute(select(hook_bodies.c.run_id, hook_bodies.c.at).where(mine))).one_or_none()
    return None if row is None else (row.run_id, row.at)


async def take(connection: AsyncConnection, hook: str, digest: str, run: str, *, now: int) -> None:
    """Note that a signed body was taken."""
    await connection.execute(insert(hook_bodies).values(hook_id=hook, sha256=digest, run_id=run, at=now))


async def prune_bodies(connection: AsyncConnection, *, before: int, limit: int) -> int:
    """Forget bodies that were taken before *before*; how many there were."""
    old = select(hook_bodies.c.hook_id, hook_bodies.c.sha256).where(hook_bodies.c.at < before).limit(limit)
    gone = 0
    for row in (await connection.execute(old)).all():
        same = (hook_bodies.c.hook_id == row.hook_id) & (hook_bodies.c.sha256 == row.sha256)
        gone += (await connection.execute(delete(hook_bodies).where(same))).rowcount
    return gone


def _opened(row: Any, sealer: Sealer) -> StoredWorkflow:
    plain = sealer.open(row.sealed, _context(row.id)).reveal()
    try:
        found = msgspec.json.decode(plain, type=_Sealed)
    except msgspec.DecodeError as error:
        raise DatabaseError(f"the workflow {row.name!r} was stored by another version") from error
    if found.workflow.name != row.name:
        raise DatabaseError(f"the workflow {row.name!r} was stored under another name")
    return StoredWorkflow(
        id=row.id,
        workflow=found.workflow,
        hooks=found.hooks,
        tests=found.tests,
        secrets={name: Secret(text) for name, text in found.secrets.items()},
        paused=found.paused,
        updated_at=row.updated_at,
        updated_by=row.updated_by,
    )


def _context(workflow: str) -> str:
    return f"workflows.sealed:{workflow}"
