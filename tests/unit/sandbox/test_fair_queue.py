from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from worker.sandbox.fair_queue import LIGHT_SECONDS, MAX_REMEMBERED, FairQueue


def drain(queue: FairQueue[str]) -> list[str]:
    taken = []
    while (item := queue.take()) is not None:
        taken.append(item)
    return taken


def test_an_empty_queue_gives_nothing() -> None:
    assert FairQueue[str]().take() is None


def test_items_of_one_key_keep_their_order() -> None:
    queue = FairQueue[str]()
    for item in ("a", "b", "c"):
        queue.put("key", item)
    assert drain(queue) == ["a", "b", "c"]


def test_keys_that_cost_nothing_take_turns_however_many_items_one_of_them_queues() -> None:
    queue = FairQueue[str]()
    for number in range(100):
        queue.put("greedy", f"greedy {number}")
    queue.put("modest", "modest")
    assert drain(queue).index("modest") <= 1


def test_a_costly_key_falls_behind_a_cheap_one() -> None:
    queue = FairQueue[str]()
    queue.put("costly", "costly 1")
    queue.put("costly", "costly 2")
    assert queue.take() == "costly 1"
    queue.charge("costly", 0.5)
    served = []
    for number in range(100):
        queue.put("cheap", f"cheap {number}")
        served.append(queue.take())
        queue.charge("cheap", 0.001)
    assert "costly 2" not in served
    assert queue.take() == "costly 2"


def test_a_cost_that_becomes_known_while_the_key_waits_moves_it_back() -> None:
    queue = FairQueue[str]()
    queue.put("costly", "costly 1")
    queue.put("costly", "costly 2")
    queue.take()
    queue.put("other", "other")
    queue.charge("costly", 1.0)
    assert queue.take() == "other"


def test_a_costly_key_is_served_at_once_when_it_is_alone() -> None:
    queue = FairQueue[str]()
    queue.charge("costly", 1000.0)
    queue.put("costly", "item")
    assert queue.take() == "item"


def test_a_new_key_gets_no_credit_for_the_time_before_it_came() -> None:
    queue = FairQueue[str]()
    for _ in range(10):
        queue.put("old", "old")
        queue.take()
        queue.charge("old", 1.0)
    queue.put("old", "old")
    for number in range(20):
        queue.put("new", f"new {number}")
    served = []
    for _ in range(4):
        item = queue.take()
        served.append(item)
        queue.charge("new" if item != "old" else "old", 1.0)
    assert "old" in served


def test_a_removed_item_is_not_served() -> None:
    queue = FairQueue[str]()
    queue.put("key", "stays")
    queue.put("key", "goes")
    queue.put("lonely", "goes too")
    assert queue.remove("key", "goes")
    assert queue.remove("lonely", "goes too")
    assert not queue.remove("lonely", "goes too")
    assert len(queue) == 1
    assert drain(queue) == ["stays"]


def test_a_key_that_was_removed_may_come_back() -> None:
    queue = FairQueue[str]()
    queue.put("key", "first")
    queue.remove("key", "first")
    queue.put("key", "second")
    assert drain(queue) == ["second"]


def test_the_past_of_many_keys_is_forgotten_the_cheapest_first() -> None:
    queue = FairQueue[str]()
    queue.charge("dear", 1_000_000.0)
    for number in range(3 * MAX_REMEMBERED):
        queue.charge(f"key {number}", 1.0 + number / 1e9)
    queue.put("dear", "dear")
    queue.put("fresh", "fresh")
    assert drain(queue) == ["fresh", "dear"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.001, 10.0)), max_size=60))
def test_everything_that_is_put_is_taken_once(items: list[tuple[str, float]]) -> None:
    queue = FairQueue[tuple[str, int]]()
    for number, (key, _) in enumerate(items):
        queue.put(key, (key, number))
    taken: list[tuple[str, int]] = []
    while (item := queue.take()) is not None:
        taken.append(item)
        queue.charge(item[0], items[item[1]][1])
    assert sorted(number for _, number in taken) == list(range(len(items)))
    assert len(queue) == 0


@given(st.dictionaries(st.sampled_from("abcd"), st.floats(0.01, 1.0), min_size=2))
def test_keys_that_always_wait_get_equal_shares_of_the_cost(costs: dict[str, float]) -> None:
    """Start-time fair queueing's bound: two backlogged flows differ by at most one largest item of each."""
    queue = FairQueue[str]()
    for waiting in costs:
        queue.put(waiting, waiting)
        queue.put(waiting, waiting)
    served: Counter[str] = Counter()
    for _ in range(300):
        key = queue.take()
        assert key is not None
        queue.charge(key, costs[key])
        queue.put(key, key)
        served[key] += 1
    work = {key: served[key] * cost for key, cost in costs.items()}
    assert max(work.values()) - min(work.values()) <= 2 * max(costs.values()) + 1e-6


def test_whoever_asks_for_something_light_gets_a_key_whose_turns_are_short() -> None:
    queue = FairQueue[str]()
    queue.charge("heavy", 2 * LIGHT_SECONDS)
    queue.charge("light", LIGHT_SECONDS)
    for key in ("heavy", "new", "light"):
        queue.put(key, key)
    assert queue.take(light_only=True) == "light"
    assert queue.take(light_only=True) is None
    assert drain(queue) == ["new", "heavy"]


def test_a_key_that_becomes_heavy_while_it_waits_is_heavy() -> None:
    queue = FairQueue[str]()
    queue.charge("key", 0.0)
    queue.put("key", "item")
    queue.charge("key", 8 * LIGHT_SECONDS)
    assert queue.take(light_only=True) is None
    assert queue.take() == "item"


def test_one_long_turn_does_not_make_a_key_heavy_and_one_short_turn_does_not_make_it_light() -> None:
    queue = FairQueue[str]()
    for cost in (0.001, 0.001, 3 * LIGHT_SECONDS):
        queue.charge("drawn out once", cost)
    for cost in (8 * LIGHT_SECONDS, 0.001):
        queue.charge("short once", cost)
    for key in ("short once", "drawn out once"):
        queue.put(key, key)
    assert queue.take(light_only=True) == "drawn out once"
    assert queue.take(light_only=True) is None


def test_a_key_that_keeps_being_short_becomes_light() -> None:
    queue = FairQueue[str]()
    queue.charge("key", 1.0)
    for _ in range(10):
        queue.charge("key", 0.001)
    queue.put("key", "item")
    assert queue.take(light_only=True) == "item"
