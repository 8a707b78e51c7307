"""Tests over HTTP: create, read, replace, patch, switch, list, search and delete."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from controlplane.errors import NotFoundError
from controlplane.rest.public import schemas
from controlplane.rest.public.route import APIReply, Call, Parameter, Route
from controlplane.service import documents, testdocuments, tests
from controlplane.service.definitions import is_public_id
from controlplane.service.principal import KeyScope
from controlplane.service.testdocuments import MOST_LISTED, PageOfTests, ShownTest

API_TESTS = "/api/v1/synthetics/tests/api"
TESTS = "/api/v1/synthetics/tests"
MOST_PAGES = 1_000_000


class StatusChange(msgspec.Struct, frozen=True):
    """`live` or `paused`."""

    new_status: Literal["live", "paused"]


class PatchTest(msgspec.Struct, frozen=True):
    """A JSON Patch (RFC 6902)."""

    data: list[dict[str, Any]]


class DeleteTests(msgspec.Struct, frozen=True):
    """Tests to delete. Nothing here depends on a test, so that the second member changes nothing."""

    public_ids: list[str]
    force_delete_dependencies: bool = False


class BulkIds(msgspec.Struct, frozen=True):
    public_ids: list[str]


class BulkDeletion(msgspec.Struct, frozen=True):
    attributes: BulkIds
    type: str = "delete_tests_request"


class BulkDelete(msgspec.Struct, frozen=True):
    """Tests to delete, as version 2 asks."""

    data: BulkDeletion


async def create(call: Call) -> APIReply:
    made = await testdocuments.create(call.context.database, call.context.clock, call.by, call.body)
    return APIReply(body=_written(made))


async def replace(call: Call) -> APIReply:
    test = call.path["public_id"]
    stored = await testdocuments.replace(call.context.database, call.context.clock, call.by, test, call.body)
    return APIReply(body=_written(stored))


async def patch(call: Call) -> APIReply:
    test = call.path["public_id"]
    stored = await testdocuments.patch(call.context.database, call.context.clock, call.by, test, call.body.data)
    return APIReply(body=_written(stored))


async def get(call: Call) -> APIReply:
    return APIReply(body=_read(await testdocuments.get(call.context.database, call.by, call.path["public_id"])))


async def set_status(call: Call) -> APIReply:
    """The reply is the bare word `true`."""
    paused = call.body.new_status == "paused"
    test = call.path["public_id"]
    if not is_public_id(test):  # a name is as good at the shell, and is none here
        raise NotFoundError("test", test)
    await tests.set_paused(call.context.database, call.context.clock, call.by, test, paused=paused)
    return APIReply(body=True)


async def list_all(call: Call) -> APIReply:
    """All tests where no page is asked for, up to a bound."""
    if "page_size" not in call.query and "page_number" not in call.query:
        return APIReply(body=_listed(await testdocuments.page(call.context.database, call.by)))
    size = call.number("page_size", 100, most=MOST_LISTED)
    number = call.number("page_number", 0, most=MOST_PAGES)
    return APIReply(body=_listed(await testdocuments.page(call.context.database, call.by, number=number, size=size)))


async def search(call: Call) -> APIReply:
    count = 0 if call.query.get("facets_only") == "true" else call.number("count", 50, most=MOST_LISTED)
    found = await testdocuments.search(
        call.context.database,
        call.by,
        call.query.get("text", ""),
        start=call.number("start", 0, most=MOST_PAGES),
        count=count,
        descending=call.query.get("sort", "").endswith(",desc"),
    )
    return APIReply(body=_listed(found) | {"facets": []})


async def delete(call: Call) -> APIReply:
    gone = await testdocuments.delete(call.context.database, call.context.clock, call.by, call.body.public_ids)
    return APIReply(
        body={"deleted_tests": [{"public_id": test, "deleted_at": documents.date(at)} for test, at in gone]}
    )


async def bulk_delete(call: Call) -> APIReply:
    ids = call.body.data.attributes.public_ids
    gone = await testdocuments.delete(call.context.database, call.context.clock, call.by, ids)
    return APIReply(
        body={
            "data": [
                {
                    "type": "delete_tests",
                    "id": test,
                    "attributes": {"public_id": test, "deleted_at": documents.date(at)},
                }
                for test, at in gone
            ]
        }
    )


async def version(call: Call) -> APIReply:
    """Tell if a test is at this version; older ones are not kept."""
    test, number = call.path["public_id"], call.path["version"]
    known = number.isascii() and number.isdecimal() and len(number) < 10
    if not known or not await testdocuments.has_version(call.context.database, call.by, test, int(number)):
        raise NotFoundError("test version", f"{test}@{number}")
    return APIReply(body={"data": {"type": "version", "id": number, "attributes": {}}})


def _written(one: ShownTest) -> dict[str, Any]:
    return one.document | {
        "created_by": documents.person(one.test.created_by),
        "modified_by": documents.person(one.test.modified_by),
        "deleted_at": None,
    }


def _read(one: ShownTest) -> dict[str, Any]:
    return one.document | {"creator": documents.person(one.test.created_by)}


def _listed(page: PageOfTests) -> dict[str, Any]:
    return {"tests": [_read(one) for one in page.tests], "total": page.total}


_PAGES = (
    Parameter(
        name="page_size", schema={"type": "integer", "minimum": 0, "maximum": MOST_LISTED}, about="Tests of a page."
    ),
    Parameter(name="page_number", schema={"type": "integer", "minimum": 0}, about="The page, from 0."),
)
_SEARCH = (
    Parameter(name="text", schema=schemas.TEXT, about="Words of a name, `tag:x`, `location:x`, `status:x`, `type:x`."),
    Parameter(name="start", schema={"type": "integer", "minimum": 0}, about="Tests to leave out first."),
    Parameter(name="count", schema={"type": "integer", "minimum": 0, "maximum": MOST_LISTED}, about="Tests at most."),
    Parameter(name="sort", schema=schemas.TEXT, about="`name,asc` or `name,desc`."),
    Parameter(name="facets_only", schema=schemas.FLAG, about="No tests, only their number."),
)
_READ, _WRITE = (KeyScope.READ,), (KeyScope.WRITE,)


def _document(method: str, path: str, about: str, handler: Any, *refusals: int) -> Route:
    return Route(
        method=method,
        path=path,
        about=about,
        handler=handler,
        scopes=_WRITE,
        body=dict[str, Any],
        described=schemas.SENT_TEST,
        reply=schemas.TEST,
        refusals=(400, *refusals),
    )


ROUTES = (
    _document("POST", API_TESTS, "Create a test.", create),
    _document("PUT", API_TESTS + "/{public_id}", "Replace a test's document.", replace, 404),
    _document("PUT", TESTS + "/{public_id}", "Replace a test's document.", replace, 404),
    Route(
        method="GET",
        path=TESTS + "/search",
        about="Find tests.",
        handler=search,
        scopes=_READ,
        query=_SEARCH,
        reply=schemas.TESTS,
        refusals=(400,),
    ),
    *(
        Route(
            method="GET",
            path=path + "/{public_id}",
            about="Read a test.",
            handler=get,
            scopes=_READ,
            reply=schemas.TEST,
            refusals=(404,),
        )
        for path in (API_TESTS, TESTS)
    ),
    Route(
        method="PATCH",
        path=TESTS + "/{public_id}",
        about="Change a test's document by a JSON Patch.",
        handler=patch,
        scopes=_WRITE,
        body=PatchTest,
        described=schemas.fields({"data": schemas.array(schemas.PATCH)}),
        reply=schemas.TEST,
        refusals=(400, 404),
    ),
    Route(
        method="PUT",
        path=TESTS + "/{public_id}/status",
        about="Pause or resume a test.",
        handler=set_status,
        scopes=_WRITE,
        body=StatusChange,
        reply=schemas.FLAG,
        refusals=(400, 404),
    ),
    Route(
        method="GET",
        path=TESTS,
        about="List tests.",
        handler=list_all,
        scopes=_READ,
        query=_PAGES,
        reply=schemas.TESTS,
        refusals=(400,),
    ),
    Route(
        method="POST",
        path=TESTS + "/delete",
        about="Delete tests.",
        handler=delete,
        scopes=_WRITE,
        body=DeleteTests,
        reply=schemas.fields({"deleted_tests": schemas.array(schemas.NOTHING)}),
        refusals=(400, 404),
    ),
    Route(
        method="POST",
        path="/api/v2/synthetics/tests/bulk-delete",
        about="Delete tests.",
        handler=bulk_delete,
        scopes=_WRITE,
        body=BulkDelete,
        reply=schemas.RESOURCES,
        refusals=(400, 404),
    ),
    Route(
        method="GET",
        path="/api/v2/synthetics/tests/{public_id}/version_history/{version}",
        about="Tell if a test is at a version; older ones are not kept.",
        handler=version,
        scopes=_READ,
        reply=schemas.ONE_RESOURCE,
        refusals=(404,),
    ),
)
