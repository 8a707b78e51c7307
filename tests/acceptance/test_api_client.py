"""The reference system's own Python client, unmodified, against the public API of a real control plane with a real worker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from datadog_api_client import ApiClient, Configuration
from datadog_api_client.exceptions import ApiException, ForbiddenException, NotFoundException
from datadog_api_client.v1.api.authentication_api import AuthenticationApi
from datadog_api_client.v1.api.synthetics_api import SyntheticsApi
from datadog_api_client.v1.model.synthetics_api_test import SyntheticsAPITest
from datadog_api_client.v1.model.synthetics_delete_tests_payload import SyntheticsDeleteTestsPayload
from datadog_api_client.v1.model.synthetics_global_variable_request import SyntheticsGlobalVariableRequest
from datadog_api_client.v1.model.synthetics_patch_test_body import SyntheticsPatchTestBody
from datadog_api_client.v1.model.synthetics_private_location import SyntheticsPrivateLocation
from datadog_api_client.v1.model.synthetics_trigger_body import SyntheticsTriggerBody
from datadog_api_client.v1.model.synthetics_trigger_test import SyntheticsTriggerTest
from datadog_api_client.v1.model.synthetics_update_test_pause_status_payload import (
    SyntheticsUpdateTestPauseStatusPayload,
)
from datadog_api_client.v2.api.synthetics_api import SyntheticsApi as SyntheticsApiV2

from tests.support.definitions import http_test
from tests.support.programs import ControlPlane, StartWorker
from tests.support.servers.target import Target
from tests.support.waiting import eventually

pytestmark = pytest.mark.acceptance


def configuration(plane: ControlPlane, scopes: str = "read,write,trigger") -> Configuration:
    keys = json.loads(plane.command("key", "create", f"ci {scopes}", "--scopes", scopes, "--json"))
    made = Configuration(host=plane.url)
    made.api_key["apiKeyAuth"], made.api_key["appKeyAuth"] = keys["api_key"], keys["app_key"]
    return made


@pytest.fixture
def client(control_plane: ControlPlane) -> Iterator[ApiClient]:
    with ApiClient(configuration(control_plane)) as client:
        yield client


@pytest.fixture
def api(client: ApiClient) -> SyntheticsApi:
    return SyntheticsApi(client)


def test_a_whole_flow(
    control_plane: ControlPlane,
    client: ApiClient,
    api: SyntheticsApi,
    target: Target,
    start_worker: StartWorker,
    tmp_path: Path,
) -> None:
    assert AuthenticationApi(client).validate().valid is True
    place = api.create_private_location(
        SyntheticsPrivateLocation(name="Office", description="by the client", tags=["a"])
    )
    location = str(place.private_location.id)
    config = tmp_path / "worker-config.json"
    config.write_text(json.dumps(place.config))
    start_worker(config)
    assert location in {one.id for one in api.list_locations().locations}

    body = http_test("by the client", f"{target.url}/", locations=[location], tags=["team:shop"], tick_every=604_800)
    created = api.create_synthetics_api_test(SyntheticsAPITest(**body))
    public_id = str(created.public_id)
    assert api.get_api_test(public_id).to_dict()["config"] == created.to_dict()["config"] == body["config"]
    assert [one.public_id for one in api.list_tests().tests] == [public_id]
    assert [one.public_id for one in api.list_tests_with_pagination(page_size=1)] == [public_id]
    assert [one.public_id for one in api.search_tests(text="tag:team:shop client").tests] == [public_id]

    renamed = api.update_api_test(public_id, SyntheticsAPITest(**body | {"name": "renamed"}))
    assert (renamed.name, renamed.public_id) == ("renamed", public_id)
    patch = SyntheticsPatchTestBody(data=[{"op": "replace", "path": "/name", "value": "patched"}])
    assert api.patch_test(public_id, patch).name == "patched"
    pause = SyntheticsUpdateTestPauseStatusPayload(new_status="paused")
    assert api.update_test_pause_status(public_id, pause) is True
    assert str(api.get_test(public_id).status) == "paused"

    triggered = api.trigger_tests(SyntheticsTriggerBody(tests=[SyntheticsTriggerTest(public_id=public_id)]))
    (run,) = triggered.results
    assert {one.id: one.name for one in triggered.locations}[run.location] == location
    result_id = str(run.result_id)

    def ended() -> Any:
        try:
            return api.get_api_test_result(public_id, result_id)
        except NotFoundException:
            return None

    one = eventually(ended, "result")
    assert (one.result.passed, one.result.http_status_code, one.probe_dc) == (True, 200, location)
    assert result_id in {each.result_id for each in api.get_api_test_latest_results(public_id).results}
    newer = SyntheticsApiV2(client)
    read = newer.get_synthetics_test_result(public_id, result_id)
    assert str(read.data.attributes.result.status) == "passed"
    assert result_id in {each.id for each in newer.list_synthetics_test_latest_results(public_id).data}

    deleted = api.delete_tests(SyntheticsDeleteTestsPayload(public_ids=[public_id]))
    assert [each.public_id for each in deleted.deleted_tests] == [public_id]
    with pytest.raises(NotFoundException, match="Synthetics test not found"):
        api.get_api_test(public_id)
    api.delete_private_location(location)
    with pytest.raises(NotFoundException, match=f"Synthetics Private Location: {location} not found"):
        api.get_private_location(location)


def test_variables_keep_their_secrets(control_plane: ControlPlane, api: SyntheticsApi) -> None:
    def sent(**value: object) -> SyntheticsGlobalVariableRequest:
        return SyntheticsGlobalVariableRequest(name="TOKEN", description="d", tags=["t"], value=value)

    made = api.create_global_variable(sent(value="canary-secret", secure=True))
    assert made.value.to_dict() == {"secure": True}
    assert api.edit_global_variable(made.id, sent(secure=True)).value.to_dict() == {"secure": True}
    assert [one.id for one in api.list_global_variables().variables] == [made.id]
    with pytest.raises(ApiException) as refused:
        api.create_global_variable(sent(value="other", secure=False))
    assert refused.value.status == 409
    api.delete_global_variable(made.id)
    with pytest.raises(NotFoundException, match="Synthetics global variable not found"):
        api.get_global_variable(made.id)
    assert "canary" not in control_plane.command("audit", "--json")


def test_a_key_reaches_no_further_than_its_scopes(control_plane: ControlPlane) -> None:
    with ApiClient(configuration(control_plane, "read")) as client:
        api = SyntheticsApi(client)
        assert api.list_tests().tests == []
        with pytest.raises(ForbiddenException, match="Failed permission authorization checks"):
            api.create_private_location(SyntheticsPrivateLocation(name="no", description="", tags=[]))
