"""Definition files of every shape, and what is said of those that hold none."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.apitest.files import MAX_BYTES, Definition, Unusable, read


@pytest.mark.parametrize(
    ("name", "content", "places"),
    [
        ("t.json", b'{"a": 1}', [""]),
        ("t.json", b'\xef\xbb\xbf{"a": 1}\n', [""]),
        ("t.json", b'[{"a": 1}, 2, {"b": []}]', ["[0]", "[1]", "[2]"]),
        ("t.json", b'{\n  "a": 1\n}\n', [""]),
        ("t.json", b'{"a": 1}\n{"b": 2}\n', [":1", ":2"]),
        ("t.json", b'\xef\xbb\xbf{"a": 1}\n{"b": 2}', [":1", ":2"]),
        ("t.json", b'\n{"a": 1}\r\n\r\n{"b": 2}', [":2", ":4"]),
        ("t.jsonl", b'{"a": 1}\n', [":1"]),
        ("t.ndjson", b'{"a": 1}', [":1"]),
        ("t.jsonl", b'{"a": 1}\n[1]\n', [":1", ":2"]),
    ],
)
def test_definitions_are_found_where_they_stand(name: str, content: bytes, places: list[str]) -> None:
    found = list(read(name, content))
    assert [one.place for one in found if isinstance(one, Definition)] == [f"{name}{place}" for place in places]
    assert len(found) == len(places)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.json", b"", "is not valid JSON"),
        ("t.json", b"[]", "holds no definition"),
        ("t.jsonl", b"\n\n", "holds no definition"),
        ("t.json", b"7", "holds neither a JSON object nor an array of them"),
        ("t.json", b'{\n  "a": 1,\n}', "at line 2, column 9"),
        ("t.json", b'{"a": NaN}', "at line 1, column 7"),
        ("t.json", b"\xff\xfe", "is not valid JSON"),
        ("t.json", b"[" * 5000, "is not valid JSON"),
    ],
)
def test_a_file_without_definitions_is_unusable_and_says_why(name: str, content: bytes, words: str) -> None:
    (found,) = read(name, content)
    assert isinstance(found, Unusable)
    assert words in found.reason


def test_a_broken_line_costs_only_itself() -> None:
    good, bad, last = read("t.jsonl", b'{"a": 1}\n{"b": \n{"c": 3}\n')
    assert isinstance(good, Definition)
    assert isinstance(last, Definition)
    assert (good.line, last.line) == (1, 3)
    assert str(bad).startswith("t.jsonl:2: is not valid JSON: ")


def test_a_file_beyond_all_measure_is_not_looked_into() -> None:
    (found,) = read("t.json", b" " * (MAX_BYTES + 1))
    assert str(found) == f"t.json: is larger than {MAX_BYTES} bytes"


@given(content=st.binary(max_size=200))
def test_any_bytes_are_definitions_or_unusable(content: bytes) -> None:
    found = list(read("t.json", content))
    assert found
    assert all(isinstance(one, Definition | Unusable) for one in found)


TEST = {"type": "api", "name": "shop", "config": {"request": {"url": "https://old.test/"}}}


def values(content: object, name: str = "t.json") -> list[tuple[str, object]]:
    found = list(read(name, orjson.dumps(content)))
    assert all(isinstance(one, Definition) for one in found)
    return [(one.place, one.value) for one in found if isinstance(one, Definition)]


def test_the_apis_list_and_its_reply_for_one_test_are_read() -> None:
    assert values({"tests": [TEST, TEST | {"name": "two"}]}) == [
        ("t.json[0]", TEST),
        ("t.json[1]", TEST | {"name": "two"}),
    ]
    reply = TEST | {"public_id": "abc-def-ghi", "monitor_id": 7, "creator": {"name": "x"}}
    assert values(reply) == [("t.json", reply)]
    assert values({"tests": [TEST]}, "t.jsonl") == [("t.jsonl:1[0]", TEST)]
    assert values(TEST | {"tests": []}) == [("t.json", TEST | {"tests": []})]


def test_what_the_ci_client_imported_is_read_with_its_overrides() -> None:
    entry = {"localTestDefinition": TEST, "testOverrides": {"startUrl": "https://new.test/", "deviceIds": ["a"]}}
    (found,) = read("t.json", orjson.dumps({"tests": [entry]}))
    assert isinstance(found, Definition)
    assert found.value == TEST | {"config": {"request": {"url": "https://new.test/"}}}
    assert (found.place, found.skipped) == ("t.json[0]", False)
    assert found.remarks == ("testOverrides.deviceIds: has no effect on an API test",)
    assert values([{"localTestDefinition": TEST}]) == [("t.json[0]", TEST)]
    assert values({"localTestDefinition": TEST}) == [("t.json", TEST)]


def test_what_earlier_ci_clients_imported_is_read_with_its_overrides() -> None:
    new = TEST | {"config": {"request": {"url": "https://new.test/"}}}
    overrides = {"startUrl": "https://new.test/"}
    assert values({"tests": [{"local_test_definition": TEST}]}) == [("t.json[0]", TEST)]
    assert values({"tests": [{"local_test_definition": TEST, "config": overrides}]}) == [("t.json[0]", new)]
    assert values({"tests": [{"localTestDefinition": TEST, "config": overrides}]}) == [("t.json[0]", new)]


def test_an_object_of_definitions_by_their_identities_is_read() -> None:
    """As datadog-sync-cli keeps them."""
    two = TEST | {"name": "two"}
    assert values({"abc-def-ghi#7": TEST, "abc-def-ghj#8": two}) == [("t.json[0]", TEST), ("t.json[1]", two)]


def test_a_substitution_in_the_url_becomes_a_member_of_the_request() -> None:
    entry = {"localTestDefinition": TEST, "testOverrides": {"startUrlSubstitutionRegex": "a|b"}}
    ((_, value),) = values(entry)
    assert isinstance(value, dict)
    assert value["config"]["request"] == {"url": "https://old.test/", "startUrlSubstitutionRegex": "a|b"}


def test_the_ci_clients_name_of_config_variables_is_read() -> None:
    variables = [{"name": "A", "type": "text", "pattern": "x"}]
    local = TEST | {"config": {"variables": variables}}
    ((_, value),) = values({"localTestDefinition": local})
    assert isinstance(value, dict)
    assert value["config"]["configVariables"] == variables


@pytest.mark.parametrize(
    ("rule", "skipped", "remarks"), [("skipped", True, 0), ("non_blocking", False, 1), ("blocking", False, 0)]
)
def test_the_rule_of_execution_is_read(rule: str, skipped: bool, remarks: int) -> None:
    (found,) = read("t.json", orjson.dumps({"localTestDefinition": TEST, "testOverrides": {"executionRule": rule}}))
    assert isinstance(found, Definition)
    assert (found.skipped, len(found.remarks)) == (skipped, remarks)


@pytest.mark.parametrize(
    ("content", "place", "words"),
    [
        ({"tests": [{"id": "abc-def-ghi", "testOverrides": {}}]}, "t.json[0]", "import-tests -p abc-def-ghi -f FILE"),
        ({"tests": [{"id": "abc-def-ghi", "config": {"startUrl": "x"}}]}, "t.json[0]", "-p abc-def-ghi -f FILE"),
        ({"tests": [{"local_test_definition": 3}]}, "t.json[0]", "local_test_definition: must be an object"),
        (
            {"tests": [{"local_test_definition": TEST, "config": {"headers": 3}}]},
            "t.json[0]",
            "config.headers: must be an object, not a number",
        ),
        ({"tests": [{"public_id": "abc-def-ghi"}]}, "t.json[0]", "names the test abc-def-ghi and does not hold it"),
        ({"resource": {"datadog_synthetics_test": {"a": {}}}}, "t.json", "Terraform's own form"),
        ({"version": 4, "terraform_version": "1.9.0", "resources": []}, "t.json", "Terraform's own form"),
        ({"format_version": "1.2", "planned_values": {}}, "t.json", "Terraform's own form"),
        ({"tests": [{"localTestDefinition": 3}]}, "t.json[0]", "localTestDefinition: must be an object"),
        (
            {"tests": [{"localTestDefinition": TEST, "testOverrides": {"headers": 3}}]},
            "t.json[0]",
            "testOverrides.headers: must be an object, not a number",
        ),
    ],
)
def test_what_tools_write_and_is_no_definition_says_how_to_get_one(content: object, place: str, words: str) -> None:
    (found,) = read("t.json", orjson.dumps(content))
    assert isinstance(found, Unusable)
    assert str(found).startswith(f"{place}: ")
    assert words in found.reason


def test_terraforms_language_is_not_json_and_is_told_so() -> None:
    (found,) = read("main.tf", b'resource "datadog_synthetics_test" "a" {}')
    assert isinstance(found, Unusable)
    assert "Terraform's own form" in found.reason
