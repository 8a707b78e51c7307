"""Hooks: a request from elsewhere that starts a workflow, once its proof holds. The same signed body is taken once.

For ten minutes it is the run that it made, as senders repeat what they think was lost; after that it is a replay.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.actions import hooks
from controlplane.actions.hooks import HookFault
from controlplane.errors import HookRefusedError, UnusableError
from controlplane.service import runs, workflowruns
from controlplane.service.principal import Principal
from controlplane.service.steps import RunStart
from controlplane.store import actionruns, workflows
from controlplane.store.database import Database
from controlplane.store.workflows import StoredWorkflow
from worker.clock import Clock

SAME_MS = 10 * 60 * 1000
"""Milliseconds for which a signed body that comes again is the same request."""
REMEMBERED_MS = 400 * 24 * 3600 * 1000
"""Milliseconds for which a signed body is known as a replay: as long as the audit log is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRequest:
    """A request as it came: the *headers* of `actions.hooks.HEADERS` that it has."""

    hook: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HookTaken:
    """The end of a request: *result* is `accepted`, `repeated` or `greeted`, *run* the run's id, empty for the last.

    *runner* is the one that has a new task. *verify* is how the workflow's hook is proven.
    """

    workflow: str
    verify: hooks.Verification
    result: str
    run: str = ""
    runner: str = ""


async def receive(database: Database, clock: Clock, request: HookRequest) -> HookTaken:
    """Start the workflow of a hook.

    Raises HookRefusedError: 401 without a proof, 409 for a replay, 400 for what nothing can be started by.
    """
    async with database.read() as connection:
        found = await workflows.of_hook(connection, database.sealer, request.hook)
    if found is None:
        raise HookRefusedError(401, "wrong", "the proof does not hold")
    stored, number = found
    hook = stored.workflow.triggers[number].hook
    assert hook is not None, "of_hook finds hooks"
    now_s = epoch.milliseconds(clock) / 1000
    fault = hooks.check(hook.verify, stored.secrets[hook.secret].reveal(), request.headers, request.body, now_s=now_s)
    if fault is not None:
        reason = "the proof is too old" if fault is HookFault.STALE else "the proof does not hold"
        raise HookRefusedError(401, fault.value, reason, workflow=stored.name)
    try:
        event = hooks.fields(hook.verify, request.headers, request.body)
        taken = HookTaken(workflow=stored.name, verify=hook.verify, result="accepted")
        if hooks.is_greeting(hook.verify, request.headers, event):
            return replace(taken, result="greeted")
        start = workflowruns.triggered(stored, stored.workflow.triggers[number], event, number=number, client="hook")
        if not hooks.is_signed(hook.verify):
            start = replace(start, idempotency_key=_key(request), request_sha256=hashlib.sha256(request.body).digest())
        async with database.write() as connection:
            return await _take(connection, database, clock, request, start, taken)
    except UnusableError as error:
        raise HookRefusedError(400, "invalid", str(error), workflow=stored.name) from error


def _key(request: HookRequest) -> str | None:
    key = request.headers.get("Idempotency-Key")
    runs.check_key(key)
    return key


async def _take(
    connection: AsyncConnection,
    database: Database,
    clock: Clock,
    request: HookRequest,
    start: RunStart,
    taken: HookTaken,
) -> HookTaken:
    now = epoch.milliseconds(clock)
    digest = hashlib.sha256(request.body).hexdigest()
    signed = hooks.is_signed(taken.verify)
    earlier = await _earlier(connection, request, start, digest, taken, now)
    if earlier is not None:
        return replace(taken, result="repeated", run=earlier)
    await _still_there(connection, database, request, start.stored)
    by = Principal(name=f"hook of {taken.workflow}", via="api", scopes=frozenset())
    run = await workflowruns.begin(connection, database, by, start, now=now)
    if signed:
        await workflows.take(connection, request.hook, digest, run.id, now=now)
    return replace(taken, run=run.id, runner=run.runner)


async def _earlier(
    connection: AsyncConnection,
    request: HookRequest,
    start: RunStart,
    digest: str,
    taken: HookTaken,
    now: int,
) -> str | None:
    """The run that the same request made before. Raises HookRefusedError for a replay, and a key that has another body."""
    if hooks.is_signed(taken.verify):
        known = await workflows.taken(connection, request.hook, digest)
        if known is not None and abs(now - known[1]) > SAME_MS:
            raise HookRefusedError(409, "replayed", "this body was taken before", workflow=taken.workflow)
        return None if known is None else known[0]
    if start.idempotency_key is None:
        return None
    run = await actionruns.by_key(connection, by_kind="hook", by_id=taken.workflow, key=start.idempotency_key)
    if run is None:
        return None
    if now - run.created_at > runs.KEY_MS:
        await actionruns.forget_key(connection, run.id)
        return None
    if run.request_sha256 != start.request_sha256:
        reason = "the idempotency key stands for another body"
        raise HookRefusedError(409, "conflict", reason, workflow=taken.workflow)
    return run.id


async def _still_there(
    connection: AsyncConnection, database: Database, request: HookRequest, stored: StoredWorkflow
) -> None:
    """Raise HookRefusedError where the workflow was changed since it was read, or is paused."""
    again = await workflows.of_hook(connection, database.sealer, request.hook)
    if again is None or again[0] != stored:
        raise HookRefusedError(409, "changed", "the workflow was changed just now", workflow=stored.name)
    if stored.paused:
        raise HookRefusedError(409, "paused", "the workflow is paused", workflow=stored.name)
