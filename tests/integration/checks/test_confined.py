"""The real assertions in a real evaluator, which has neither files nor network: the same results as in this process."""

from __future__ import annotations

import gzip
from dataclasses import replace
from typing import Any

import pytest

from tests.support.definitions import json_path, json_schema, xpath
from tests.support.observed import LIMITS as DEFAULTS
from tests.support.observed import http, parsed_test
from worker.apitest.observation import Observation
from worker.checks.evaluate import evaluate
from worker.checks.evidence import Evidence
from worker.clock import SystemClock
from worker.evaluators.pool import Evaluators

LIMITS = replace(DEFAULTS, pattern_seconds=5.0)

SIGNING = """
    const key = await crypto.subtle.importKey("raw", new Uint8Array(3), {name: "HMAC", hash: "SHA-512"}, false, ["sign"]);
    for (const hash of ["SHA-1", "SHA-256", "SHA-384", "SHA-512"]) await crypto.subtle.digest(hash, new Uint8Array(9));
    console.log(std.encoding.hex.encodeHex(await crypto.subtle.sign("HMAC", key, new TextEncoder().encode("Ж"))));
"""

CASES: list[tuple[str, Observation, list[dict[str, Any]]]] = [
    (
        "json",
        http(b'{"items":[{"id":1,"name":"Ann"},{"id":2,"name":"bob"}]}'),
        [
            json_path("$.items[?(@.id > 1)].name", "is", "bob"),
            json_path("$.items[?match(@.name, 'A.*')].id", "is", 1),
            json_path("$..id", "lessThan", 3, "everyElementMatches"),
            json_path("$..name", "matches", "^A", "everyElementMatches"),
            json_schema('{"type":"object","properties":{"items":{"maxItems":1}}}', "2020-12"),
            json_schema('{"format":"date","pattern":"(?=a)"}', "draft-06"),
            {"type": "body", "operator": "matches", "target": '(?<=\\{)"items"'},
            {"type": "bodyHash", "operator": "sha256", "target": "a"},
        ],
    ),
    (
        "scripts",
        http(b'{"name":"Ann"}'),
        [
            {"type": "javascript", "code": "JSON.parse(dd.response.body).name.should.equal('Ann')"},
            {"type": "javascript", "code": "console.log('seen'); dd.expect({a: [1]}).to.deep.equal({a: [2]})"},
            {"type": "javascript", "code": SIGNING},
            {"type": "javascript", "code": "dd.variable.setObfuscated('A', 'b'); await 1; throw new Error('Ж')"},
        ],
    ),
    (
        "compressed, in koi8-r",
        http(gzip.compress("<p>Жук".encode("koi8-r")), "text/html; charset=koi8-r", encodings=("gzip",)),
        [
            xpath("//p", "is", "Жук"),
            xpath("count(//p)", "is", 2),
            {"type": "body", "operator": "contains", "target": "Жук"},
            {"type": "header", "property": "content-type", "operator": "matches", "target": "koi8"},
        ],
    ),
    (
        "shift-jis by its own declaration",
        http("<?xml version='1.0' encoding='shift_jis'?><a>日本</a>".encode("shift-jis"), "text/xml"),
        [xpath("/a", "is", "日本"), xpath("/a", "matches", "^日"), json_path("$.a", "isUndefined")],
    ),
    (
        "an entity that points at a file",
        http(b"<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><a>&e;</a>", "text/xml"),
        [xpath("string(/a)", "contains", "root"), json_schema('{"$ref":"file:///etc/passwd"}')],
    ),
]


@pytest.mark.parametrize(("observation", "assertions"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
async def test_an_evaluator_reaches_the_results_of_this_process(
    observation: Observation, assertions: list[dict[str, Any]]
) -> None:
    parsed = parsed_test("http", *assertions).assertions
    evidence = Evidence(observation, LIMITS)
    expected = tuple(evaluate(assertion, evidence) for assertion in parsed)
    async with Evaluators(1, LIMITS, SystemClock()) as evaluators:
        evaluation = await evaluators.evaluate("a test", parsed, observation, 30)
        assert evaluation.results == expected
        assert evaluators.killed == 0
