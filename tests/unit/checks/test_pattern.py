"""Patterns are JavaScript's: agreement with a curated table and with a real engine, and limits that hold."""

from __future__ import annotations

import itertools
import random
import re
import time
from contextlib import suppress
from dataclasses import replace

import pytest

from tests.support.node import found_by_node, needs_node
from tests.support.observed import LIMITS, http, judged
from tests.unit.checks.dialect import CASES
from worker.checks.judgement import JudgementError
from worker.checks.pattern import search
from worker.outcome.failure import FailureCode

SYNTAX = r"\Athe pattern is not a valid JavaScript regular expression: .+\Z"


def found(pattern: str, text: str) -> bool | None:
    """What the worker's engine says, as the table says it."""
    try:
        return search(pattern, text, 5.0)
    except JudgementError as error:
        problem = error
    assert problem.code is None
    assert re.match(SYNTAX, problem.reason)
    return None


def test_the_table_is_large_enough_and_has_no_case_twice() -> None:
    assert len(CASES) >= 150
    assert len({(pattern, text) for pattern, text, _ in CASES}) == len(CASES)


@pytest.mark.parametrize(("pattern", "text", "expected"), CASES)
def test_a_curated_pattern_means_what_it_means_in_javascript(pattern: str, text: str, expected: bool | None) -> None:
    assert found(pattern, text) is expected


@needs_node
def test_node_agrees_with_the_table() -> None:
    answers = found_by_node([(pattern, text) for pattern, text, _ in CASES])
    wrong = [(case, answer) for case, answer in zip(CASES, answers, strict=True) if case[2] is not answer]
    assert wrong == []


ATOMS = [
    *("a", "b", "c", "1", "_", " ", "é", "😀", "\n", ".", "^", "$"),
    *("\\d", "\\w", "\\s", "\\D", "\\W", "\\S", "\\b", "\\B", "\\1", "\\2", "\\0", "\\x61", "\\u0062", "\\cA", "\\t"),
    *("[ab]", "[^ab]", "[a-c]", "[\\d_]", "[^\\s]", "[]", "[^]", "[\\b]", "[a-]", "[é-ü]", "[\\w-]"),
    *("{", "}", "]", "-", "/", "\\.", "\\-", "\\k<n0>", "\\p{L}", "\\q"),
]
QUANTIFIERS = ["", "", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,1}?", "{,2}", "{2,}", "{1"]
GROUPS = ["({})", "(?:{})", "(?={})", "(?!{})", "(?<={})", "(?<!{})", "(?<n#>{})"]
LETTERS = "abc1_ é😀\n-.x{}]/n"


def random_pattern(source: random.Random) -> str:
    """Group names are numbered: newer engines allow one name in several alternatives, older ones do not."""
    numbers = itertools.count()
    return re.sub("#", lambda _: str(next(numbers)), nested_pattern(source, 0))


def nested_pattern(source: random.Random, depth: int) -> str:
    parts = []
    for _ in range(source.randint(1, 4)):
        if depth < 3 and source.random() < 0.3:
            atom = source.choice(GROUPS).replace("{}", nested_pattern(source, depth + 1))
        else:
            atom = source.choice(ATOMS)
        parts.append(atom + source.choice(QUANTIFIERS))
    return ("|" if source.random() < 0.15 else "").join(parts)


@needs_node
def test_generated_patterns_are_found_where_node_finds_them() -> None:
    source = random.Random(20_240_229)
    cases = [(random_pattern(source), "".join(source.choices(LETTERS, k=source.randint(0, 8)))) for _ in range(4000)]
    answers = found_by_node(cases)
    wrong = [(case, answer) for case, answer in zip(cases, answers, strict=True) if found(*case) is not answer]
    assert wrong == []
    assert sum(answer is True for answer in answers) > 500
    assert sum(answer is False for answer in answers) > 500
    assert sum(answer is None for answer in answers) > 100


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(a+)+b", "a" * 40),
        ("^(\\w+\\s?)*$", "word " * 20 + "!"),
        ("(x+x+)+y", "x" * 60),
        ("(?:a|aa)+$", "a" * 60 + "b"),
        ("\\s+$", " " * 100_000 + "x"),
    ],
)
def test_a_pattern_that_would_go_on_for_ages_ends_at_the_limit_with_its_own_code(pattern: str, text: str) -> None:
    began = time.process_time()
    with pytest.raises(JudgementError, match="the pattern was not done within 100 ms") as caught:
        search(pattern, text, 0.1)
    assert caught.value.code is FailureCode.TIMEOUT
    assert time.process_time() - began < 0.3
    assert search("^ok$", "ok", 0.1)


def test_a_pattern_that_is_out_of_time_or_wrong_fails_even_where_the_operator_is_negative() -> None:
    page, limits = http(b"a" * 40), replace(LIMITS, pattern_seconds=0.05)
    slow = judged(page, {"type": "body", "operator": "doesNotMatch", "target": "(a+)+b"}, limits)
    assert (slow.valid, slow.code) == (False, FailureCode.TIMEOUT)
    assert slow.error_message == "the body: the pattern was not done within 50 ms"
    wrong = judged(page, {"type": "body", "operator": "doesNotMatch", "target": "(?i)x"}, limits)
    assert (wrong.valid, wrong.code) == (False, None)
    assert str(wrong.error_message).startswith("the body: the pattern is not a valid JavaScript regular expression: ")


def test_a_pattern_that_needs_too_much_memory_says_so_and_the_next_one_works() -> None:
    with pytest.raises(JudgementError, match="more memory than an assertion may use") as caught:
        search("(?:a|b)*c", "ab" * 12_000_000, 30.0)
    assert caught.value.code is None
    assert search("^ok$", "ok", 30.0)


@pytest.mark.parametrize(
    "pattern", ["(" * 5000, "(?:" * 3000 + ")" * 3000, "(a)" * 3000, "a{1000000}" * 900, "[" * 9000, "a|" * 4999]
)
def test_a_pattern_that_is_hard_to_compile_ends_soon(pattern: str) -> None:
    began = time.process_time()
    with suppress(JudgementError):  # either outcome is right, both in time
        search(pattern, "a", 0.1)
    assert time.process_time() - began < 0.5


def test_a_pattern_has_a_longest_length() -> None:
    assert search("a" * 10_000, "a" * 10_000, 0.5)
    with pytest.raises(JudgementError, match="10001 characters, more than 10000"):
        search("a" * 10_001, "a", 0.5)


def test_time_is_counted_for_each_search_anew() -> None:
    for _ in range(40):
        assert not search("(?:a|b|ab)*c", "ab" * 12, 0.5)
