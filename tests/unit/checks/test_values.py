"""Values as text and as numbers, the way JavaScript has them."""

from __future__ import annotations

import json
import random
import struct
import subprocess

import pytest

from tests.support.node import NODE, needs_node
from worker.checks.judgement import JudgementError
from worker.checks.values import JSON, number_of, same_structure, shown, text_of
from worker.text import cut


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        ("", ""),
        (0, "0"),
        (-7, "-7"),
        (2**64, "18446744073709551616"),
        (1.0, "1"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (52.7, "52.7"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (0.000001, "0.000001"),
        (1e-7, "1e-7"),
        (-1.25e-10, "-1.25e-10"),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (True, "true"),
        (False, "false"),
        (None, "null"),
        ([1, "a", None, {"b": True}], '[1,"a",null,{"b":true}]'),
        ({"é": "é"}, '{"é":"é"}'),
    ],
)
def test_text(value: JSON, text: str) -> None:
    assert text_of(value) == text


@needs_node
def test_numbers_are_printed_as_node_prints_them() -> None:
    source = random.Random(4711)
    numbers = [struct.unpack("<d", source.randbytes(8))[0] for _ in range(3000)]
    numbers += [source.randint(-(10**16), 10**16) / 10 ** source.randint(0, 25) for _ in range(3000)]
    numbers += [float(f"{source.randint(1, 9)}e{exponent}") for exponent in range(-30, 30)]
    numbers = [number for number in numbers if number == number and abs(number) != float("inf")]
    program = 'console.log(JSON.stringify(JSON.parse(require("fs").readFileSync(0, "utf8")).map(String)))'
    assert NODE is not None
    done = subprocess.run(
        [NODE, "-e", program], input=json.dumps(numbers).encode(), capture_output=True, timeout=60, check=True
    )
    assert [text_of(number) for number in numbers] == json.loads(done.stdout)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (5, 5),
        (5.5, 5.5),
        ("5", 5),
        (" 5.5 ", 5.5),
        ("+5", 5),
        ("-.5", -0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("9007199254740993", 9007199254740993),
        ("", None),
        ("five", None),
        ("5 apples", None),
        ("1_000", None),
        ("0x10", None),
        ("٣", None),
        ("nan", None),
        ("Infinity", None),
        ("9" * 401, None),
        (True, None),
        (None, None),
        ([5], None),
        ({}, None),
    ],
)
def test_number(value: JSON, number: float | None) -> None:
    assert number_of(value) == number
    assert type(number_of(value)) is type(number)


def test_structures_are_equal_whatever_the_order_of_members_and_true_is_not_one() -> None:
    assert same_structure({"a": 1, "b": [True]}, {"b": [True], "a": 1})
    assert not same_structure([True], [1])
    assert not same_structure([1, 2], [2, 1])


def test_what_is_shown_keeps_its_type_and_is_cut() -> None:
    values: list[JSON] = [None, True, 5, 5.5, "a", [1], float("nan")]
    assert [shown(value) for value in values] == [None, True, 5, 5.5, "a", "[1]", "NaN"]
    assert shown("x" * 501) == "x" * 499 + "…"
    assert cut("x" * 500, 500) == "x" * 500


def test_depth_ends_in_a_reason_or_an_ellipsis() -> None:
    deep: JSON = []
    for _ in range(900):
        deep = [deep]
    with pytest.raises(JudgementError, match="nested too deeply"):
        text_of(deep)
    with pytest.raises(JudgementError, match="nested too deeply"):
        same_structure(deep, [])
    assert shown(deep) == "…"
