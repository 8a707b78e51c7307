"""Settings over HTTP, and refusals of what is known and not there: clients read their meaning from the status."""

from __future__ import annotations

from controlplane.errors import UnusableError
from controlplane.rest.public import schemas
from controlplane.rest.public.route import APIReply, Call, Route
from controlplane.service.principal import KeyScope


async def settings(call: Call) -> APIReply:
    """No cap: each run takes a slot of a worker, and those are bounded."""
    call.by.require(KeyScope.READ, KeyScope.TRIGGER)
    return APIReply(body={"onDemandConcurrencyCap": 0})


async def refuse_kind(call: Call) -> APIReply:
    call.by.require(KeyScope.WRITE)
    raise UnusableError("browser, mobile and network tests are not supported by this server")


ROUTES = (
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
