"""`validate`: a block each, the JSON of each, and the exit code that a script wants."""

from __future__ import annotations

import json

import pytest

from tests.support.definitions import http_test
from tests.unit.commands.found import BARE, INVALID, LATER, MISSPELT, UNUSABLE, VALID
from worker.apitest.files import Definition, Unusable
from worker.commands.validate import as_object, judge, validate


def outcome(
    *found: Definition | Unusable, as_json: bool = False, allow_update: bool = False
) -> tuple[int, list[str], list[str]]:
    shown: list[str] = []
    complaints: list[str] = []
    code = validate(found, as_json=as_json, allow_update=allow_update, show=shown.append, complain=complaints.append)
    return code, shown, complaints


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([VALID], 0),
        ([VALID, LATER], 1),
        ([MISSPELT], 1),
        ([LATER, UNUSABLE], 2),
        ([VALID, INVALID], 1),
        ([INVALID, UNUSABLE], 2),
        ([UNUSABLE, INVALID], 2),
    ],
)
def test_the_exit_code_is_the_worst_outcome(found: list[Definition | Unusable], code: int) -> None:
    assert outcome(*found)[0] == code


def test_each_definition_is_a_block_and_unusable_input_a_complaint() -> None:
    _, (valid, invalid, later, total), complaints = outcome(VALID, INVALID, UNUSABLE, LATER)
    assert valid == "✓ valid     a.json[0]  front page"
    assert invalid.splitlines() == [
        "✗ invalid   a.jsonl:7  front page",
        "    error         config.assertions: is missing",
        "    error         config.request: is missing",
    ]
    assert later.splitlines() == [
        "! doubtful  a.json[1]  front page",
        "    needs update  subtype: 'grpc' tests are not there yet",
    ]
    assert total == "3 definitions: 1 valid, 1 doubtful, 1 invalid"
    assert complaints == ["b.json: is not valid JSON"]


def test_what_this_version_lacks_is_told_beside_mistakes() -> None:
    wrong = http_test(assertions=[{"type": "statuscode", "operator": "is", "target": 1}], options={"tick_every": 1})
    (block,) = outcome(Definition(file="a.json", value=wrong))[1]
    assert block.splitlines()[1:] == [
        "    error         options.tick_every: must be a whole number from 30 to 604800, not 1",
        "    needs update  config.assertions[1].type: the assertion type 'statuscode' is not known: did you mean 'statusCode'?",
    ]


def test_of_a_test_of_another_kind_its_kind_alone_is_told() -> None:
    browser = {"type": "browser", "name": "a", "config": {"request": 5}}
    assert judge(Definition(file="a.json", value=browser)).errors == ("type: must be 'api', not 'browser'",)


def test_what_a_test_is_run_without_is_told_and_does_not_make_it_invalid() -> None:
    code, (line,), complaints = outcome(BARE)
    assert (code, complaints) == (0, [])
    assert line.splitlines() == [
        "✓ valid     c.json  front page",
        (
            "    ignored       config.request.certificate: without its contents, which exports leave out: "
            "no client certificate is shown"
        ),
    ]
    assert len(json.loads(outcome(BARE, as_json=True)[1][0])["ignored"]) == 1


def test_each_definition_is_one_object_with_its_place() -> None:
    _, lines, _ = outcome(VALID, INVALID, LATER, as_json=True)
    valid, invalid, later = map(json.loads, lines)
    assert valid == {
        "file": "a.json",
        "index": 0,
        "name": "front page",
        "ok": True,
        "valid": True,
        "errors": [],
        "requires_update": [],
        "misspelt": [],
        "ignored": [],
    }
    assert (invalid["line"], invalid["ok"], "index" in invalid) == (7, False, False)
    assert invalid["errors"]
    assert (later["ok"], later["valid"]) == (False, True)
    assert "grpc" in later["requires_update"][0]


@pytest.mark.parametrize("value", [None, 7, "text", [], {}, {"name": 7}, {"name": ["\x1b"], "config": 3}])
def test_what_is_no_test_at_all_is_invalid_and_nothing_more(value: object) -> None:
    definition = Definition(file="a.json", index=0, value=value)
    verdict = as_object(definition, judge(definition))
    assert (verdict["ok"], verdict["valid"], verdict["name"]) == (False, False, "")
    assert verdict["errors"]


def test_a_hostile_name_stays_on_its_line() -> None:
    hostile = Definition(file="a.json", index=0, value=http_test(name="a\n\x1b[2Jb\u202e"))
    ((line,), (as_json,)) = outcome(hostile)[1], outcome(hostile, as_json=True)[1]
    assert all(each.isprintable() for each in line.splitlines())
    assert json.loads(as_json)["name"] == "a\n\x1b[2Jb\u202e"


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("name", ["a\x1b[2Jb", "a\x9bb", "a\x7fb", "a\u202eb", "a\u2066b"])
def test_what_a_definition_or_a_file_is_called_cannot_command_the_terminal(name: str, as_json: bool) -> None:
    told: list[str] = []
    odd = Definition(file=f"{name}.json", index=0, value=http_test(name, locations=name))
    validate(
        [odd, Unusable(file=name, reason=f"is not {name}")], as_json=as_json, show=told.append, complain=told.append
    )
    assert len(told) == 2
    assert all(line.isprintable() for each in told for line in each.split("\n"))


def test_a_misspelt_member_is_named_with_what_was_probably_meant() -> None:
    _, (line,), _ = outcome(MISSPELT)
    assert line.splitlines() == [
        "! doubtful  d.json  front page",
        "    misspelt      options: the member 'tick_evry' is not known: did you mean 'tick_every'?",
        "    misspelt      config.request: the member 'timout' is not known: did you mean 'timeout'?",
    ]


@pytest.mark.parametrize(("found", "code"), [([LATER, MISSPELT], 0), ([LATER, INVALID], 1), ([LATER, UNUSABLE], 2)])
def test_allow_update_passes_what_a_newer_version_may_know_and_nothing_else(
    found: list[Definition | Unusable], code: int
) -> None:
    assert outcome(*found, allow_update=True)[0] == code


def test_a_long_list_is_cut_with_its_count_and_whole_in_json() -> None:
    many = Definition(file="a.json", index=0, value=http_test(assertions=[{"type": "x"}] * 19))
    (line,), (as_json,) = outcome(many)[1], outcome(many, as_json=True)[1]
    assert line.endswith("\n    needs update  and 9 more")
    assert len(json.loads(as_json)["errors"]) + len(json.loads(as_json)["requires_update"]) == 19
