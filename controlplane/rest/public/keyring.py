"""Keys and the audit log over HTTP: show that keys are known, and read who changed what."""

from __future__ import annotations

from controlplane.rest.public import schemas
from controlplane.rest.public.route import APIReply, Call, Keys, Parameter, Route
from controlplane.service import audit
from controlplane.service.principal import KeyScope

MOST_ENTRIES = 1000
"""Entries of one page."""


async def validate(_call: Call) -> APIReply:
    """Say yes: nobody comes here without a good API key."""
    return APIReply(body={"valid": True})


async def validate_both(_call: Call) -> APIReply:
    """Say yes: nobody comes here without a good application key."""
    return APIReply(body={"status": "ok"})


async def read_audit(call: Call) -> APIReply:
    found = await audit.newest(
        call.context.database,
        call.by,
        limit=max(1, call.number("limit", 100, most=MOST_ENTRIES)),
        subject=call.query.get("subject"),
        before=call.number("before", 2**62, most=2**62),
    )
    return APIReply(body={"entries": [audit.as_object(one) for one in found]})


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/validate",
        about="Show that an API key is known.",
        handler=validate,
        keys=Keys.API,
        reply=schemas.fields({"valid": schemas.FLAG}),
    ),
    Route(
        method="GET",
        path="/api/v2/validate_keys",
        about="Show that an application key is known.",
        handler=validate_both,
        reply=schemas.fields({"status": schemas.TEXT}),
    ),
    Route(
        method="GET",
        path="/api/v1/audit",
        about="Read the audit log, the newest first. Not of the reference system.",
        handler=read_audit,
        scopes=(KeyScope.READ,),
        query=(
            Parameter(
                name="limit", schema={"type": "integer", "minimum": 1, "maximum": MOST_ENTRIES}, about="Entries."
            ),
            Parameter(
                name="before", schema={"type": "integer", "minimum": 0}, about="Entries before this `seq` alone."
            ),
            Parameter(name="subject", schema=schemas.TEXT, about="Changes of this id alone."),
        ),
        reply=schemas.fields(
            {"entries": schemas.array(schemas.fields({"seq": schemas.WHOLE, "action": schemas.TEXT}))}
        ),
        refusals=(400,),
    ),
)
