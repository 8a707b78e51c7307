"""The API's own description: it is served, it is the table of routes, and requests made of it find no fault of ours."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from controlplane.rest.public import openapi
from controlplane.rest.public.table import DESCRIPTION, ROUTES
from tests.integration.controlplane.plane import Plane, served
from tests.support.public_api import PublicAPI

FEW, MANY = 3, 40
"""Requests of each operation, some of them invalid on purpose: seconds, and minutes for those who have them."""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
DESCRIBED = schemathesis.openapi.from_dict(openapi.document(ROUTES))


async def test_the_description_is_served_to_anybody(api: PublicAPI) -> None:
    answer = await api.raw("GET", DESCRIPTION, {})
    assert (answer.status, answer.body["openapi"]) == (200, "3.1.0")
    assert answer.body == openapi.document(ROUTES)


def test_every_route_is_described_once_with_its_scopes() -> None:
    described = openapi.document(ROUTES)["paths"]
    operations = [operation for path in described.values() for operation in path.values()]
    assert len(operations) == len(ROUTES)
    assert len({operation["operationId"] for operation in operations}) == len(ROUTES)
    for route in ROUTES:
        operation = described[route.path][route.method.lower()]
        assert operation["x-scopes"] == list(route.scope_names)
        assert ("requestBody" in operation) == (route.body is not None)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """A control plane with a location and a test, served by a loop in a thread: schemathesis waits for each answer."""
    ready, stop = threading.Event(), threading.Event()
    found: dict[str, Any] = {}
    folder = tmp_path_factory.mktemp("openapi")

    async def serve(plane_folder: Path) -> None:
        async with served(plane_folder) as plane:
            found["keys"] = await prepare(plane)
            found["url"] = plane.url
            ready.set()
            while not stop.is_set():  # time goes on: a large request rests between its portions
                await plane.clock.advance(0.05)
                await asyncio.sleep(0.05)

    thread = threading.Thread(target=lambda: asyncio.run(serve(folder)), daemon=True)
    thread.start()
    assert ready.wait(60)
    api_key, app_key = found["keys"]
    yield found["url"], {"DD-API-KEY": api_key, "DD-APPLICATION-KEY": app_key}
    stop.set()
    thread.join(30)


async def prepare(plane: Plane) -> tuple[str, str]:
    worker = await plane.add_location()
    await plane.add_test(worker.location)
    return await plane.add_key("read", "write", "trigger")


few = settings(max_examples=FEW, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@DESCRIBED.parametrize()
@few
def test_requests_made_of_the_description_find_no_fault(
    case: schemathesis.Case[Any], running: tuple[str, dict[str, str]]
) -> None:
    url, headers = running
    case.call_and_validate(base_url=url, headers=headers, checks=CHECKS)


@pytest.mark.long
@DESCRIBED.parametrize()
@settings(few, max_examples=MANY, derandomize=False)
def test_many_requests_made_of_the_description_find_no_fault(
    case: schemathesis.Case[Any], running: tuple[str, dict[str, str]]
) -> None:
    url, headers = running
    case.call_and_validate(base_url=url, headers=headers, checks=CHECKS)
