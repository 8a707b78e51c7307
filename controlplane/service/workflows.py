"""Workflows: keep a definition, list, show, pause and delete it. Nobody gives one an action that they may not order themselves.

Secrets of hooks come in with a definition and never go out again.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.actions import workflows
from controlplane.actions.workflows import Workflow
from controlplane.errors import UnusableError
from controlplane.service import audit
from controlplane.service.principal import KeyScope, Principal
from controlplane.store import runners, tests
from controlplane.store import workflows as stored_workflows
from controlplane.store.database import Database
from controlplane.store.workflows import StoredWorkflow
from worker.clock import Clock
from worker.schemas.schema import fault
from worker.secret import Secret

HOOK_BYTES = 16
"""Of a hook's id: nobody guesses one, though it is the signature that counts."""
SHORTEST_SECRET, LONGEST_SECRET = 16, 4096
"""Characters of a secret: Slack's have 32; a short one can be guessed from one signed body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedWorkflow:
    """A workflow as it was kept, and whether its name was new."""

    stored: StoredWorkflow
    is_new: bool


async def push(
    database: Database, clock: Clock, by: Principal, definition: Any, given: Mapping[str, Secret[str]]
) -> PushedWorkflow:
    """Keep *definition* under its name, with the secrets of its hooks that are *given* or were kept before.

    Raises UnusableError with the place of a mistake, NotFoundError for a runner or test, ForbiddenError for an action.
    """
    by.require(KeyScope.WRITE)
    workflow = workflows.read(definition)
    for step in workflow.steps:
        by.require_action(step.action)
    _check_schema(workflow.params)
    async with database.write() as connection:
        now = epoch.milliseconds(clock)
        known = await stored_workflows.named(connection, database.sealer, workflow.name)
        await _check_runners(connection, database, workflow)
        stored = StoredWorkflow(
            id=str(uuid.uuid4()) if known is None else known.id,
            workflow=workflow,
            hooks=_hooks(workflow, known),
            tests=await _tests(connection, workflow),
            secrets=_secrets(workflow, known, given),
            paused=known is not None and known.paused,
            updated_at=now,
            updated_by=by.name[:200],
        )
        await stored_workflows.put(connection, database.sealer, stored)
        before = None if known is None else _state(known)
        await audit.record(connection, by, "workflow.push", stored.name, before=before, after=_state(stored), now=now)
    return PushedWorkflow(stored=stored, is_new=known is None)


def _check_schema(schema: dict[str, Any]) -> None:
    if schema.get("type") != "object":
        raise UnusableError("params.type: is not valid: a workflow's parameters are an object")
    found = fault(schema)
    if found is not None:
        raise UnusableError(f"params: is not a valid JSON Schema: {found}")


async def _check_runners(connection: AsyncConnection, database: Database, workflow: Workflow) -> None:
    """Raises NotFoundError."""
    for name in dict.fromkeys((workflow.runner, *(step.runner for step in workflow.steps if step.runner))):
        await runners.find(connection, database.sealer, name)


async def _tests(connection: AsyncConnection, workflow: Workflow) -> dict[str, str]:
    """The public ids of the tests that triggers name. Raises NotFoundError, ConflictError."""
    return {
        str(number): (await tests.get(connection, trigger.test.id)).public_id
        for number, trigger in enumerate(workflow.triggers)
        if trigger.test is not None
    }


def _hooks(workflow: Workflow, known: StoredWorkflow | None) -> dict[str, str]:
    """The ids of hooks: one that is as it was keeps its address, wherever it stands now."""
    before = {}
    if known is not None:
        before = {known.workflow.triggers[int(number)].hook: hook for number, hook in known.hooks.items()}
    found: dict[str, str] = {}
    seen = []
    for number, trigger in enumerate(workflow.triggers):
        if trigger.hook is None:
            continue
        if trigger.hook in seen:
            raise UnusableError(f"triggers[{number}].hook: is the same as an earlier one")
        seen.append(trigger.hook)
        found[str(number)] = before.get(trigger.hook) or secrets.token_hex(HOOK_BYTES)
    return found


def _secrets(
    workflow: Workflow, known: StoredWorkflow | None, given: Mapping[str, Secret[str]]
) -> dict[str, Secret[str]]:
    for name, secret in given.items():
        if name not in workflow.secrets:
            raise UnusableError(f"secret {name!r}: no hook of this workflow names it")
        if not SHORTEST_SECRET <= len(secret.reveal()) <= LONGEST_SECRET:
            raise UnusableError(f"secret {name!r}: is not {SHORTEST_SECRET} to {LONGEST_SECRET} characters long")
    there = {**(known.secrets if known is not None else {}), **given}
    for name in workflow.secrets:
        if name not in there:
            raise UnusableError(f"secret {name!r}: a hook needs it; give it with --secret {name}=@FILE")
    return {name: there[name] for name in workflow.secrets}


async def list_all(database: Database, by: Principal) -> tuple[StoredWorkflow | str, ...]:
    """List every workflow, by name; the name alone of one whose row does not open."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        return tuple(await stored_workflows.list_all(connection, database.sealer))


async def show(database: Database, by: Principal, name: str) -> StoredWorkflow:
    """Read a workflow by its name or id. Raises NotFoundError."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        return await stored_workflows.find(connection, database.sealer, name)


async def set_paused(database: Database, clock: Clock, by: Principal, name: str, *, paused: bool) -> StoredWorkflow:
    """Let a workflow start nothing more, or start again. Raises NotFoundError."""
    by.require(KeyScope.WRITE)
    async with database.write() as connection:
        now = epoch.milliseconds(clock)
        known = await stored_workflows.find(connection, database.sealer, name)
        stored = msgspec.structs.replace(known, paused=paused, updated_at=now, updated_by=by.name[:200])
        await stored_workflows.put(connection, database.sealer, stored)
        action = "workflow.pause" if paused else "workflow.resume"
        await audit.record(connection, by, action, stored.name, now=now)
    return stored


async def delete(database: Database, clock: Clock, by: Principal, name: str) -> StoredWorkflow:
    """Delete a workflow and its hooks; its runs stay, and go on. Raises NotFoundError."""
    by.require(KeyScope.WRITE)
    async with database.write() as connection:
        known = await stored_workflows.find(connection, database.sealer, name)
        await stored_workflows.remove(connection, known.id)
        now = epoch.milliseconds(clock)
        await audit.record(connection, by, "workflow.delete", known.name, before=_state(known), now=now)
    return known


def _state(stored: StoredWorkflow) -> dict[str, Any]:
    definition: dict[str, Any] = msgspec.to_builtins(stored.workflow)
    return definition
