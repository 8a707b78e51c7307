"""What each evaluator may take: together with the worker and its bodies never more than there is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.evaluators.bounds import MEMORY_BYTES, MIN_MEMORY_BYTES, WORKER_BYTES, recycle_size, share_of_memory

MIB = 1024 * 1024


def test_a_pod_of_one_gibibyte_leaves_room_for_bodies_at_their_bound() -> None:
    """Two evaluators and a spare, ten slots. That it suffices is tried in tests/integration/evaluators."""
    share = share_of_memory(1024 * MIB, evaluators=3, body_bytes=10 * 2 * 5_000_000)
    assert 260 * MIB < share < 290 * MIB


def test_without_a_limit_each_has_its_bound() -> None:
    assert share_of_memory(None, evaluators=3, body_bytes=0) == MEMORY_BYTES


@given(
    limit=st.integers(0, 1 << 50),
    evaluators=st.integers(2, 65),
    body_bytes=st.integers(0, 1 << 33),
)
def test_the_shares_stay_below_the_limit_unless_they_are_of_no_use(
    limit: int, evaluators: int, body_bytes: int
) -> None:
    share = share_of_memory(limit, evaluators, body_bytes)
    assert MIN_MEMORY_BYTES <= share <= MEMORY_BYTES
    bodies = min(body_bytes, (limit - WORKER_BYTES) // 2)
    assert evaluators * share + bodies + WORKER_BYTES <= limit or share == MIN_MEMORY_BYTES


def test_many_slots_leave_half_of_the_memory_to_evaluators() -> None:
    share = share_of_memory(3 * 1024 * MIB + WORKER_BYTES, evaluators=3, body_bytes=1000 * 2 * 5_000_000)
    assert share == 512 * MIB


@given(st.integers(MIN_MEMORY_BYTES, MEMORY_BYTES))
def test_an_evaluator_is_replaced_while_half_of_its_share_is_free(share: int) -> None:
    assert recycle_size(share) <= share / 2
