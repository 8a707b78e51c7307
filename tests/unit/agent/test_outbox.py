"""The outbox: nothing is forgotten but by a signed reply, whatever the control plane says or fails to say."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import orjson
import pytest

from tests.support.clock import FakeClock
from tests.support.intake import FakeIntake
from tests.support.waiting import until
from worker.agent.journal import rejected
from worker.agent.outbox import (
    GATHER,
    HURRIED,
    LATE,
    MAX_BATCH_BYTES,
    MAX_BATCH_ITEMS,
    MAX_WAITING_ITEMS,
    Delivery,
    Outbox,
)
from worker.apitest import bounds
from worker.intake.backoff import Backoff
from worker.intake.replies import Reaction
from worker.intake.transport import IntakeError
from worker.wire import messages
from worker.wire.messages import Rejection, ResultItem, ResultsReply, raw


def item(name: str, *, size: int = 0, body: str | None = None) -> ResultItem:
    outcome: dict[str, object] = {"padding": "x" * size}
    if body is not None:
        outcome["response"] = {"status_code": 200, "body": body, "is_body_truncated": False}
    return ResultItem(result=name, job=f"job-{name}", lease=f"lease-{name}", outcome=raw(outcome))


class Bench:
    """An outbox on a fake intake and a fake clock, and what became of its results."""

    def __init__(self, directory: Path | None = None) -> None:
        self.clock = FakeClock()
        self.intake = FakeIntake()
        self.deliveries: list[Delivery] = []
        self.outbox = Outbox(
            self.intake,
            self.clock,
            Backoff(lambda _, high: high),
            shrink=bounds.shrink,
            set_aside=None if directory is None else self.set_aside,
            on_delivery=self.deliveries.append,
        )
        self.directory = directory
        self.disk_error: OSError | None = None

    async def set_aside(self, result: str, sealed: bytes) -> Path | None:
        if self.disk_error is not None:
            raise self.disk_error
        assert self.directory is not None
        return rejected.set_aside(self.directory, result, sealed)


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[None]:
    task = asyncio.ensure_future(bench.outbox.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def refusal(verdict: Reaction, retry_after: float | None = None) -> IntakeError:
    return IntakeError("no", reaction=verdict, retry_after=retry_after)


async def test_results_that_come_together_travel_together_within_a_second() -> None:
    bench = Bench()
    async with running(bench):
        bench.outbox.put(item("a"))
        await bench.clock.advance(GATHER / 2)
        bench.outbox.put(item("b"))
        assert bench.intake.pushes == []
        await bench.clock.advance(1 - GATHER / 2)
    assert [[i.result for i in batch] for batch in bench.intake.pushes] == [["a", "b"]]
    assert bench.outbox.waiting == bench.outbox.waiting_bytes == 0


async def test_a_result_that_comes_alone_goes_at_once_and_those_that_follow_soon_travel_together() -> None:
    bench = Bench()
    bench.outbox = Outbox(
        bench.intake, bench.clock, Backoff(lambda _, high: high), shrink=bounds.shrink, gather=0, apart=0.03
    )
    async with running(bench):
        bench.outbox.put(item("a"))
        await bench.clock.settle()
        assert len(bench.intake.pushes) == 1
        for name in "bc":
            await bench.clock.advance(0.01)
            bench.outbox.put(item(name))
        await bench.clock.advance(0.009)
        assert len(bench.intake.pushes) == 1
        await bench.clock.advance(0.001)
        assert [[i.result for i in batch] for batch in bench.intake.pushes] == [["a"], ["b", "c"]]
        await bench.clock.advance(0.03)
        bench.outbox.put(item("d"))
        await bench.clock.settle()
        assert len(bench.intake.pushes) == 3


@pytest.mark.parametrize("word", ["accepted", "duplicate", "superseded"])
async def test_a_result_is_forgotten_when_a_reply_names_it(word: str) -> None:
    bench = Bench()
    bench.intake.replies.append(messages.decode(ResultsReply, orjson.dumps({word: ["a"]})))
    async with running(bench):
        bench.outbox.put(item("a"))
        await bench.clock.advance(1)
    assert bench.outbox.waiting == 0
    assert bench.deliveries == [Delivery("a", word)]


async def test_a_result_that_the_reply_does_not_name_is_pushed_again() -> None:
    bench = Bench()
    bench.intake.replies.append(ResultsReply(accepted=("a",)))
    async with running(bench):
        bench.outbox.put(item("a"))
        bench.outbox.put(item("b"))
        await bench.clock.advance(1)
    assert [[i.result for i in batch] for batch in bench.intake.pushes] == [["a", "b"], ["b"]]


async def test_a_reply_that_names_nothing_is_no_reason_to_hurry() -> None:
    bench = Bench()
    bench.intake.replies.extend([ResultsReply()] * 4)
    async with running(bench):
        bench.outbox.put(item("a"))
        await bench.clock.advance(8)
    assert len(bench.intake.pushes) == 4, "1 + 2 + 4 s of backing off and a gathering each"
    assert bench.outbox.waiting == 1


@pytest.mark.parametrize("verdict", [Reaction.RETRY, Reaction.SLOW_DOWN])
async def test_an_outage_keeps_everything_and_backs_off(verdict: Reaction) -> None:
    bench = Bench()
    bench.intake.replies.extend([refusal(verdict)] * 3)
    async with running(bench):
        bench.outbox.put(item("a"))
        await bench.clock.advance(60)
    assert [[i.result for i in batch] for batch in bench.intake.pushes] == [["a"]] * 4
    assert bench.deliveries == [Delivery("a", "accepted")]


async def test_a_lack_of_memory_is_a_failed_push_and_loses_nothing() -> None:
    bench = Bench()
    bench.intake.replies.extend([MemoryError()] * 2)
    async with running(bench):
        bench.outbox.put(item("a"))
        await bench.clock.advance(GATHER)
        assert (bench.outbox.waiting, bench.outbox.is_short) == (1, True)
        await bench.clock.advance(60)
        assert not bench.outbox.is_short
    assert [[i.result for i in batch] for batch in bench.intake.pushes] == [["a"]] * 3
    assert bench.deliveries == [Delivery("a", "accepted")]


async def test_a_lack_of_memory_for_a_smaller_result_keeps_the_whole_one() -> None:
    bench = Bench()

    def shrink(_: bytes) -> bytes | None:
        raise MemoryError

    bench.outbox = Outbox(bench.intake, bench.clock, Backoff(lambda _, high: high), shrink=shrink)
    bench.intake.replies.append(refusal(Reaction.SPLIT))
    async with running(bench):
        bench.outbox.put(item("a"))
        await bench.clock.advance(60)
    assert bench.intake.pushes == [[item("a")]] * 2
    assert bench.outbox.waiting == 0


async def test_a_batch_that_is_too_large_is_halved_until_it_fits() -> None:
    bench = Bench()
    bench.intake.replies.extend([refusal(Reaction.SPLIT), refusal(Reaction.SPLIT)])
    async with running(bench):
        for name in "abcd":
            bench.outbox.put(item(name))
        await bench.clock.advance(1)
    assert [[i.result for i in batch] for batch in bench.intake.pushes] == [
        list("abcd"),
        list("ab"),
        ["a"],
        ["b"],
        list("cd"),
    ]
    assert bench.outbox.waiting == 0


async def test_a_single_result_that_is_too_large_loses_its_body_and_keeps_its_verdict() -> None:
    bench = Bench()
    bench.intake.replies.append(refusal(Reaction.SPLIT))
    async with running(bench):
        bench.outbox.put(item("a", body="very long"))
        await bench.clock.advance(1)
    [[_], [second]] = bench.intake.pushes
    outcome = orjson.loads(bytes(second.outcome))
    assert outcome["response"] == {"status_code": 200, "body": "", "is_body_truncated": True}
    assert bench.deliveries == [Delivery("a", "accepted")]


async def test_what_is_too_large_even_without_a_body_is_set_aside_sealed(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "spool")
    bench.intake.replies.append(refusal(Reaction.SPLIT))
    async with running(bench):
        bench.outbox.put(item("a"))
        await bench.clock.advance(1)
        await until(lambda: bench.outbox.waiting == 0)
    [file] = (tmp_path / "spool").glob("*")
    assert file.name == "a.jwe"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_bytes().startswith(b"sealed ")
    assert bench.deliveries == [Delivery("a", "too_large")]


async def test_a_rejected_result_is_set_aside_and_its_neighbours_go_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.intake.replies.append(ResultsReply(accepted=("b",), rejected=(Rejection(result="a", reason="unknown job"),)))
    async with running(bench):
        bench.outbox.put(item("a"))
        bench.outbox.put(item("b"))
        await bench.clock.advance(1)
        await until(lambda: bench.outbox.waiting == 0)
    assert [file.name for file in sorted(tmp_path.glob("*"))] == ["a.jwe"]
    assert set(bench.deliveries) == {Delivery("a", "rejected"), Delivery("b", "accepted")}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "full"), "lost: no spoolDirectory is set, or it is full"),
        (OSError(errno.ETIMEDOUT, "no answer"), "lost: no spoolDirectory is set, or it is full"),
        (TimeoutError(), "set aside when the disk goes on, which hangs"),
    ],
    ids=["full", "not there", "hangs"],
)
async def test_a_disk_in_trouble_holds_up_no_neighbour_of_a_rejected_result(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, error: OSError, words: str
) -> None:
    bench = Bench(tmp_path)
    bench.disk_error = error
    bench.intake.replies.append(ResultsReply(rejected=(Rejection(result="a", reason="unknown job"),)))
    async with running(bench):
        bench.outbox.put(item("a"))
        bench.outbox.put(item("b"))
        await bench.clock.advance(1)
        await until(lambda: bench.outbox.waiting == 0)
    assert set(bench.deliveries) == {Delivery("a", "rejected"), Delivery("b", "accepted")}
    assert f"a result of job job-a was not taken (unknown job) and is {words}" in caplog.messages


async def test_a_refused_batch_is_searched_for_its_bad_item() -> None:
    bench = Bench()
    bench.intake.replies.extend([refusal(Reaction.REFUSED), refusal(Reaction.REFUSED)])
    async with running(bench):
        bench.outbox.put(item("bad"))
        bench.outbox.put(item("good"))
        await bench.clock.advance(1)
        await until(lambda: bench.outbox.waiting == 0)
    assert bench.deliveries == [Delivery("bad", "refused"), Delivery("good", "accepted")]


async def test_cancelling_a_push_forgets_nothing() -> None:
    bench = Bench()
    bench.intake.gate = asyncio.Event()
    async with running(bench):
        bench.outbox.put(item("a"))
        await bench.clock.advance(1)
        assert len(bench.intake.pushes) == 1
    assert bench.outbox.waiting == 1
    assert bench.outbox.leases == ("lease-a",)


async def test_flushing_waits_for_the_last_result() -> None:
    bench = Bench()
    bench.intake.replies.append(refusal(Reaction.RETRY))
    async with running(bench):
        bench.outbox.put(item("a"))
        flushing = asyncio.ensure_future(bench.outbox.flush())
        await bench.clock.advance(GATHER)
        assert not flushing.done()
        await bench.clock.advance(1)
        await asyncio.wait_for(flushing, 1)
    assert bench.outbox.waiting == 0


async def test_batches_are_bounded_in_items_and_bytes() -> None:
    bench = Bench()
    async with running(bench):
        for number in range(MAX_BATCH_ITEMS + 1):
            bench.outbox.put(item(str(number)))
        for name in ("large-1", "large-2", "large-3"):
            bench.outbox.put(item(name, size=MAX_BATCH_BYTES // 2))
        await bench.clock.advance(3)
    assert [len(batch) for batch in bench.intake.pushes] == [MAX_BATCH_ITEMS, 2, 1, 1]


async def test_a_full_outbox_says_so() -> None:
    bench = Bench()
    for number in range(MAX_WAITING_ITEMS - 1):
        bench.outbox.put(item(str(number)))
    assert not bench.outbox.is_full
    bench.outbox.put(item("one more"))
    assert bench.outbox.is_full


def too_large_for_a_proxy() -> IntakeError:
    return IntakeError("an unsigned reply, HTTP 413", reaction=Reaction.SPLIT, status=413, signed=False)


async def test_a_proxy_that_limits_sizes_gets_smaller_batches_and_makes_nothing_forgotten(tmp_path: Path) -> None:
    """Whatever is larger than its limit is refused, unsigned, for as long as it is."""
    bench = Bench(tmp_path)
    push = bench.intake.push

    async def limited(items: Sequence[ResultItem]) -> ResultsReply:
        if sum(len(one.outcome) for one in items) > 1000:
            bench.intake.replies.append(too_large_for_a_proxy())
        return await push(items)

    bench.intake.push = limited  # type: ignore[method-assign]
    async with running(bench):
        for name in "abcde":
            bench.outbox.put(item(name, size=300))
        bench.outbox.put(item("with a body", body="x" * 5000))
        whole = msgspec.Raw(b'"' + b"x" * 5000 + b'"')  # nothing to leave out
        bench.outbox.put(msgspec.structs.replace(item("hopeless"), outcome=whole))
        bench.outbox.put(item("behind it"))
        await bench.clock.advance(5)
        assert {one.result for one in bench.deliveries} == {*"abcde", "with a body", "behind it"}
        assert bench.outbox.leases == ("lease-hopeless",), "only a signed reply may make it forget"
    assert list(tmp_path.iterdir()) == []


async def test_a_result_without_its_body_is_whole_again_where_only_a_proxy_refused_it() -> None:
    bench = Bench()
    bench.intake.replies.extend([too_large_for_a_proxy(), refusal(Reaction.RETRY)])
    async with running(bench):
        bench.outbox.put(item("a", body="very long"))
        await bench.clock.advance(3)
    bodies = [orjson.loads(bytes(one.outcome))["response"]["body"] for [one] in bench.intake.pushes]
    assert bodies == ["very long", "", "very long"]


async def test_a_result_that_waits_too_long_is_late_until_it_is_delivered() -> None:
    bench = Bench()
    bench.intake.replies.extend([refusal(Reaction.RETRY)] * 5)
    async with running(bench):
        bench.outbox.put(item("a"))
        await bench.clock.advance(LATE)
        bench.outbox.put(item("b"))
        late = [bench.outbox.is_late]
        await bench.clock.advance(0.1)
        late.append(bench.outbox.is_late)
        await bench.clock.advance(60)
        assert bench.outbox.waiting == 0
        assert [*late, bench.outbox.is_late] == [False, True, False]


async def test_a_flush_wakes_what_backs_off_and_hurries_from_then_on() -> None:
    bench = Bench()
    bench.intake.replies.extend([refusal(Reaction.RETRY, retry_after=60)] * 3)
    async with running(bench):
        bench.outbox.put(item("a"))
        await bench.clock.advance(1)
        assert len(bench.intake.pushes) == 1
        flushing = asyncio.ensure_future(bench.outbox.flush())
        await bench.clock.settle()
        assert len(bench.intake.pushes) == 2
        await bench.clock.advance(2 * HURRIED)
        await asyncio.wait_for(flushing, 1)
    assert len(bench.intake.pushes) == 4


async def test_a_waiting_result_can_be_sent_under_a_newer_lease() -> None:
    bench = Bench()
    bench.outbox.put(item("a"))
    assert bench.outbox.readdress("job-a", "newer")
    assert not bench.outbox.readdress("job-b", "newer")
    assert bench.outbox.leases == ("newer",)
