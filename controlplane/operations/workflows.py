"""Operations on workflows. Secrets of hooks go in, and never out."""

from __future__ import annotations

from typing import Any

import msgspec

from controlplane.operations.operation import Operation
from controlplane.service import workflows
from controlplane.service.principal import KeyScope, Principal
from controlplane.store.database import Database
from controlplane.store.workflows import StoredWorkflow
from worker.clock import Clock
from worker.secret import Secret

HOOKS = "/hooks/"
"""The path before a hook's id."""


class PushWorkflow(msgspec.Struct, frozen=True):
    """*definition* as docs/workflows.md has it, *secrets* by the names that its hooks say."""

    definition: dict[str, Any]
    secrets: dict[str, Secret[str]] = {}


class ListWorkflows(msgspec.Struct, frozen=True):
    """A question without members: there are few."""


class ShowWorkflow(msgspec.Struct, frozen=True):
    """*workflow* is a name or an id."""

    workflow: str


class PauseWorkflow(msgspec.Struct, frozen=True):
    workflow: str
    paused: bool


class DeleteWorkflow(msgspec.Struct, frozen=True):
    workflow: str


class ShownHook(msgspec.Struct, frozen=True, kw_only=True):
    """The *path* below the control plane's URL that a sender is given."""

    verify: str
    secret: str
    path: str


class ShownWorkflow(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow without its secrets. *readable* is false where its row was not stored by us: it starts nothing."""

    id: str
    name: str
    definition: dict[str, Any] = {}
    hooks: tuple[ShownHook, ...] = ()
    paused: bool = False
    updated_at: int = 0
    updated_by: str = ""
    readable: bool = True
    is_new: bool = False


def _shown(stored: StoredWorkflow, *, is_new: bool = False) -> ShownWorkflow:
    hooks = []
    for number, hook in stored.hooks.items():
        trigger = stored.workflow.triggers[int(number)].hook
        assert trigger is not None, "hooks are kept by the numbers of their triggers"
        hooks.append(ShownHook(verify=trigger.verify, secret=trigger.secret, path=f"{HOOKS}{hook}"))
    return ShownWorkflow(
        id=stored.id,
        name=stored.name,
        definition=msgspec.to_builtins(stored.workflow),
        hooks=tuple(hooks),
        paused=stored.paused,
        updated_at=stored.updated_at,
        updated_by=stored.updated_by,
        is_new=is_new,
    )


async def _push(database: Database, clock: Clock, by: Principal, sent: PushWorkflow) -> ShownWorkflow:
    pushed = await workflows.push(database, clock, by, sent.definition, sent.secrets)
    return _shown(pushed.stored, is_new=pushed.is_new)


async def _list(database: Database, _clock: Clock, by: Principal, _sent: ListWorkflows) -> tuple[ShownWorkflow, ...]:
    return tuple(
        ShownWorkflow(id="", name=one, readable=False) if isinstance(one, str) else _shown(one)
        for one in await workflows.list_all(database, by)
    )


async def _show(database: Database, _clock: Clock, by: Principal, sent: ShowWorkflow) -> ShownWorkflow:
    return _shown(await workflows.show(database, by, sent.workflow))


async def _pause(database: Database, clock: Clock, by: Principal, sent: PauseWorkflow) -> ShownWorkflow:
    return _shown(await workflows.set_paused(database, clock, by, sent.workflow, paused=sent.paused))


async def _delete(database: Database, clock: Clock, by: Principal, sent: DeleteWorkflow) -> ShownWorkflow:
    return _shown(await workflows.delete(database, clock, by, sent.workflow))


PUSH: Operation[PushWorkflow, ShownWorkflow] = Operation(
    name="workflows/push",
    about="Keep a workflow under its name. The caller's key has `action/…` for each of its steps.",
    sent=PushWorkflow,
    reply=ShownWorkflow,
    run=_push,
    scopes=(KeyScope.WRITE,),
)
LIST: Operation[ListWorkflows, tuple[ShownWorkflow, ...]] = Operation(
    name="workflows/list",
    about="List workflows, with their definitions and hooks.",
    sent=ListWorkflows,
    reply=tuple[ShownWorkflow, ...],
    run=_list,
    scopes=(KeyScope.READ,),
)
SHOW: Operation[ShowWorkflow, ShownWorkflow] = Operation(
    name="workflows/show",
    about="Show a workflow, with its definition and hooks.",
    sent=ShowWorkflow,
    reply=ShownWorkflow,
    run=_show,
    scopes=(KeyScope.READ,),
)
PAUSE: Operation[PauseWorkflow, ShownWorkflow] = Operation(
    name="workflows/pause",
    about="Let a workflow start nothing more, or start again.",
    sent=PauseWorkflow,
    reply=ShownWorkflow,
    run=_pause,
    scopes=(KeyScope.WRITE,),
)
DELETE: Operation[DeleteWorkflow, ShownWorkflow] = Operation(
    name="workflows/delete",
    about="Delete a workflow and its hooks. Its runs go on.",
    sent=DeleteWorkflow,
    reply=ShownWorkflow,
    run=_delete,
    scopes=(KeyScope.WRITE,),
)
OPERATIONS = (PUSH, LIST, SHOW, PAUSE, DELETE)
