"""`data.jq` and `select`: as the `jq` program has it, and stopped where a program does not end."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.actions import RunnerOfOrders, allow_all
from tests.support.peers import peer
from worker.actions.action import ActionStatus
from worker.actions.jq import ConfinedJq, JqError

EXAMPLES: list[tuple[str, Any]] = [
    (".", "Hello, world!"),
    (".foo", {"foo": 42, "bar": "less interesting data"}),
    (".foo?", {"notfoo": True}),
    ("[.foo?]", [1, 2]),
    (".[\"foo\"]", {"foo": 42}),
    (".[0]", [{"name": "JSON"}, {"name": "XML"}]),
    (".[2:4]", ["a", "b", "c", "d", "e"]),
    (".[:3]", "abcdefghi"),
    (".[]", [1, [2], {"a": 3}]),
    (".foo, .bar", {"foo": 42, "bar": "something else"}),
    (".[] | .name", [{"name": "JSON"}, {"name": "XML"}]),
    ("(. + 2) * 5", 1),
    ("{user, title: .titles[]}", {"user": "stedolan", "titles": ["JQ Primer", "More JQ"]}),
    ("..|.a?", [[{"a": 1}]]),
    (".a + .b", {"a": 7, "b": 1}),
    ("{a: 1} + {b: 2} + {c: 3} + {a: 42}", None),
    ("4 - .a", {"a": 3}),
    (". - [\"xml\", \"yaml\"]", ["xml", "yaml", "json"]),
    ("[.[] | length]", [[1, 2], "string", {"a": 2}, None, -5]),
    ("keys", {"abc": 1, "abcd": 2, "Foo": 3}),
    ("map(has(\"foo\"))", [{"foo": 42}, {}]),
    ("map(.+1)", [1, 2, 3]),
    ("to_entries", {"a": 1, "b": 2}),
    ("with_entries(.key |= \"KEY_\" + .)", {"a": 1, "b": 2}),
    ("map(select(. >= 2))", [1, 5, 3, 0, 7]),
    ("add", ["a", "b", "c"]),
    ("any, all", [True, False]),
    ("flatten", [1, [2], [[3]]]),
    ("[range(2;4)]", None),
    ("floor, sqrt", 9),
    ("tostring, (tostring | tonumber? // 0)", 7),
    ("[.[]|tojson|fromjson]", [1, "foo", ["foo"]]),
    ("sort_by(.foo)", [{"foo": 4}, {"foo": 3}, {"foo": 2}]),
    ("group_by(.foo)", [{"foo": 1, "bar": 10}, {"foo": 3}, {"foo": 1, "bar": 1}]),
    ("unique_by(length)", ["chunky", "bacon", "kitten", "cicada", "asparagus"]),
    ("reverse", [1, 2, 3]),
    ("contains([\"baz\", \"bar\"])", ["foobar", "foobaz", "blarp"]),
    ("[.[]|startswith(\"foo\")]", ["fo", "foo", "barfoo"]),
    ("split(\", \")", "a, b,c,d, e"),
    ("join(\", \")", ["a", "b,c,d", "e"]),
    ("[while(.<100; .*2)]", 1),
    ("\"The input was \\(.), which is one less than \\(.+1)\"", 42),
    ("[.[]|(1 / .)?]", [1, 0, -1]),
    ("if . == 0 then \"zero\" elif . == 1 then \"one\" else \"many\" end", 2),
    ("reduce .[] as $item (0; . + $item)", [10, 2, 5, 3]),
    ("[limit(3; .[])]", [0, 1, 2, 3, 4]),
    ("test(\"foo\")", "foo bar"),
    ("[match(\"foo\"; \"g\").offset]", "foo bar foo"),
    ("sub(\"(?<x>a+)\"; \"<\\(.x)>\")", "baac"),
    ("@base64, @uri, @html", "a b & <ü>"),
    ("paths", [1, [[], {"a": 2}]]),
    ("del(.[1, 2])", ["foo", "bar", "baz"]),
    ("def addvalue(f): f as $x | map(. + $x); addvalue(.[0])", [[1, 2], [10, 20]]),
    ("recurse(.[]?)", [1, [2]]),
    (".. |= (numbers |= .+1)", [1, [2]]),
    ("try error(\"x\") catch .", None),
    ("splits(\", *\")", "ab,cd, ef"),
    ("ascii_downcase, ascii_upcase, ltrimstr(\"A\"), explode", "AbC"),
    ("todate", 1425599621),
]  # fmt: skip
"""Of the manual of jq."""


async def test_programs_mean_what_the_jq_program_says() -> None:
    """Check 24."""
    binary = peer("jq")
    made = ConfinedJq()
    whole = (
        "["
        + ", ".join(
            f"[{{}} | ({json.dumps(value)}) | {program}]" for program, value in EXAMPLES if "def " not in program
        )
        + "]"
    )
    found = await made.evaluate(whole, None, 5.0)
    expected = json.loads(
        subprocess.run(  # noqa: ASYNC221 - it takes a millisecond
            [binary, "-n", "-c", whole], capture_output=True, check=True
        ).stdout
    )
    wrong = [pair for pair in zip(found[0], expected, strict=True) if pair[0] != pair[1]]
    assert wrong == []
    assert await made.evaluate("def f: . + 1; f", 1, 5.0) == [2]


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("def f: f; f", "stopped|within|memory"),
        ("[range(1e9)] | length", "stopped|within|memory"),
        ("[limit(10001; repeat(1))] | .[]", "more than 10000 results"),
        (".[", "compile|syntax"),
        ('error("mine")', "mine"),
        ('import "a" as a; .', "module not found"),
        ("env | length", ""),
    ],
)
async def test_a_program_that_cannot_end_well_ends(program: str, words: str) -> None:
    made = ConfinedJq()
    if not words:
        assert await made.evaluate(program, None, 0.1) == [0]
        return
    with pytest.raises(JqError, match=words):
        await made.evaluate(program, None, 0.1)


async def test_data_jq_is_an_action(tmp_path: Path) -> None:
    made = RunnerOfOrders(tmp_path, rules=allow_all("data.jq"))
    outcome = await made.run("data.jq", {"program": ".a, .b", "value": {"a": 1, "b": 2}})
    assert outcome.outputs == {"value": [1, 2]}
    failed = await made.run("data.jq", {"program": ".a.b", "value": {"a": 1}})
    assert failed.status is ActionStatus.FAILED
    assert failed.error is not None
    assert failed.error.detail == "JQ"
