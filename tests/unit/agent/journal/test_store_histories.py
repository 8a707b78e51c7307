"""Any history of writes, deliveries, newer forms and failing disks, ended by a death: what the next worker finds."""

from __future__ import annotations

import errno
import os
import uuid
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.agent.journal import home, store
from worker.agent.journal.codec import SegmentKeys
from worker.agent.journal.store import Store
from worker.secret import Secret
from worker.wire.messages import ResultItem, raw

KEYS = SegmentKeys("pl:a", (Secret(b"the private key of a location"),))
SMALL = 700
"""Bytes of a segment in place of millions: a result or two fill it."""

Step = tuple[list[str], list[str]]
"""Results that are written, and those that need no more delivery."""

names = st.sampled_from("abcdefgh")
steps = st.lists(
    st.tuples(st.lists(names, max_size=4, unique=True), st.lists(names, max_size=3, unique=True)),
    min_size=1,
    max_size=12,
)
_salts = count()


class Disk:
    """The calls that a store makes of the system; those of the numbers *failing* fail, and none is waited for."""

    def __init__(self, failing: frozenset[int]) -> None:
        self._failing = failing
        self._calls = 0
        self._write = os.write

    def sync(self, _: int) -> None:
        self._fail_in_turn()

    def write(self, descriptor: int, data: bytes) -> int:
        """One that fails has written the beginning."""
        try:
            self._fail_in_turn()
        except OSError:
            self._write(descriptor, data[: len(data) // 2])
            raise
        return self._write(descriptor, data)

    def _fail_in_turn(self) -> None:
        self._calls += 1
        if self._calls in self._failing:
            raise OSError(errno.EIO, "Input/output error")


def new_store(room: Path) -> Store:
    return Store(
        room,
        KEYS,
        worker=str(uuid.uuid4()),
        age_ns=lambda _: 100 * 10**9,
        salt=lambda size: next(_salts).to_bytes(size),
    )


def written(one: Store, items: list[ResultItem], done: list[str]) -> None:
    """As the journal does it: again until it succeeds."""
    for _ in range(20):
        try:
            one.write(items, done)
        except OSError:
            continue
        return
    pytest.fail("the disk fails too often")


def play(one: Store, history: list[Step]) -> dict[str, ResultItem]:
    """Write and deliver as *history* says; what waits at its end."""
    waiting: dict[str, ResultItem] = {}
    for number, (kept, done) in enumerate(history):
        items = [
            ResultItem(result=name, job=name, lease=f"{name}.{number}", outcome=raw({"padding": "x" * 150}))
            for name in kept
        ]
        written(one, items, [name for name in done if name not in kept])
        waiting = {name: item for name, item in waiting.items() if name not in done} | {
            item.result: item for item in items
        }
        assert one.results == len(waiting)
    return waiting


def found_after_a_death(one: Store, room: Path) -> dict[str, ResultItem]:
    os.close(one._home.lock)  # type: ignore[union-attr]
    heir, found = new_store(room), dict[str, ResultItem]()
    while (items := heir.inherit(after=60)) is not None:
        assert len({item.result for item in items}) == len(items)
        found |= {item.result: item for item in items}
    heir.write([], list(found))
    assert [path.name for path in room.iterdir()] == [heir.worker], "what was delivered is deleted"
    heir.close()
    return found


def ended(failing: frozenset[int], history: list[Step]) -> tuple[dict[str, ResultItem], dict[str, ResultItem]]:
    """What waits at the end of a *history* on a disk of which these calls fail, and what is found after a death."""
    disk = Disk(failing)
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "SEGMENT_BYTES", SMALL)
        patch.setattr(os, "fsync", lambda _: None)
        one = new_store(Path(folder))
        one.tend()
        with patch.context() as broken:
            broken.setattr(os, "fdatasync", disk.sync)
            broken.setattr(os, "write", disk.write)
            waiting = play(one, history)
        assert one.bytes == sum(path.stat().st_size for path in home.segments_of(Path(folder, one.worker)))
        return waiting, found_after_a_death(one, Path(folder))


@given(steps)
def test_a_death_leaves_what_waited_in_its_newest_form_and_nothing_else(history: list[Step]) -> None:
    waiting, found = ended(frozenset(), history)
    assert found == waiting


@given(st.frozensets(st.integers(1, 90), max_size=12), steps)
def test_a_disk_that_fails_now_and_then_costs_a_second_delivery_at_the_most(
    failing: frozenset[int], history: list[Step]
) -> None:
    waiting, found = ended(failing, history)
    assert {name: found.get(name) for name in waiting} == waiting
