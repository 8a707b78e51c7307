from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from worker.sandbox.fair_queue import LIGHT_SECONDS, MAX_REMEMBERED, Turns


def drain(turns: Turns[str]) -> list[str]:
    taken = []
    while (item := turns.take()) is not None:
        taken.append(item)
    return taken


def test_an_empty_queue_gives_nothing() -> None:
    assert Turns[str]().take() is None


def test_items_of_one_key_keep_their_order() -> None:
    turns = Turns[str]()
    for item in ("a", "b", "c"):
        turns.put("key", item)
    assert drain(turns) == ["a", "b", "c"]


def test_keys_that_cost_nothing_take_turns_however_many_items_one_of_them_queues() -> None:
    turns = Turns[str]()
    for number in range(100):
        turns.put("greedy", f"greedy {number}")
    turns.put("modest", "modest")
    assert drain(turns).index("modest") <= 1


def test_a_costly_key_falls_behind_a_cheap_one() -> None:
    turns = Turns[str]()
    turns.put("costly", "costly 1")
    turns.put("costly", "costly 2")
    assert turns.take() == "costly 1"
    turns.charge("costly", 0.5)
    served = []
    for number in range(100):
        turns.put("cheap", f"cheap {number}")
        served.append(turns.take())
        turns.charge("cheap", 0.001)
    assert "costly 2" not in served
    assert turns.take() == "costly 2"


def test_a_cost_that_becomes_known_while_the_key_waits_moves_it_back() -> None:
    turns = Turns[str]()
    turns.put("costly", "costly 1")
    turns.put("costly", "costly 2")
    turns.take()
    turns.put("other", "other")
    turns.charge("costly", 1.0)
    assert turns.take() == "other"


def test_a_costly_key_is_served_at_once_when_it_is_alone() -> None:
    turns = Turns[str]()
    turns.charge("costly", 1000.0)
    turns.put("costly", "item")
    assert turns.take() == "item"


def test_a_new_key_gets_no_credit_for_the_time_before_it_came() -> None:
    turns = Turns[str]()
    for _ in range(10):
        turns.put("old", "old")
        turns.take()
        turns.charge("old", 1.0)
    turns.put("old", "old")
    for number in range(20):
        turns.put("new", f"new {number}")
    served = []
    for _ in range(4):
        item = turns.take()
        served.append(item)
        turns.charge("new" if item != "old" else "old", 1.0)
    assert "old" in served


def test_a_removed_item_is_not_served() -> None:
    turns = Turns[str]()
    turns.put("key", "stays")
    turns.put("key", "goes")
    turns.put("lonely", "goes too")
    assert turns.remove("key", "goes")
    assert turns.remove("lonely", "goes too")
    assert not turns.remove("lonely", "goes too")
    assert len(turns) == 1
    assert drain(turns) == ["stays"]


def test_a_key_that_was_removed_may_come_back() -> None:
    turns = Turns[str]()
    turns.put("key", "first")
    turns.remove("key", "first")
    turns.put("key", "second")
    assert drain(turns) == ["second"]


def test_the_past_of_many_keys_is_forgotten_the_cheapest_first() -> None:
    turns = Turns[str]()
    turns.charge("dear", 1_000_000.0)
    for number in range(3 * MAX_REMEMBERED):
        turns.charge(f"key {number}", 1.0 + number / 1e9)
    turns.put("dear", "dear")
    turns.put("fresh", "fresh")
    assert drain(turns) == ["fresh", "dear"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.001, 10.0)), max_size=60))
def test_everything_that_is_put_is_taken_once(items: list[tuple[str, float]]) -> None:
    turns = Turns[tuple[str, int]]()
    for number, (key, _) in enumerate(items):
        turns.put(key, (key, number))
    taken: list[tuple[str, int]] = []
    while (item := turns.take()) is not None:
        taken.append(item)
        turns.charge(item[0], items[item[1]][1])
    assert sorted(number for _, number in taken) == list(range(len(items)))
    assert len(turns) == 0


@given(st.dictionaries(st.sampled_from("abcd"), st.floats(0.01, 1.0), min_size=2))
def test_keys_that_always_wait_get_equal_shares_of_the_cost(costs: dict[str, float]) -> None:
    """Start-time fair queueing's bound: two backlogged flows differ by at most one largest item of each."""
    turns = Turns[str]()
    for waiting in costs:
        turns.put(waiting, waiting)
        turns.put(waiting, waiting)
    served: Counter[str] = Counter()
    for _ in range(300):
        key = turns.take()
        assert key is not None
        turns.charge(key, costs[key])
        turns.put(key, key)
        served[key] += 1
    work = {key: served[key] * cost for key, cost in costs.items()}
    assert max(work.values()) - min(work.values()) <= 2 * max(costs.values()) + 1e-6


def test_whoever_asks_for_something_light_gets_a_key_whose_turns_are_short() -> None:
    turns = Turns[str]()
    turns.charge("heavy", 2 * LIGHT_SECONDS)
    turns.charge("light", LIGHT_SECONDS)
    for key in ("heavy", "new", "light"):
        turns.put(key, key)
    assert turns.take(light_only=True) == "light"
    assert turns.take(light_only=True) is None
    assert drain(turns) == ["new", "heavy"]


def test_a_key_that_becomes_heavy_while_it_waits_is_heavy() -> None:
    turns = Turns[str]()
    turns.charge("key", 0.0)
    turns.put("key", "item")
    turns.charge("key", 8 * LIGHT_SECONDS)
    assert turns.take(light_only=True) is None
    assert turns.take() == "item"


def test_one_long_turn_does_not_make_a_key_heavy_and_one_short_turn_does_not_make_it_light() -> None:
    turns = Turns[str]()
    for cost in (0.001, 0.001, 3 * LIGHT_SECONDS):
        turns.charge("drawn out once", cost)
    for cost in (8 * LIGHT_SECONDS, 0.001):
        turns.charge("short once", cost)
    for key in ("short once", "drawn out once"):
        turns.put(key, key)
    assert turns.take(light_only=True) == "drawn out once"
    assert turns.take(light_only=True) is None


def test_a_key_that_keeps_being_short_becomes_light() -> None:
    turns = Turns[str]()
    turns.charge("key", 1.0)
    for _ in range(10):
        turns.charge("key", 0.001)
    turns.put("key", "item")
    assert turns.take(light_only=True) == "item"
