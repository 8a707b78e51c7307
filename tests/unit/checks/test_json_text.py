"""JSON bodies as JavaScript reads them: `JSON.parse` of Node says what is JSON, and RFC 8259 what it means."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.support.definitions import json_path
from tests.support.node import answers_of_node, needs_node
from tests.support.observed import http, judged
from worker.checks.json_text import parse
from worker.checks.judgement import JudgementError
from worker.checks.limits import MAX_NESTING


def nested(levels: int, inner: str = "1") -> str:
    return '{"a":[' * (levels // 2) + inner + "]}" * (levels // 2)


VALID = [
    r'{"a": "\ud800"}',
    r'{"\uDC00": 1}',
    r'"\ud83d\ude00 \ude00\ud83d"',
    r'"\\ud800 \ud800\n"',
    "1e400",
    "-1e400",
    "1e-400",
    "[1, 2e999, 3]",
    "9" * 400,
    "9" * 5_000,
    "-0",
    nested(2_000),
    nested(MAX_NESTING),
    "[" * MAX_NESTING + "]" * MAX_NESTING,
    nested(2_000, r'"\ud800"'),
    " \t\r\n1",
    r'"\u0000"',
]
INVALID = [
    "",
    " ",
    "NaN",
    "[Infinity]",
    "-Infinity",
    "01",
    "1.",
    ".5",
    "+1",
    "[1,]",
    "{a:1}",
    "'a'",
    r'"\x41"',
    r'"\ud8"',
]
INVALID += [
    '"\n"',
    "1 2",
    "1e",
    "nul",
    r'"\ud800',
    "[1e400,]",
    "\u00a01",
    "[" * 2_000,
    nested(2_000) + "]",
    '{"a":1e400 "b":2}',
]


def is_json(text: str) -> bool:
    try:
        parse(text)
    except JudgementError:
        return False
    return True


@pytest.mark.parametrize("text", VALID, ids=range(len(VALID)))
def test_all_that_is_json_is_read(text: str) -> None:
    assert is_json(text)


@pytest.mark.parametrize("text", INVALID, ids=range(len(INVALID)))
def test_what_is_not_is_refused(text: str) -> None:
    assert not is_json(text)


@needs_node
def test_node_draws_the_same_line() -> None:
    chance = random.Random(8259)
    cases = [*VALID, *INVALID]
    for _ in range(2_000):
        text = list(
            chance.choice([case for case in VALID if len(case) < 50] + [r'{"a": [1e400, "\ud800", {"b": null}]}'])
        )
        for _ in range(chance.randrange(3)):
            text[chance.randrange(len(text))] = chance.choice([*'"\\{}[],:.-+eEuntf01', " ", "", "\n", "\ufeff"])
        cases.append("".join(text))
    by_node = answers_of_node(
        "cases.map((text) => { try { JSON.parse(text); return true; } catch { return false; } })", cases
    )
    assert [text for text, valid in zip(cases, by_node, strict=True) if is_json(text) is not valid] == []


@pytest.mark.parametrize(
    ("body", "assertion", "actual"),
    [
        (r'{"a": "x\ud800y", "b": 1}', json_path("$.b", "is", 1), 1),
        (r'{"a": "x\ud800y"}', json_path("$.a", "is", "x\ufffdy"), "x\ufffdy"),
        (r'{"a": "x\ud800y"}', json_path("$.a", "matches", "^x.y$"), "x\ufffdy"),
        (
            r'{"a": ["\ud83d\ude00", "\udc00"]}',
            json_path("$.a", "is", '["\U0001f600","\ufffd"]'),
            '["\U0001f600","\ufffd"]',
        ),
        ('{"a": 1e400, "b": 7}', json_path("$.b", "is", 7), 7),
        ('{"a": 1e400}', json_path("$.a", "moreThan", 5), "Infinity"),
        ('{"a": -1e400}', json_path("$.a", "is", "-Infinity"), "-Infinity"),
        ('{"a": [1e400]}', json_path("$.a", "is", "[null]"), "[null]"),
        (f'{{"deep": {nested(2_000)}, "b": "x"}}', json_path("$.b", "is", "x"), "x"),
        (f'{{"deep": {nested(2_000)}, "b": "x"}}', json_path("$.deep.a[0].a", "isNot", "x"), "\u2026"),
    ],
)
def test_such_a_body_can_be_judged(body: str, assertion: dict[str, Any], actual: object) -> None:
    result = judged(http(body.encode()), assertion)
    if actual != "\u2026":
        assert result.valid, result.error_message
    assert result.actual == actual


def test_a_schema_is_applied_to_it() -> None:
    schema = {"type": "body", "operator": "validatesJSONSchema"}
    for wanted, valid in (("string", True), ("number", False)):
        target = {"jsonSchema": f'{{"properties": {{"a": {{"type": "{wanted}"}}}}}}', "metaSchema": "draft-07"}
        assert judged(http(rb'{"a": "\ud800"}'), schema | {"target": target}).valid is valid


def test_what_is_nested_without_end_is_refused_and_says_so() -> None:
    with pytest.raises(JudgementError, match="levels"):
        parse("[" * 500_000 + "]" * 500_000)
