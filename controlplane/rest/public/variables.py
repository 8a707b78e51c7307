"""Global variables over HTTP. No reply holds a secure value."""

from __future__ import annotations

from typing import Any

from controlplane.errors import ForbiddenError
from controlplane.rest.public import schemas
from controlplane.rest.public.route import APIReply, Call, Route
from controlplane.service import variables
from controlplane.service.principal import KeyScope

VARIABLES = "/api/v1/synthetics/variables"


async def list_all(call: Call) -> APIReply:
    return APIReply(body={"variables": await variables.list_all(call.context.database, call.by)})


async def create(call: Call) -> APIReply:
    return APIReply(body=await variables.create(call.context.database, call.context.clock, call.by, call.body))


async def get(call: Call) -> APIReply:
    return APIReply(body=await variables.get(call.context.database, call.by, call.path["variable_id"]))


async def update(call: Call) -> APIReply:
    name = call.path["variable_id"]
    return APIReply(body=await variables.update(call.context.database, call.context.clock, call.by, name, call.body))


async def delete(call: Call) -> APIReply:
    await variables.delete(call.context.database, call.context.clock, call.by, call.path["variable_id"])
    return APIReply(empty=True)


async def clear(call: Call) -> APIReply:
    """Refuse to tell a value, to everybody."""
    raise ForbiddenError(call.by.name, "none")


_ONE = VARIABLES + "/{variable_id}"
_READ, _WRITE = (KeyScope.READ,), (KeyScope.WRITE,)


def _change(method: str, path: str, about: str, handler: Any, *refusals: int) -> Route:
    return Route(
        method=method,
        path=path,
        about=about,
        handler=handler,
        scopes=_WRITE,
        body=dict[str, Any],
        described=schemas.SENT_VARIABLE,
        reply=schemas.VARIABLE,
        refusals=(400, 409, *refusals),
    )


ROUTES = (
    Route(
        method="GET",
        path=VARIABLES,
        about="List global variables.",
        handler=list_all,
        scopes=_READ,
        reply=schemas.fields({"variables": schemas.array(schemas.VARIABLE)}),
    ),
    _change("POST", VARIABLES, "Create a global variable.", create),
    Route(
        method="GET",
        path=_ONE,
        about="Read a global variable.",
        handler=get,
        scopes=_READ,
        reply=schemas.VARIABLE,
        refusals=(404,),
    ),
    _change("PUT", _ONE, "Replace a global variable; without a value it keeps its own.", update, 404),
    Route(
        method="DELETE",
        path=_ONE,
        about="Delete a global variable.",
        handler=delete,
        scopes=_WRITE,
        refusals=(404,),
    ),
    Route(
        method="GET",
        path=_ONE + "/clear",
        about="Refuse to tell a value.",
        handler=clear,
        scopes=_READ,
        reply=schemas.NOTHING,
        refusals=(403,),
    ),
)
