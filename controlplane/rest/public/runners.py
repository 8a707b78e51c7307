"""Runners of private actions over HTTP, to be read: their state, their instances, and what they told of themselves."""

from __future__ import annotations

from controlplane.rest.public import schemas
from controlplane.rest.public.route import APIReply, Call, Route
from controlplane.service import runners
from controlplane.service.principal import KeyScope
from controlplane.service.runnershapes import as_json


async def list_all(call: Call) -> APIReply:
    found = await runners.list_all(call.context.database, call.context.clock, call.by)
    return APIReply(body={"runners": [as_json(one) for one in found]})


async def read(call: Call) -> APIReply:
    found = await runners.show(call.context.database, call.context.clock, call.by, call.path["runner"])
    return APIReply(body=as_json(found))


_RUNNER = schemas.fields({"id": schemas.TEXT, "name": schemas.TEXT, "state": schemas.TEXT})
ROUTES = (
    Route(
        method="GET",
        path="/v1/runners",
        about="List the runners of private actions, by name.",
        handler=list_all,
        scopes=(KeyScope.READ,),
        reply=schemas.fields({"runners": schemas.array(_RUNNER)}),
        tags=("actions",),
    ),
    Route(
        method="GET",
        path="/v1/runners/{runner}",
        about="Read a runner, by its name or id: its instances, and what it told of its connections.",
        handler=read,
        scopes=(KeyScope.READ,),
        reply=_RUNNER,
        refusals=(404,),
        tags=("actions",),
    ),
)
