"""The order of turns: the oldest first, and no test before everybody by the number of its runs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controlplane.turns import Waiting, in_turn

waiting = st.builds(Waiting, st.sampled_from("abcde"), st.integers(0, 1000))
served = st.dictionaries(st.sampled_from("abcde"), st.integers(0, 1000))


def order(queue: list[Waiting], served: dict[str, int], *, now: int = 1000) -> list[str]:
    return [f"{queue[index].test}{queue[index].since}" for index in in_turn(queue, served, now=now)]


def test_the_oldest_comes_first_where_each_test_has_one_run() -> None:
    assert order([Waiting("a", 3), Waiting("b", 1), Waiting("c", 2)], {}) == ["b1", "c2", "a3"]


def test_the_second_run_of_a_test_comes_behind_the_first_of_everybody() -> None:
    queue = [Waiting("a", 1), Waiting("a", 1), Waiting("a", 2), Waiting("b", 900), Waiting("c", 999)]
    assert order(queue, {}) == ["a1", "b900", "c999", "a1", "a2"]


def test_a_test_that_was_served_comes_behind_those_that_waited_then() -> None:
    queue = [Waiting("a", 1), Waiting("b", 5), Waiting("c", 8)]
    assert order(queue, {"a": 6}) == ["b5", "a1", "c8"]
    assert order(queue, {"a": 0}) == ["a1", "b5", "c8"], "a run that is newer than that waits from its own time"


@given(st.lists(waiting, max_size=30), served)
def test_everybody_has_one_turn_and_a_test_has_its_own_in_order(queue: list[Waiting], served: dict[str, int]) -> None:
    turns = in_turn(queue, served, now=1000)
    assert sorted(turns) == list(range(len(queue)))
    for test in "abcde":
        own = [queue[index].since for index in turns if queue[index].test == test]
        assert own == sorted(own)


@given(st.lists(waiting, max_size=20), st.integers(2, 5))
def test_with_one_slot_nobody_waits_for_more_than_one_run_of_each_other_test(queue: list[Waiting], most: int) -> None:
    """One run is given out at a time, as to a location of one slot; time passes with each."""
    queue = [*queue, *[Waiting("greedy", 0)] * most]
    last: dict[str, int] = {}
    now, given_out = 1000, []
    while queue:
        now += 1
        first = in_turn(queue, last, now=now)[0]
        run = queue.pop(first)
        last[run.test] = now
        given_out.append(run.test)
    for test in set(given_out):
        before = given_out[: given_out.index(test)]
        assert all(before.count(other) <= 1 for other in before), given_out
