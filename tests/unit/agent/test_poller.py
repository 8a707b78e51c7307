"""The poller: slots before jobs, a pull a second, a heartbeat in every state, and a location that is never drained by mistake."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from controlplane.leases import LEASE_TTL, lease_of
from tests.support.clock import FakeClock
from tests.support.intake import FakeIntake
from tests.support.jobs import job
from worker.agent.inflight import InFlight, starts_after
from worker.agent.outbox import LATE, Outbox
from worker.agent.poller import COALESCE, LONGEST_WAIT, UNREADABLE_PAUSE, Cadence, Poller
from worker.agent.slots import Slots
from worker.agent.work import Work
from worker.errors import EnvelopeError
from worker.intake.backoff import Backoff
from worker.intake.replies import Reaction
from worker.intake.transport import SLOWED_DOWN, IntakeError
from worker.wire import messages
from worker.wire.messages import MAX_LEASES, Job, Jobs, Pull, ResultItem, raw


class Bench:
    """A poller with real slots, jobs in flight and outbox; jobs run until the test finishes them by name."""

    def __init__(self, group: asyncio.TaskGroup, *, size: int = 3, at_most: int = 10, busy: float = COALESCE) -> None:
        self.clock = FakeClock()
        self.intake = FakeIntake()
        self.slots = Slots(size)
        self.outbox = Outbox(self.intake, self.clock, Backoff(lambda _, high: high), shrink=lambda _: None)
        self.finish: dict[str, asyncio.Event] = {}
        self.ran: list[str] = []
        self.delays: dict[str, float] = {}
        self.failing: set[str] = set()
        """Jobs for whose results there is no memory."""
        self.trouble: str | None = None
        work: asyncio.Future[Work] = asyncio.get_running_loop().create_future()
        work.set_result(self)
        self.inflight = InFlight(work, slots=self.slots, outbox=self.outbox, clock=self.clock, group=group)
        self.poller = Poller(
            self.intake,
            self.inflight,
            self.outbox,
            self.slots,
            self.clock,
            cadence=Cadence(interval=1.0, at_most=at_most, busy=busy),
            keys=("kid",),
            agent="test",
            backoff=Backoff(lambda _, high: high),
            unreadable=Backoff(lambda _, high: high),
            trouble=lambda: self.trouble,
        )

    async def run(self, given: Job, received_ns: int) -> bytes:
        self.delays[given.job] = (self.clock.monotonic_ns() - received_ns) / 1e9
        self.ran.append(given.job)
        await self.finish.setdefault(given.job, asyncio.Event()).wait()
        if given.job in self.failing:
            raise MemoryError
        return b"{}"

    def shrink(self, _: bytes) -> None:
        return None

    async def end(self, name: str) -> None:
        self.finish.setdefault(name, asyncio.Event()).set()
        await self.clock.settle()


@asynccontextmanager
async def polling(*, size: int = 3, at_most: int = 10, busy: float = COALESCE) -> AsyncIterator[Bench]:
    async with asyncio.TaskGroup() as group:
        bench = Bench(group, size=size, at_most=at_most, busy=busy)
        task = group.create_task(bench.poller.run())
        await bench.clock.settle()
        yield bench
        task.cancel()
        await bench.inflight.cut_short()


async def test_one_pull_a_second_when_nothing_is_due() -> None:
    async with polling() as bench:
        await bench.clock.advance(5.5)
        assert len(bench.intake.pulls) == 6
        assert {pull.free_slots for pull in bench.intake.pulls} == {3}
        assert bench.slots.free == 3


async def test_it_asks_for_no_more_than_it_has_slots_or_may_fetch() -> None:
    async with polling(size=7, at_most=4) as bench:
        assert bench.intake.pulls[0].free_slots == 4
        bench.intake.jobs.append(Jobs(jobs=tuple(job(name) for name in "abcd")))
        await bench.clock.advance(2)
        assert bench.intake.pulls[-1].free_slots == 3
        assert bench.intake.pulls[-1].concurrency == 7


async def test_slots_are_reserved_before_the_pull_and_returned_when_no_job_came() -> None:
    async with polling(size=2) as bench:
        bench.intake.gate = asyncio.Event()
        await bench.clock.advance(1)
        assert bench.slots.free == 0
        bench.intake.gate.set()
        await bench.clock.settle()
        assert bench.slots.free == 2


async def test_a_full_worker_still_reports_in_with_what_it_holds() -> None:
    async with polling(size=1) as bench:
        bench.intake.jobs.append(Jobs(jobs=(job("a"),)))
        await bench.clock.advance(2)
        assert bench.intake.pulls[-1].free_slots == 0
        assert bench.intake.pulls[-1].holding == ("lease-a",)


async def test_a_result_that_waits_to_be_pushed_is_still_held() -> None:
    async with polling() as bench:
        bench.intake.jobs.append(Jobs(jobs=(job("a"),)))
        await bench.clock.advance(1)
        await bench.end("a")
        await bench.clock.advance(1)
        assert bench.intake.pulls[-1].holding == ("lease-a",)
        assert bench.intake.pulls[-1].free_slots == 3


async def test_a_result_that_waits_is_named_as_finished_and_a_run_is_not() -> None:
    async with polling() as bench:
        bench.intake.jobs.append(Jobs(jobs=(job("a"), job("b"))))
        bench.intake.replies.append(IntakeError("down", reaction=Reaction.RETRY))
        await bench.clock.advance(1)
        await bench.end("a")
        await bench.clock.advance(1)
        assert set(bench.intake.pulls[-1].holding) == {"lease-a", "lease-b"}
        assert bench.intake.pulls[-1].finished == ("lease-a",)


async def test_a_worker_that_cannot_deliver_takes_nothing_and_says_so() -> None:
    async with polling() as bench:
        bench.outbox.put(ResultItem(result="r", job="j", lease="l", outcome=raw({})))
        await bench.clock.advance(LATE)
        await bench.clock.advance(1.5)
        before, after = bench.intake.pulls[-3], bench.intake.pulls[-1]
        assert [(pull.free_slots, pull.degraded) for pull in (before, after)] == [(3, None), (0, "outbox")]


async def test_no_more_is_taken_than_a_pull_can_name_and_a_full_one_can_be_read() -> None:
    lease = lease_of(str(uuid.uuid4()), 100)
    async with polling(size=50, at_most=50) as bench:
        bench.intake.jobs.append(Jobs(jobs=tuple(job(str(number), lease=lease) for number in range(20))))
        await bench.clock.advance(1)
        for number in range(MAX_LEASES - 30):
            bench.outbox.put(ResultItem(result=f"r{number}", job=f"j{number}", lease=lease, outcome=raw({})))
        await bench.clock.advance(1)
        assert bench.intake.pulls[-1].free_slots == 10
        for number in range(MAX_LEASES):
            bench.inflight.give_back(f"{lease}{number}")
            bench.outbox.put(ResultItem(result=f"s{number}", job=f"s{number}", lease=lease, outcome=raw({})))
        await bench.clock.advance(1)
        fullest = bench.intake.pulls[-1]
        assert (fullest.free_slots, fullest.degraded) == (0, "outbox")
        assert len(fullest.holding) == len(fullest.finished) == MAX_LEASES
        assert messages.decode(Pull, messages.encode(fullest)) == fullest
        assert len(messages.encode(fullest)) <= messages.MAX_PULL_BYTES


async def test_only_the_first_pull_of_a_process_says_that_it_has_started() -> None:
    async with polling() as bench:
        bench.intake.jobs.append(IntakeError("down", reaction=Reaction.RETRY))
        await bench.clock.advance(5)
        assert [pull.restarted for pull in bench.intake.pulls[:3]] == [True, False, False]


def test_a_failing_poller_asks_again_well_within_the_lease() -> None:
    backoff = Backoff(lambda _, high: high, longest=LONGEST_WAIT, longest_asked=LONGEST_WAIT)
    assert max(backoff.next(60.0) for _ in range(50)) == LONGEST_WAIT
    assert LONGEST_WAIT * 1000 + 1000 < LEASE_TTL / 2


async def test_more_due_and_slots_free_means_at_once_again() -> None:
    async with polling(size=3, at_most=1) as bench:
        bench.intake.jobs.extend([Jobs(jobs=(job(name),), more=True) for name in "abc"])
        await bench.clock.advance(1.5)
        assert bench.ran == ["a", "b", "c"]


async def test_more_due_waits_for_a_slot_and_not_for_the_next_second() -> None:
    async with polling(size=1) as bench:
        bench.intake.jobs.extend([Jobs(jobs=(job("a"),), more=True), Jobs(jobs=(job("b"),))])
        await bench.clock.advance(1.1)
        assert bench.ran == ["a"]
        await bench.end("a")
        await bench.clock.advance(0.1)
        assert bench.ran == ["a", "b"]


async def test_jobs_that_nobody_asked_for_are_given_back() -> None:
    async with polling(size=1) as bench:
        bench.intake.jobs.append(Jobs(jobs=(job("a"), job("b"))))
        await bench.clock.advance(2)
        assert bench.ran == ["a"]
        await bench.clock.advance(1)
        assert [pull.release for pull in bench.intake.pulls[2:]] == [("lease-b",), ()], "confirmed by the signed reply"


async def test_a_release_is_repeated_until_a_reply_confirms_it() -> None:
    async with polling(size=1) as bench:
        bench.intake.jobs.append(Jobs(jobs=(job("a"), job("b"))))
        await bench.clock.advance(1)
        bench.intake.jobs.append(IntakeError("down", reaction=Reaction.RETRY))
        await bench.clock.advance(4)
        assert [pull.release for pull in bench.intake.pulls[2:4]] == [("lease-b",), ("lease-b",)]


async def test_a_job_delivered_twice_runs_once_and_under_the_newer_lease() -> None:
    async with polling() as bench:
        bench.intake.jobs.extend([Jobs(jobs=(job("a"),)), Jobs(jobs=(job("a", lease="newer"),))])
        await bench.clock.advance(2)
        assert bench.ran == ["a"]
        assert bench.inflight.leases == ("newer",)
        await bench.end("a")
        assert bench.outbox.leases == ("newer",)
        assert bench.slots.free == 3


async def test_a_cancelled_job_frees_its_slot_and_yields_no_result() -> None:
    async with polling() as bench:
        bench.intake.jobs.extend([Jobs(jobs=(job("a"),)), Jobs(cancel=("lease-a",))])
        await bench.clock.advance(3)
        assert bench.slots.free == 3
        assert bench.outbox.waiting == 0
        assert bench.intake.pulls[-1].release == ()


async def test_an_outage_backs_off_and_keeps_no_slot() -> None:
    async with polling() as bench:
        bench.intake.jobs.extend([IntakeError("down", reaction=Reaction.RETRY)] * 3)
        await bench.clock.advance(1 + 1 + 2 + 4)
        assert len(bench.intake.pulls) == 5
        assert bench.slots.free == 3
        assert bench.poller.counts.failed == 3


async def test_a_lack_of_memory_is_an_outage_after_which_a_heartbeat_shows_that_there_is_enough() -> None:
    async with polling() as bench:
        bench.intake.jobs.extend([MemoryError(), MemoryError()])
        await bench.clock.advance(1 + 1 + 2 + 1)
        assert bench.slots.free == 3
        asked = [(pull.free_slots, pull.degraded) for pull in bench.intake.pulls]
        assert asked == [(3, None), (3, None), (0, "memory"), (0, "memory"), (3, None)]


async def test_a_push_without_memory_stops_the_taking_at_once() -> None:
    async with polling() as bench:
        bench.intake.replies.append(MemoryError())
        pushing = asyncio.ensure_future(bench.outbox.run())
        bench.outbox.put(ResultItem(result="a", job="a", lease="a.1", outcome=raw({})))
        await bench.clock.advance(1)
        assert (bench.intake.pulls[-1].free_slots, bench.intake.pulls[-1].degraded) == (0, "memory")
        await bench.clock.advance(3)
        assert (bench.intake.pulls[-1].free_slots, bench.intake.pulls[-1].degraded) == (3, None)
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)


async def test_a_run_without_memory_for_its_result_is_given_back() -> None:
    async with polling() as bench:
        given = job("a")
        bench.failing.add("a")
        bench.intake.jobs.append(Jobs(jobs=(given,)))
        await bench.clock.advance(1)
        await bench.end("a")
        await bench.clock.advance(2)
        assert bench.slots.free == 3
        assert [pull.release for pull in bench.intake.pulls if pull.release] == [(given.lease,)]
        assert bench.outbox.waiting == 0


async def test_a_refusal_slows_down() -> None:
    async with polling() as bench:
        bench.intake.jobs.append(IntakeError("disabled", reaction=Reaction.SLOW_DOWN))
        await bench.clock.advance(1 + SLOWED_DOWN - 0.5)
        assert len(bench.intake.pulls) == 2
        await bench.clock.advance(1)
        assert len(bench.intake.pulls) == 3


async def test_a_batch_that_cannot_be_opened_stops_the_taking_but_not_the_heartbeat() -> None:
    async with polling() as bench:
        bench.intake.jobs.append(EnvelopeError("unknown kid"))
        await bench.clock.advance(1 + UNREADABLE_PAUSE)
        after = bench.intake.pulls[2:]
        assert len(after) >= 4
        assert {(pull.free_slots, pull.degraded) for pull in after} == {(0, "decryption")}
        assert bench.slots.free == 3


async def test_after_a_while_one_job_is_tried_and_success_ends_the_distrust() -> None:
    async with polling() as bench:
        bench.intake.jobs.append(EnvelopeError("unknown kid"))
        await bench.clock.advance(1 + UNREADABLE_PAUSE + 2)
        assert (bench.intake.pulls[-1].free_slots, bench.intake.pulls[-1].degraded) == (1, None)
        bench.intake.jobs.append(Jobs(jobs=(job("a"),)))
        await bench.clock.advance(2)
        assert bench.intake.pulls[-1].free_slots == 2


@pytest.mark.parametrize("word", ["event-loop", "descriptors"])
async def test_a_worker_in_trouble_takes_nothing_and_says_why(word: str) -> None:
    async with polling() as bench:
        bench.trouble = word
        await bench.clock.advance(1)
        assert (bench.intake.pulls[-1].free_slots, bench.intake.pulls[-1].degraded) == (0, word)
        bench.trouble = None
        await bench.clock.advance(1)
        assert (bench.intake.pulls[-1].free_slots, bench.intake.pulls[-1].degraded) == (3, None)


async def test_a_drain_is_told_at_once_and_takes_no_more_jobs() -> None:
    async with polling() as bench:
        bench.intake.jobs.append(Jobs(jobs=(job("a"),)))
        await bench.clock.advance(1.5)
        bench.poller.drain()
        await bench.clock.settle()
        assert (bench.intake.pulls[-1].draining, bench.intake.pulls[-1].free_slots) == (True, 0)
        assert bench.intake.pulls[-1].holding == ("lease-a",)
        bench.intake.jobs.append(Jobs(jobs=(job("b"),)))
        await bench.clock.advance(2)
        assert bench.ran == ["a"]
        assert bench.intake.pulls[-1].release == ("lease-b",)


async def test_a_drain_is_told_at_once_while_a_large_batch_starts() -> None:
    async with polling(size=200, at_most=200) as bench:
        bench.intake.jobs.append(Jobs(jobs=tuple(job(str(n)) for n in range(200)), more=True))
        await bench.clock.advance(1.05)
        pulls = len(bench.intake.pulls)
        bench.poller.drain()
        await bench.clock.advance(COALESCE)
        assert [pull.draining for pull in bench.intake.pulls[pulls:]] == [True]


async def test_a_drain_is_told_at_once_while_more_is_due_and_no_slot_is_free() -> None:
    async with polling(size=1) as bench:
        bench.intake.jobs.append(Jobs(jobs=(job("a"),), more=True))
        await bench.clock.advance(1.1)
        bench.poller.drain()
        await bench.clock.advance(COALESCE)
        assert bench.intake.pulls[-1].draining


@pytest.mark.parametrize(("came", "wait"), [(0, COALESCE), (1, COALESCE), (2, 0.04)])
async def test_after_a_reply_with_several_jobs_the_next_pull_waits_for_more(came: int, wait: float) -> None:
    async with polling(size=10, busy=0.04) as bench:
        bench.intake.jobs.append(Jobs(jobs=tuple(job(str(number)) for number in range(came)), more=True))
        await bench.clock.advance(1)
        pulls = len(bench.intake.pulls)
        assert bench.ran == [str(number) for number in range(came)]
        await bench.clock.advance(wait - 0.001)
        assert len(bench.intake.pulls) == pulls
        await bench.clock.advance(0.001)
        assert len(bench.intake.pulls) == pulls + 1


@pytest.mark.parametrize("jobs", [1, 50, 51, 400, 1000, 50_000])
def test_all_jobs_of_a_batch_start_in_order_and_before_the_next_pull_brings_more(jobs: int) -> None:
    starts = [starts_after(position, jobs) for position in range(jobs)]
    assert starts == sorted(starts)
    assert starts[0] == 0
    assert starts[-1] < 0.9


async def test_what_a_drain_cuts_short_is_given_back() -> None:
    async with polling() as bench:
        bench.intake.jobs.append(Jobs(jobs=(job("a"), job("b"))))
        await bench.clock.advance(1)
        await bench.end("a")
        assert await bench.inflight.cut_short() == 1
        assert bench.inflight.given_back == ("lease-b",)
        assert bench.outbox.leases == ("lease-a",)
        assert bench.slots.free == 3


async def test_a_job_cancelled_before_its_first_step_still_frees_its_slot() -> None:
    async with asyncio.TaskGroup() as group:
        bench = Bench(group)
        bench.slots.take(1)
        bench.inflight.start([job("a")], 1)
        await bench.inflight.cut_short()
        assert bench.ran == []
        assert bench.slots.free == 3
        assert bench.inflight.given_back == ("lease-a",)


async def test_cancelling_the_poller_in_the_middle_of_a_pull_returns_its_slots() -> None:
    async with asyncio.TaskGroup() as group:
        bench = Bench(group)
        bench.intake.gate = asyncio.Event()
        task = group.create_task(bench.poller.run())
        await bench.clock.settle()
        assert bench.slots.free == 0
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert bench.slots.free == 3


async def test_planned_silence_covers_a_long_backing_off() -> None:
    async with polling() as bench:
        bench.intake.jobs.append(IntakeError("down", reaction=Reaction.RETRY, retry_after=45))
        await bench.clock.advance(1)
        assert bench.poller.quiet_until_ns >= bench.clock.monotonic_ns() + 44_000_000_000


async def test_a_large_batch_starts_in_groups_a_little_apart_and_before_the_next_second() -> None:
    async with polling(size=1000, at_most=500) as bench:
        bench.intake.jobs.append(Jobs(jobs=tuple(job(str(number)) for number in range(160))))
        await bench.clock.advance(1.5)
        assert [bench.delays[str(number)] for number in (0, 49, 50, 159)] == [0, 0, 0.01, 0.03]
        bench.intake.jobs.append(Jobs(jobs=tuple(job(f"b{number}") for number in range(460))))
        await bench.clock.advance(1)
        assert bench.delays["b50"] == 0.01
        assert max(bench.delays.values()) < 1


async def test_a_default_batch_starts_at_once() -> None:
    async with polling(size=10) as bench:
        bench.intake.jobs.append(Jobs(jobs=tuple(job(name) for name in "abcdefghij")))
        await bench.clock.advance(1)
        assert set(bench.delays.values()) == {0}


def connections(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    found = [(getattr(record, "action", ""), record.getMessage()) for record in caplog.records]
    return [(action, text) for action, text in found if action in ("connected", "reconnected")]


async def test_the_first_answer_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "worker")
    async with polling() as bench:
        await bench.clock.advance(5)
    assert connections(caplog) == [("connected", "connected: the control plane answers, and its signature holds")]


async def test_an_answer_after_failures_is_told_once_with_how_long_it_took(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "worker")
    async with polling() as bench:
        bench.intake.jobs.extend([IntakeError("down", reaction=Reaction.RETRY)] * 3)
        await bench.clock.advance(20)
    first, again = connections(caplog)
    assert first[0] == "connected"
    assert again == (
        "reconnected",
        "connected again: the control plane answers, and its signature holds (after 3 failed pulls in 7 s)",
    )


async def test_a_first_answer_after_failures_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "worker")
    async with asyncio.TaskGroup() as group:
        bench = Bench(group)
        bench.intake.jobs.append(IntakeError("down", reaction=Reaction.RETRY))
        task = group.create_task(bench.poller.run())
        await bench.clock.advance(5)
        task.cancel()
    ((action, text),) = connections(caplog)
    assert action == "connected"
    assert text.endswith("(after 1 failed pull in 1 s)")


async def test_a_batch_that_cannot_be_opened_is_an_answer_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "worker")
    async with polling() as bench:
        bench.intake.jobs.append(EnvelopeError("unknown kid"))
        await bench.clock.advance(3)
    assert [action for action, _ in connections(caplog)] == ["connected"]
