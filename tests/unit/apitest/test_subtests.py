"""Subtests find their way into the definitions that play them, and no cycle has an end that anybody waits for."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.support.definitions import multistep, step, subtest
from worker.apitest.parse import parse
from worker.apitest.subtests import embed, subtest_ids
from worker.errors import TestError

INNER = multistep(step("inner"), public_id="inn-inn-inn")
MIDDLE = multistep(step("middle"), subtest("inn-inn-inn"), public_id="mid-mid-mid")
OUTER = multistep(subtest("mid-mid-mid"), subtest("inn-inn-inn"), public_id="out-out-out")
KNOWN = {each["public_id"]: each for each in (INNER, MIDDLE, OUTER)}


def test_a_definition_is_whole_after_it() -> None:
    before = deepcopy(KNOWN)
    whole: Any = embed(OUTER, KNOWN.get)
    assert before == KNOWN
    middle, inner = (each["subtest"] for each in whole["config"]["steps"])
    assert (middle["name"], inner) == (MIDDLE["name"], INNER)
    assert middle["config"]["steps"][1]["subtest"] == INNER
    assert parse(whole).requires_update == ()
    assert list(subtest_ids(whole)) == []


def test_the_ids_that_a_definition_lacks_are_told() -> None:
    assert list(subtest_ids(OUTER)) == ["mid-mid-mid", "inn-inn-inn"]
    assert list(subtest_ids(INNER)) == []


def test_one_that_nobody_knows_stays_for_the_reader_to_name() -> None:
    whole = embed(OUTER, {"inn-inn-inn": INNER}.get)
    assert parse(whole).requires_update == (
        "config.steps[0].subtestPublicId: the subtest 'mid-mid-mid' is not part of this definition",
    )


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_a_cycle_of_any_length_is_a_mistake_and_ends(length: int) -> None:
    names = [f"number-{number}" for number in range(length)]
    known = {
        name: multistep(subtest(names[(number + 1) % length]), public_id=name) for number, name in enumerate(names)
    }
    with pytest.raises(TestError, match="plays itself" if length <= 3 else "2 levels deep at most"):
        parse(embed(known["number-0"], known.get))


@pytest.mark.parametrize(
    "odd", [None, 5, [], {}, {"config": 1}, {"config": {"steps": 1}}, {"config": {"steps": [1, {}]}}]
)
def test_what_is_no_definition_stays_what_it_is(odd: object) -> None:
    assert embed(odd, KNOWN.get) == odd
    assert list(subtest_ids(odd)) == []
