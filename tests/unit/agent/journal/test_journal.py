"""Group commit on a fake clock: in time, nothing shed, and a disk in trouble stops the pulling and nothing else."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.clock import FakeClock
from tests.support.intake import FakeIntake
from tests.support.waiting import PATIENCE, until
from worker.agent.journal import journal as module
from worker.agent.journal.codec import SegmentKey, SegmentKeys
from worker.agent.journal.journal import ABANDONED, BEAT, GATHER, RETRY, STALLED, Journal
from worker.agent.journal.rejected import set_aside
from worker.agent.journal.store import Store
from worker.agent.outbox import Outbox
from worker.intake.backoff import Backoff
from worker.secret import Secret
from worker.wire.messages import ResultItem, ResultsReply, raw


def item(name: str, *, lease: str = "") -> ResultItem:
    return ResultItem(result=name, job=f"job-{name}", lease=lease or f"lease-{name}", outcome=raw({"name": name}))


class Disk(Store):
    """A real store whose writes a test counts, holds and breaks."""

    def __init__(self, room: Path, clock: FakeClock) -> None:
        keys = SegmentKeys("pl:a", (Secret(b"key"),))
        identity = str(uuid.uuid4())
        super().__init__(room, keys, worker=identity, age_ns=lambda _: self.age, salt=uuid_salt)
        self.age = 0
        self.written: list[list[str]] = []
        self.error: OSError | MemoryError | None = None
        self.held = threading.Event()
        self.held.set()

    def write(self, items: Iterable[ResultItem], done: Collection[str]) -> None:
        self.held.wait(60)
        if self.error is not None:
            raise self.error
        items = list(items)
        super().write(items, done)
        self.written.append([one.result for one in items])


def uuid_salt(size: int) -> bytes:
    return uuid.uuid4().bytes * 2


class Bench:
    def __init__(self, room: Path) -> None:
        self.clock = FakeClock()
        self.disk = Disk(room, self.clock)
        self.journal = Journal(self.disk, self.clock)
        self.intake = FakeIntake()
        self.outbox = Outbox(
            self.intake, self.clock, Backoff(lambda _, high: high), shrink=lambda _: None, journal=self.journal
        )

    def trouble(self) -> str | None:
        return self.journal.trouble

    async def written(self, *batches: list[str]) -> None:
        """Wait for what threads do, in real time; fail if it is something else."""
        await until(lambda: len([batch for batch in self.disk.written if batch]) >= len(batches))
        assert [batch for batch in self.disk.written if batch] == list(batches)


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[None]:
    async with bench.journal:
        loops = [asyncio.ensure_future(one) for one in (bench.journal.run(), bench.journal.tend(bench.outbox))]
        try:
            yield
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)


async def test_results_of_fifty_milliseconds_are_one_write(tmp_path: Path) -> None:
    assert GATHER < 0.05
    bench = Bench(tmp_path)
    async with running(bench):
        bench.journal.keep(item("a"))
        await bench.clock.advance(GATHER / 2)
        bench.journal.keep(item("b"))
        assert bench.disk.written == []
        await bench.clock.advance(GATHER / 2)
        await bench.written(["a", "b"])


async def test_the_time_that_writes_take_is_part_of_the_fifty_milliseconds(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with running(bench):
        bench.disk.held.clear()
        bench.journal.keep(item("a"))
        await bench.clock.advance(GATHER)
        bench.clock.stall(0.02)
        bench.disk.held.set()
        await asyncio.wait_for(bench.journal.commit(), 30)
        bench.journal.keep(item("b"))
        await bench.clock.advance(GATHER - 0.021)
        assert bench.disk.written == [["a"]]
        await bench.clock.advance(0.001)
        await bench.written(["a"], ["b"])


async def test_a_slow_disk_leaves_half_of_the_time_for_gathering(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with running(bench):
        bench.disk.held.clear()
        bench.journal.keep(item("a"))
        await bench.clock.advance(GATHER)
        bench.clock.stall(1)
        bench.disk.held.set()
        await asyncio.wait_for(bench.journal.commit(), 30)
        bench.journal.keep(item("b"))
        await bench.clock.advance(GATHER / 2 - 0.001)
        assert bench.disk.written == [["a"]]
        await bench.clock.advance(0.001)
        await bench.written(["a"], ["b"])


async def test_what_is_done_before_it_is_written_never_is(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with running(bench):
        bench.journal.keep(item("a"))
        bench.journal.keep(item("b"))
        bench.journal.done("a")
        await bench.clock.advance(GATHER)
        await bench.written(["b"])
        assert bench.journal.results == 1


async def test_nothing_is_written_where_all_was_delivered_meanwhile_and_no_more_of_it_is_remembered(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    async with running(bench):
        bench.journal.keep(item("a"))
        await bench.clock.advance(GATHER / 2)
        bench.journal.done("a")
        await bench.clock.advance(BEAT)
        assert bench.disk.written == []
        bench.journal.keep(item("b"))
        await bench.clock.advance(GATHER)
        await bench.written(["b"])


async def test_a_newer_form_that_is_done_before_it_is_written_takes_the_older_one_along(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with running(bench):
        bench.journal.keep(item("a"))
        await bench.clock.advance(GATHER)
        await bench.written(["a"])
        bench.journal.keep(item("a", lease="newer"))
        bench.journal.done("a")
        await bench.clock.advance(GATHER)
        await until(lambda: bench.disk.results == 0)


async def test_a_newer_form_that_is_done_while_the_older_one_is_written_takes_it_along(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with running(bench):
        bench.disk.held.clear()
        bench.journal.keep(item("a"))
        await bench.clock.advance(GATHER)
        bench.journal.keep(item("a", lease="newer"))
        bench.journal.done("a")
        bench.disk.held.set()
        await bench.clock.advance(GATHER)
        await bench.written(["a"])
        await bench.clock.advance(GATHER)
        await until(lambda: bench.disk.results == 0)


async def test_a_result_that_is_in_a_hurry_is_on_disk_when_commit_returns_with_all_that_waits(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with running(bench):
        bench.journal.keep(item("early"))
        await bench.clock.settle()
        for name in "ab":
            bench.journal.keep(item(name))
            bench.journal.hurry()
            await asyncio.wait_for(bench.journal.commit(), 30)
            assert bench.disk.written[-1][-1] == name
        assert bench.disk.written == [["early", "a"], ["b"]]
        await asyncio.wait_for(bench.journal.commit(), 30)


async def test_a_commit_waits_for_the_disk_and_not_for_the_one_write_that_fails(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with running(bench):
        bench.disk.error = OSError(28, "No space left on device")
        bench.journal.keep(item("a"))
        commit = asyncio.ensure_future(bench.journal.commit())
        await bench.clock.advance(GATHER)
        await until(lambda: bench.journal.failures == 1)
        assert not commit.done()
        bench.disk.error = None
        await bench.clock.advance(RETRY)
        await asyncio.wait_for(commit, 30)


@pytest.mark.parametrize(
    "failure", [OSError(28, "No space left on device"), OSError(24, "Too many open files"), MemoryError()]
)
async def test_a_failing_disk_stops_the_pulling_and_loses_nothing(
    tmp_path: Path, failure: OSError | MemoryError, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    bench = Bench(tmp_path)
    async with running(bench):
        assert bench.trouble() is None
        bench.disk.error = failure
        bench.journal.keep(item("a"))
        await bench.clock.advance(GATHER)
        await until(lambda: bench.journal.failures == 1)
        assert bench.trouble() == "spool"
        bench.journal.keep(item("b"))
        bench.journal.keep(item("c"))
        bench.journal.done("c")
        await bench.clock.advance(RETRY)
        await until(lambda: bench.journal.failures == 2)
        bench.disk.error = None
        await bench.clock.advance(RETRY)
        await bench.written(["a", "b"])
        await until(lambda: bench.trouble() is None)
    actions = [getattr(record, "action", "") for record in caplog.records]
    assert [one for one in actions if one.startswith("spool")] == ["spool_failed", "spool_recovered"]


async def test_the_pulling_goes_on_again_although_nothing_waits_to_be_written(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with running(bench):
        bench.disk.error = OSError(30, "Read-only file system")
        bench.journal.keep(item("a"))
        await bench.clock.advance(GATHER)
        await until(lambda: bench.journal.failures == 1)
        bench.journal.done("a")
        bench.disk.error = None
        await bench.clock.advance(RETRY)
        await until(lambda: bench.trouble() is None)
        assert bench.journal.results == 0


async def test_a_disk_that_hangs_stops_the_pulling(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with running(bench):
        bench.disk.held.clear()
        bench.journal.keep(item("a"))
        await bench.clock.advance(GATHER)
        assert bench.trouble() is None
        bench.clock.stall(STALLED + 1)
        assert bench.trouble() == "spool"
        bench.journal.done("a")
        bench.disk.held.set()
        await until(lambda: bench.disk.written)
        await bench.clock.advance(BEAT + GATHER)
        await until(lambda: bench.disk.results == 0)
        assert bench.trouble() is None


async def test_a_rejected_result_waits_for_a_disk_that_hangs_once_and_for_no_longer_than_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written all the same when the disk goes on: before the note that it is done."""
    bench = Bench(tmp_path)
    async with running(bench):
        bench.disk.held.clear()
        bench.journal.keep(item("a"))
        await bench.clock.advance(GATHER)
        monkeypatch.setattr(module, "STALLED", 0.01)
        with pytest.raises(TimeoutError):
            await bench.journal.set_aside("a", b"sealed")
        monkeypatch.setattr(module, "STALLED", PATIENCE)
        bench.clock.stall(PATIENCE + 1)
        assert bench.trouble() == "spool"
        with pytest.raises(TimeoutError):  # at once: the disk is known to hang
            await bench.journal.set_aside("b", b"sealed")
        assert not list(tmp_path.glob("*.jwe"))
        bench.disk.held.set()
        await until(lambda: len(list(tmp_path.glob("*.jwe"))) == 2)
        await until(lambda: bench.trouble() is None)
        assert await bench.journal.set_aside("c", b"sealed") == tmp_path / "c.jwe"


async def test_a_write_that_fails_when_nobody_waits_for_it_any_more_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.jwe").mkdir()  # nothing can be moved onto it
    bench = Bench(tmp_path)
    async with running(bench):
        bench.disk.held.clear()
        bench.journal.keep(item("b"))
        await bench.clock.advance(GATHER)
        monkeypatch.setattr(module, "STALLED", 0.01)
        with pytest.raises(TimeoutError):
            await bench.journal.set_aside("a", b"sealed")
        bench.disk.held.set()
        await until(lambda: any("nobody waits for any more" in message for message in caplog.messages))


@pytest.mark.parametrize("bound", ["MAX_BYTES", "MAX_RESULTS"])
async def test_a_full_journal_stops_the_pulling_and_takes_what_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(module, bound, 1000 if bound == "MAX_BYTES" else 5)
    bench = Bench(tmp_path)
    async with running(bench):
        names = [str(number) for number in range(20)]
        for name in names:
            bench.journal.keep(item(name))
        await bench.clock.advance(GATHER)
        await bench.written(names)
        assert bench.trouble() == "spool"


async def test_what_a_cancelled_write_was_to_hold_is_written_at_the_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with running(bench):
        bench.journal.keep(item("a"))
    again = Bench(tmp_path)
    async with again.journal:
        assert again.journal.inherited == [item("a")]
        assert again.journal.worker == bench.journal.worker


async def test_a_spool_that_cannot_be_made_is_no_end_and_no_work(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.touch()
    bench = Bench(place)
    async with running(bench):
        assert bench.trouble() == "spool"
        place.unlink()
        await bench.clock.advance(RETRY)
        await until(lambda: bench.trouble() is None)


async def test_an_acknowledged_result_leaves_the_journal(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.intake.replies.append(ResultsReply(accepted=("a",)))
    bench.intake.replies.append(ResultsReply())
    async with running(bench):
        pushing = asyncio.ensure_future(bench.outbox.run())
        bench.outbox.put(item("a"))
        bench.outbox.put(item("b"))
        await bench.clock.advance(GATHER)
        await bench.written(["a", "b"])
        await bench.clock.advance(0.5)
        assert bench.disk.results == 2, "not worth a write of its own"
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)
        await bench.clock.advance(BEAT + GATHER)
        await until(lambda: bench.disk.results == 1)
    again = Bench(tmp_path)
    async with again.journal:
        assert [one.result for one in again.journal.inherited] == ["b"]


async def test_a_result_under_a_newer_lease_comes_back_under_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with running(bench):
        bench.outbox.put(item("a"))
        await bench.clock.advance(GATHER)
        await bench.written(["a"])
        assert bench.outbox.readdress("job-a", "newer")
    again = Bench(tmp_path)
    async with again.journal:
        assert again.journal.inherited == [item("a", lease="newer")]
        again.outbox.restore(again.journal.inherited)
        assert again.outbox.leases == ("newer",)


async def test_what_the_dead_left_is_taken_over_in_turn_with_new_results(tmp_path: Path) -> None:
    for name in "ab":
        dead = Bench(tmp_path)
        async with dead.journal:
            dead.journal.keep(item(name))
    bench = Bench(tmp_path)
    bench.disk.age = round(ABANDONED + 1) * 10**9
    async with running(bench):
        await bench.clock.advance(BEAT)
        await until(lambda: bench.outbox.waiting == 1)
        for number in range(600):
            bench.outbox.put(item(f"new-{number}"))
        for _ in range(5):
            await bench.clock.advance(BEAT)
        assert bench.outbox.waiting == 601, "the second waits until there is room"
        pushing = asyncio.ensure_future(bench.outbox.run())
        await bench.clock.advance(1)
        for _ in range(3):
            await bench.clock.advance(BEAT)
            await until(lambda: bench.outbox.waiting == 0)
        await until(lambda: bench.disk.counts.taken_over == 2)
        await bench.clock.advance(BEAT)
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)
    pushed = [one.result for push in bench.intake.pushes for one in push]
    assert len(pushed) == 602
    assert {"a", "b"} <= set(pushed)


@pytest.mark.parametrize("failure", [OSError(24, "Too many open files"), MemoryError()])
async def test_what_the_dead_left_is_taken_over_later_where_there_is_no_memory_or_descriptor_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    dead = Bench(tmp_path)
    async with dead.journal:
        for name in "ab":
            dead.journal.keep(item(name))
    bench = Bench(tmp_path)
    bench.disk.age = round(ABANDONED + 1) * 10**9
    failures = [failure]

    def find(keys: SegmentKeys, segment: bytes) -> SegmentKey | None:
        if failures:
            raise failures.pop()
        return original(keys, segment)

    original = SegmentKeys.find
    monkeypatch.setattr(SegmentKeys, "find", find)
    async with running(bench):
        await bench.clock.advance(BEAT)
        await until(lambda: bench.journal.failures == 1)
        for _ in range(3):  # give it back, take it over again, read it
            await until(lambda: bench.clock.sleeping > 0)
            await bench.clock.advance(BEAT)
        await until(lambda: bench.outbox.waiting == 2)


def test_a_full_disk_leaves_no_empty_parts_of_what_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "a.jwe").mkdir()  # nothing can be moved onto it
    with pytest.raises(OSError, match=r"a\.jwe"):
        set_aside(tmp_path, "a", b"sealed")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jwe"]
