"""Locations over HTTP. The config file of a new one is in its reply, and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from controlplane.rest.public import schemas
from controlplane.rest.public.route import APIReply, Call, Route
from controlplane.service import documents, locations, restrictedroles
from controlplane.service.locations import Description
from controlplane.service.principal import KeyScope
from controlplane.store.locations import Location
from controlplane.store.workers import SeenWorker

LOCATIONS = "/api/v1/synthetics/private-locations"


class SentLocation(msgspec.Struct, frozen=True):
    """A location as it is created or changed. Of *metadata* the `restricted_roles` are kept; they restrict nothing here."""

    name: str
    description: str = ""
    tags: list[str] = []
    metadata: dict[str, Any] | None = None

    def described(self) -> Description:
        """The words for people in it. Raises UnusableError."""
        return locations.check_description(self.description, self.tags, self.metadata)


async def list_all(call: Call) -> APIReply:
    found = await locations.list_all(call.context.database, call.context.clock, call.by)
    return APIReply(
        body={"locations": [{"id": one.location.id, "name": one.location.name, **_health(one)} for one in found]}
    )


async def defaults(call: Call) -> APIReply:
    """No location is chosen for anybody here."""
    call.by.require(KeyScope.READ)
    return APIReply(body=[])


async def create(call: Call) -> APIReply:
    location, text = await locations.create(
        call.context.database,
        call.context.clock,
        call.by,
        call.body.name,
        key_kind="x25519",
        intake_url=call.context.intake_url,
        description=call.body.described(),
    )
    return APIReply(body=_created(location, json.loads(text.reveal())))


async def get(call: Call) -> APIReply:
    return APIReply(body=_shown(await locations.get(call.context.database, call.by, _id(call))))


async def update(call: Call) -> APIReply:
    changed = await locations.update(
        call.context.database,
        call.context.clock,
        call.by,
        _id(call),
        name=call.body.name,
        description=call.body.described(),
    )
    return APIReply(body=_shown(changed))


async def delete(call: Call) -> APIReply:
    """Delete as its clients expect, also where workers serve it: who deletes by an API has decided."""
    await locations.delete(call.context.database, call.context.clock, call.by, _id(call), force=True)
    return APIReply(status=204, empty=True)


def _id(call: Call) -> str:
    return call.path["location_id"]


def _shown(location: Location) -> dict[str, Any]:
    return {
        "id": location.id,
        "name": location.name,
        "description": location.description,
        "tags": list(location.tags),
        "metadata": restrictedroles.shown(location.restricted_roles),
        "createdAt": documents.date(location.created_at),
        "modifiedAt": documents.date(location.modified_at or location.created_at),
        "createdBy": location.created_by,
    }


def _created(location: Location, config: dict[str, Any]) -> dict[str, Any]:
    """The file as workers take it, and its parts once more where the reference system has them."""
    secrets = {
        "authentication": {"id": config["accessKey"], "key": config["secretAccessKey"]},
        "config_decryption": {"id": config["accessKey"], "key": config["privateKey"]},
    }
    public = config["publicKey"]
    return {
        "private_location": _shown(location) | {"secrets": secrets},
        "result_encryption": {"id": public["fingerprint"], "key": public["pem"]},
        "config": config,
    }


def _health(one: locations.LocationHealth) -> dict[str, Any]:
    """State and workers of a location: more than the reference system tells, and harmless to its clients."""
    return {
        "state": one.state,
        "last_seen": one.last_seen,
        "tests": one.tests,
        "workers": [_worker(worker) for worker in one.alive],
        "silent_workers": [_worker(worker) for worker in one.silent],
    }


def _worker(worker: SeenWorker) -> dict[str, Any]:
    return {
        "id": worker.id,
        "host": worker.host,
        "address": worker.address,
        "version": worker.agent,
        "access_key": worker.access_key,
        "concurrency": worker.concurrency,
        "free_slots": worker.free_slots,
        "holding": worker.running,
        "draining": worker.draining,
        "degraded": worker.degraded,
        "last_pull": worker.last_seen,
    }


_ONE = LOCATIONS + "/{location_id}"
_READ, _WRITE = (KeyScope.READ,), (KeyScope.WRITE,)
ROUTES = (
    Route(
        method="GET",
        path="/api/v1/synthetics/locations",
        about="List locations, and how their workers are.",
        handler=list_all,
        scopes=_READ,
        reply=schemas.fields({"locations": schemas.array(schemas.LOCATION_REF)}),
    ),
    Route(
        method="GET",
        path="/api/v1/synthetics/settings/default_locations",
        about="List the locations that new tests get by themselves: none.",
        handler=defaults,
        scopes=_READ,
        reply=schemas.array(schemas.TEXT),
    ),
    Route(
        method="POST",
        path=LOCATIONS,
        about="Create a location. The config file of its workers is in this reply alone.",
        handler=create,
        scopes=_WRITE,
        body=SentLocation,
        described=schemas.SENT_LOCATION,
        reply=schemas.fields({"private_location": schemas.LOCATION, "config": schemas.NOTHING}),
        refusals=(400, 409),
    ),
    Route(
        method="GET",
        path=_ONE,
        about="Read a location.",
        handler=get,
        scopes=_READ,
        reply=schemas.LOCATION,
        refusals=(404,),
    ),
    Route(
        method="PUT",
        path=_ONE,
        about="Rename and describe a location.",
        handler=update,
        scopes=_WRITE,
        body=SentLocation,
        described=schemas.SENT_LOCATION,
        reply=schemas.LOCATION,
        refusals=(400, 404, 409),
    ),
    Route(
        method="DELETE",
        path=_ONE,
        about="Delete a location, its keys, and what is scheduled there.",
        handler=delete,
        scopes=_WRITE,
        status=204,
        refusals=(404,),
    ),
)
