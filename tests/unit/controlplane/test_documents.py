"""Documents come back as they were sent: what Terraform sends, and what it must read back (a table), and what is never shown."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from controlplane.service import documents
from controlplane.store.tests import StoredTest
from tests.support.definitions import STATUS, api_test, http_test
from tests.support.recordings import RECORDED
from tests.support.shared import needs_shared

PLACES = ["pl:one", "pl:two"]


def stored(document: dict[str, Any], *, paused: bool = False) -> StoredTest:
    return StoredTest(
        public_id="abc-def-ghi",
        name="n",
        subtype="http",
        version=3,
        paused=paused,
        period_ms=60_000,
        definition=json.dumps(document | {"public_id": "abc-def-ghi", "version": 3}),
        modified_at=1_733_743_079_805,
        created_at=1_733_743_079_805,
    )


def options(**members: Any) -> dict[str, Any]:
    return http_test(locations=PLACES, tags=[]) | {"options": {"tick_every": 60} | members}


def request(**members: Any) -> dict[str, Any]:
    return api_test("http", STATUS, **members) | {"locations": PLACES, "tags": []}


def config(subtype: str = "http", **members: Any) -> dict[str, Any]:
    made = http_test(locations=PLACES, tags=[], subtype=subtype)
    return made | {"config": made["config"] | members}


ROUND_TRIPS = {
    "locations in another order": http_test(locations=PLACES[::-1], tags=[]),
    "tags in order": http_test(locations=PLACES, tags=["b", "a", "b"]),
    "an empty message": http_test(locations=PLACES, tags=[], message=""),
    "a number as it was written": options(min_location_failed=1, retry={"count": 0, "interval": 300}),
    "a float stays one where one may stand": options(retry={"count": 1, "interval": 300.0}),
    "httpVersion of any subtype": options(httpVersion="any"),
    "flags": options(follow_redirects=False, allow_insecure=False, accept_self_signed=True),
    "monitor options": options(
        monitor_options={"renotify_interval": 0, "escalation_message": "", "notification_preset_name": "show_all"},
        monitor_name="m",
        monitor_priority=5,
    ),
    "execution rule": options(ci={"executionRule": "skipped"}),
    "schedule": options(scheduling={"timezone": "UTC", "timeframes": [{"day": 1, "from": "07:00", "to": "16:00"}]}),
    "restricted roles and browser options": options(
        restricted_roles=["r"], device_ids=["laptop"], rumSettings={"x": 1}
    ),
    "ports as texts": config("dns", request={"host": "shop.test", "dnsServerPort": "53", "timeout": 10}),
    "basic auth in clear": request(basicAuth={"type": "web", "username": "u", "password": "p"}),
    "headers, query and form": request(headers={"B": "2", "a": "1"}, query={"q": "1"}, form={"f": "1"}),
    "a proxy": request(proxy={"url": "http://proxy.test", "headers": {"x": "y"}}),
    "metadata and flags": request(persistCookies=True, noSavingResponseBody=False, shouldTrackHops=False),
    "a float target": config(assertions=[{"type": "statusCode", "operator": "is", "target": 200.0}]),
    "a text target": config(assertions=[{"type": "statusCode", "operator": "is", "target": "200"}]),
    "no variables": config(configVariables=[]),
    "a clear variable": config(configVariables=[{"name": "V", "type": "text", "example": "e", "pattern": "p"}]),
    "a global variable": config(configVariables=[{"name": "V", "type": "global", "id": "x"}]),
    "a script": config(variablesFromScript="dd.variable.set('A', '1')"),
    "steps with ids": config(
        "multi",
        assertions=[],
        steps=[{"id": "aaa-bbb-ccc", "name": "s", "subtype": "http", "request": {"timeout": 0}, "allowFailure": False}],
    ),
    "unknown members": http_test(locations=PLACES, tags=[], metadata={"disaster_recovery": {"source_public_id": "x"}}),
}


@pytest.mark.parametrize("sent", ROUND_TRIPS.values(), ids=ROUND_TRIPS)
def test_what_was_sent_comes_back_unchanged(sent: dict[str, Any]) -> None:
    shown = documents.shown(stored(documents.accepted(sent, None)), PLACES)
    assert {name: shown[name] for name in sent} == sent
    assert json.dumps({name: shown[name] for name in sent}) == json.dumps(sent), "types and order too"
    added = {"public_id", "monitor_id", "created_at", "modified_at", "status", "tags"}
    assert set(shown) - set(sent) <= added


def told(config: dict[str, Any]) -> dict[str, Any]:
    """*config* without what replies withhold (contents of certificates and files) and what is ours (ids)."""
    for part in [config, *config.get("steps", ())]:
        part.pop("id", None)
        request = part.get("request", {})
        for holder in (*request.get("certificate", {}).values(), *request.get("files", ())):
            for name in ("content", "encoding", "bucketKey"):
                holder.pop(name, None)
    return config


@needs_shared
def test_every_recorded_definition_comes_back_with_all_that_its_author_wrote() -> None:
    for case in RECORDED:
        sent = case["test"]
        shown = documents.shown(stored(documents.accepted(sent, None)), PLACES)
        assert told(shown["config"]) == told(deepcopy(sent["config"])), case["id"]
        for name in ("name", "message", "type", "subtype", "tags", "options"):
            assert name not in sent or shown[name] == sent[name], (case["id"], name)


def test_what_was_not_sent_is_not_made_up() -> None:
    shown = documents.shown(stored(documents.accepted(http_test(locations=PLACES), None)), PLACES)
    assert set(shown["options"]) == {"tick_every"}
    assert set(shown["config"]) == {"request", "assertions"}
    assert (shown["tags"], shown["status"]) == ([], "live")


def test_a_moment_has_the_form_that_clients_read() -> None:
    assert documents.date(1_733_743_079_805) == "2024-12-09T11:17:59.805000+00:00"


def test_locations_are_those_that_really_run_it() -> None:
    shown = documents.shown(stored(documents.accepted(http_test(locations=["pl:gone"]), None)), ["pl:two", "pl:one"])
    assert shown["locations"] == ["pl:one", "pl:two"]


def test_members_of_replies_that_are_sent_back_are_not_stored() -> None:
    sent = http_test(locations=PLACES) | {"monitor_id": 1, "creator": {"name": "x"}, "public_id": "zzz-zzz-zzz"}
    assert {"monitor_id", "creator", "public_id"}.isdisjoint(documents.accepted(sent, None))


def test_whole_numbers_are_integers_whatever_was_sent() -> None:
    sent = options(tick_every=60.0, retry={"count": 2.0, "interval": 300.0})
    shown = documents.shown(stored(documents.accepted(sent, None)), PLACES)
    assert json.dumps(shown["options"]) == '{"tick_every": 60, "retry": {"count": 2, "interval": 300.0}}'


SECURE = {"name": "T", "type": "text", "secure": True, "example": "canary-1", "pattern": "canary-1"}
CERTIFICATE = {
    "cert": {"content": "canary-2", "filename": "c.pem", "updatedAt": "2026-01-01"},
    "key": {"content": "canary-3", "filename": "k.pem", "updatedAt": "2026-01-01"},
}
FILE = {"name": "f", "originalFileName": "f.bin", "size": 8, "type": "x/y", "content": "canary-4", "encoding": "base64"}
WITHHELD = config(
    configVariables=[SECURE],
    request={"method": "POST", "url": "https://shop.test/", "certificate": CERTIFICATE, "files": [FILE]},
)


def test_what_is_withheld_is_in_no_reply_and_stays_stored_when_it_is_sent_back_without() -> None:
    first = documents.accepted(WITHHELD, None)
    shown = documents.shown(stored(first), PLACES)
    assert "canary" not in json.dumps(shown)
    assert shown["config"]["configVariables"] == [{"name": "T", "type": "text", "secure": True}]
    assert shown["config"]["request"]["files"][0]["bucketKey"]

    again = documents.accepted(shown, first)

    assert json.dumps(again["config"]).count("canary") == 5
    assert again["config"]["request"]["certificate"] == CERTIFICATE


def test_a_new_certificate_or_value_replaces_the_old_one() -> None:
    first = documents.accepted(WITHHELD, None)
    changed = documents.shown(stored(first), PLACES)
    changed["config"]["request"]["certificate"]["cert"]["filename"] = "new.pem"
    changed["config"]["configVariables"] = [SECURE | {"pattern": "other"}]
    again = documents.accepted(changed, first)
    assert "content" not in again["config"]["request"]["certificate"]["cert"]
    assert again["config"]["configVariables"] == [SECURE | {"pattern": "other"}]


def test_steps_get_an_id_and_keep_it() -> None:
    sent = config("multi", steps=[{"name": "s", "subtype": "wait", "value": 1}])
    first = documents.accepted(sent, None)
    (step,) = first["config"]["steps"]
    assert len(step["id"]) == 11
    assert documents.accepted(first, first)["config"]["steps"] == [step]


def test_numbers_of_tests_and_locations_are_stable() -> None:
    assert documents.monitor_id("abc-def-ghi") == documents.monitor_id("abc-def-ghi") < 2**53
    assert documents.location_number("pl:one") != documents.location_number("pl:two")
