"""The operations of commands over HTTP, each at its name: what commands do at the database, they do with keys from afar."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from controlplane.operations.operation import Operation
from controlplane.operations.table import OPERATIONS
from controlplane.rest.public.route import APIReply, Call, Route


def _handler(operation: Operation[Any, Any]) -> Callable[[Call], Awaitable[APIReply]]:
    async def handled(call: Call) -> APIReply:
        found = await operation.run(call.context.database, call.context.clock, call.by, call.body)
        for name in operation.wakes(found):
            call.context.wakeups.ring(name)
        return APIReply(body=found, typed=True)

    return handled


ROUTES = tuple(
    Route(
        method="POST",
        path=operation.path,
        about=operation.about,
        handler=_handler(operation),
        scopes=operation.scopes,
        names_scopes=operation.names_scopes,
        body=operation.sent,
        answer=operation.reply,
        refusals=(400, 404, 409),
        tells_cause=True,
        tags=("commands",),
    )
    for operation in OPERATIONS
)
