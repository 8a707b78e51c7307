"""Settings over HTTP, and refusals of what is known and not there: clients read their meaning from the status."""

from __future__ import annotations

import msgspec

from controlplane.errors import UnusableError
from controlplane.rest.public import schemas
from controlplane.rest.public.route import APIReply, Call, Route
from controlplane.service import triggers
from controlplane.service.principal import KeyScope


class Cap(msgspec.Struct, frozen=True):
    """Triggered runs that may be under way at a time; 0 means any number."""

    on_demand_concurrency_cap: int


async def settings(call: Call) -> APIReply:
    return APIReply(body={"onDemandConcurrencyCap": await triggers.cap(call.context.database, call.by)})


async def get_cap(call: Call) -> APIReply:
    return _cap(await triggers.cap(call.context.database, call.by))


async def set_cap(call: Call) -> APIReply:
    number = call.body.on_demand_concurrency_cap
    return _cap(await triggers.set_cap(call.context.database, call.context.clock, call.by, number))


def _cap(number: int) -> APIReply:
    attributes = {"on_demand_concurrency_cap": number}
    return APIReply(body={"data": {"type": "on_demand_concurrency_cap", "attributes": attributes}})


async def refuse_kind(call: Call) -> APIReply:
    call.by.require(KeyScope.WRITE)
    raise UnusableError("browser, mobile and network tests are not supported by this server")


_CAP = "/api/v2/synthetics/settings/on_demand_concurrency_cap"
ROUTES = (
    Route(
        method="GET",
        path=_CAP,
        about="Read how many triggered runs may be under way at a time.",
        handler=get_cap,
        scopes=(KeyScope.READ, KeyScope.TRIGGER),
        reply=schemas.ONE_RESOURCE,
    ),
    Route(
        method="POST",
        path=_CAP,
        about="Change how many triggered runs may be under way at a time; 0 means any number.",
        handler=set_cap,
        scopes=(KeyScope.WRITE,),
        body=Cap,
        reply=schemas.ONE_RESOURCE,
        refusals=(400,),
    ),
    Route(
        method="GET",
        path="/api/v1/synthetics/settings",
        about="Read the settings that pipelines ask for.",
        handler=settings,
        scopes=(KeyScope.READ, KeyScope.TRIGGER),
        reply=schemas.fields({"onDemandConcurrencyCap": schemas.WHOLE}),
    ),
    *(
        Route(
            method="POST",
            path=f"/api/{path}",
            about="Refuse to create a kind of test that nobody here runs.",
            handler=refuse_kind,
            scopes=(KeyScope.WRITE,),
            reply=schemas.NOTHING,
            refusals=(400,),
        )
        for path in ("v1/synthetics/tests/browser", "v1/synthetics/tests/mobile", "v2/synthetics/tests/network")
    ),
)
