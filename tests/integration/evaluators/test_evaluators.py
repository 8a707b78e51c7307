"""The pool with real processes. What the assertions do to their evaluator is in deeds.py."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from math import inf
from pathlib import Path

import psutil
import pytest
import uvloop

from tests.integration.evaluators.pools import deeds, pool_of, seen
from tests.support.children import Children, children_from_now_on
from tests.support.clock import FakeClock
from tests.support.descriptors import open_descriptors
from tests.support.observed import LIMITS
from tests.support.sandbox import MAY_BE_MISSING
from tests.support.starvation import unstarved
from tests.support.waiting import until
from worker.apitest.result import BodyPreview
from worker.errors import EvaluationError
from worker.evaluators.pool import Evaluators
from worker.evaluators.protocol import Ready, encode_reply
from worker.evaluators.task import Evaluation
from worker.outcome.failure import FailureCode
from worker.sandbox.process import Process

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="a limit that only Linux has")


@pytest.fixture(autouse=True)
def children() -> Children:
    return children_from_now_on()


@pytest.fixture
async def pool() -> AsyncIterator[Evaluators]:
    async with pool_of(1) as evaluators:
        yield evaluators


async def do(
    pool: Evaluators, *targets: str, key: str = "key", body: bytes = b"", deadline_s: float = inf
) -> Evaluation:
    """Evaluate; again if the machine was so busy that the wall clock decided, for that is not what is tested here."""
    return await unstarved(
        lambda: pool.evaluate(key, deeds(*targets), seen(body), deadline_s), lambda evaluation: evaluation.starved
    )


def reasons(evaluation: Evaluation) -> list[str | None]:
    return [result.error_message for result in evaluation.results]


async def test_each_assertion_has_its_result_in_order(pool: Evaluators) -> None:
    evaluation = await do(pool, "say a", "length", "say b", body=b"12345")
    assert [result.actual for result in evaluation.results] == ["a", 5, "b"]


async def test_the_preview_comes_with_the_results_of_one_task(pool: Evaluators) -> None:
    evaluation = await pool.evaluate("key", deeds("say a"), seen(b"beginning"), with_preview=True)
    assert ([result.actual for result in evaluation.results], evaluation.preview) == (
        ["a"],
        BodyPreview(text="beginning", is_cut=False),
    )
    assert (await pool.evaluate("key", deeds("say a"), seen(b"beginning"))).preview is None


@pytest.mark.parametrize("deed", ["spin", "grind", "hoard", "crash", "leave", "swallow"])
async def test_a_preview_that_cannot_be_made_costs_no_verdict(pool: Evaluators, deed: str) -> None:
    evaluation = await pool.evaluate("key", deeds("say a", "say b"), seen(deed.encode()), with_preview=True)
    assert ([result.actual for result in evaluation.results], evaluation.preview) == (["a", "b"], None)


async def test_a_body_of_five_megabytes_arrives_whole(pool: Evaluators) -> None:
    evaluation = await do(pool, "length", body=os.urandom(5_000_000))
    assert evaluation.results[0].actual == 5_000_000


async def test_nothing_to_judge_needs_no_evaluator(pool: Evaluators) -> None:
    assert (await do(pool)).results == ()


async def test_python_code_is_interrupted_and_its_evaluator_survives(pool: Evaluators) -> None:
    evaluation = await do(pool, "pid", "spin", "swallow", "pid")
    assert reasons(evaluation) == [None, *["it was not judged within 150 ms"] * 2, None]
    assert evaluation.results[0].actual == evaluation.results[3].actual, "it is the same process"


async def test_native_code_is_killed_and_only_its_own_assertion_pays(pool: Evaluators) -> None:
    evaluation = await do(pool, "pid", "grind", "say b", "grind", "say c")
    stopped = "it was not judged within 150 ms"
    assert reasons(evaluation) == [None, stopped, None, stopped, None]
    assert [result.valid for result in evaluation.results] == [True, False, True, False, True]
    assert pool.killed >= 2


async def test_memory_is_bounded(pool: Evaluators) -> None:
    evaluation = await do(pool, "hoard", "say after")
    assert not evaluation.results[0].valid
    assert evaluation.results[1].actual == "after"


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        ("crash", "its evaluator crashed (SIGSEGV)"),
        ("leave", "its evaluator ended with exit code 1"),
        ("fail", "it could not be evaluated: RuntimeError"),
    ],
)
async def test_an_engine_that_goes_wrong_costs_one_assertion(pool: Evaluators, deed: str, reason: str) -> None:
    evaluation = await do(pool, "say before", deed, "say after")
    assert reasons(evaluation) == [None, reason, None]


async def test_an_evaluator_that_says_something_else_is_not_listened_to(pool: Evaluators) -> None:
    """It has moved on to a later assertion when that is noticed: one assertion pays, and which one is not known."""
    evaluation = await do(pool, "say before", "babble", "say after")
    assert {result.valid for result in evaluation.results} == {True, False}
    assert "its evaluator sent something that is not a valid result" in reasons(evaluation)
    assert (await do(pool, "say x")).results[0].actual == "x"


@LINUX
async def test_an_evaluator_opens_no_file_and_no_socket(pool: Evaluators) -> None:
    evaluation = await do(pool, "read", "connect")
    assert [result.valid for result in evaluation.results] == [False, False]
    assert pool.missing_protections is not None
    assert {*pool.missing_protections} <= MAY_BE_MISSING


@LINUX
async def test_a_forbidden_system_call_costs_one_assertion(pool: Evaluators, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        evaluation = await do(pool, "say before", "fork", "say between", "fork", "say after")
    forbidden = "its evaluator made a system call that evaluators may not make"
    assert reasons(evaluation) == [None, forbidden, None, forbidden, None]
    assert [result.code for result in evaluation.results] == [
        None,
        FailureCode.INTERNAL_ERROR,
        None,
        FailureCode.INTERNAL_ERROR,
        None,
    ]
    assert pool.killed == 2
    assert [getattr(record, "reason", "") for record in caplog.records].count(forbidden) == 2


async def test_what_a_library_prints_reaches_nobody(pool: Evaluators, capfd: pytest.CaptureFixture[str]) -> None:
    assert (await do(pool, "print", "say after")).results[1].actual == "after"
    assert capfd.readouterr() == ("", "")


async def test_the_environment_stays_with_the_worker(pool: Evaluators, monkeypatch: pytest.MonkeyPatch) -> None:
    names = str((await do(pool, "environment")).results[0].actual).split(",")
    assert set(names) <= {"PYTHONPATH", "LC_CTYPE"}  # the second is Python's own doing


async def test_a_result_that_is_too_large_costs_one_assertion(pool: Evaluators) -> None:
    evaluation = await do(pool, "shout 10000000", "say after")
    assert not evaluation.results[0].valid
    assert evaluation.results[1].actual == "after"


async def test_a_test_with_a_costly_past_waits_for_the_others() -> None:
    async with pool_of(1) as pool:
        costly = asyncio.create_task(do(pool, *["burn 0.1"] * 12, key="costly"))
        await until(lambda: pool.working == 1)
        cheap = await asyncio.gather(*(do(pool, "say x", key=f"cheap {number}") for number in range(20)))
        assert not costly.done()
        assert all(result.valid for evaluation in cheap for result in evaluation.results)
        assert all(result.valid for result in (await costly).results)


async def test_waiting_is_measured_and_counts_to_no_deadline() -> None:
    async with pool_of(1) as pool:
        await do(pool, "say warm")
        first = asyncio.create_task(do(pool, "burn 0.1", "burn 0.1", key="a"))
        await until(lambda: pool.working == 1)
        second = await do(pool, "say x", key="b", deadline_s=0.05)
        assert second.waited_ns > 50_000_000
        assert (await first).waited_ns < second.waited_ns


async def test_a_deadline_ends_the_test_and_frees_the_place(pool: Evaluators) -> None:
    evaluation = await do(pool, "say before", *["burn 0.1"] * 100, deadline_s=4.0)
    assert evaluation.results[0].actual == "before"
    assert evaluation.results[-1].code is FailureCode.TIMEOUT
    assert "time was up" in str(evaluation.results[-1].error_message)
    assert (await do(pool, "say after")).results[0].actual == "after"


def test_a_reply_that_came_while_the_loop_was_held_is_in_time() -> None:
    async def scenario() -> None:
        async with pool_of(1) as pool:
            await do(pool, "say warm")
            judging = asyncio.create_task(pool.evaluate("key", deeds("say in time"), seen(), 0.2))
            await asyncio.sleep(0)
            assert pool.working == 1
            time.sleep(0.6)  # noqa: ASYNC251  # the evaluator answers meanwhile, and the deadline passes
            assert [result.actual for result in (await judging).results] == ["in time"]

    uvloop.run(scenario())


async def test_a_deadline_that_is_over_already_costs_no_evaluator(pool: Evaluators) -> None:
    await until(lambda: pool.idle == 2)
    evaluation = await pool.evaluate("key", deeds("say x"), seen(), 0.0)
    assert evaluation.results[0].code is FailureCode.TIMEOUT
    assert (pool.idle, pool.working) == (2, 0)


async def test_a_cancelled_evaluation_never_mixes_its_replies_with_the_next() -> None:
    async with pool_of(1) as pool:
        for round_ in range(5):
            cancelled = asyncio.create_task(do(pool, "burn 0.05", f"say old {round_}"))
            await until(lambda: pool.working == 1)
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
            evaluation = await do(pool, f"say new {round_}")
            assert evaluation.results[0].actual == f"new {round_}"


async def test_an_evaluation_that_is_cancelled_in_the_queue_leaves_it() -> None:
    async with pool_of(1) as pool:
        first = asyncio.create_task(do(pool, "burn 0.1", key="a"))
        await until(lambda: pool.working == 1)
        second = asyncio.create_task(do(pool, "say x", key="b"))
        await until(lambda: pool.waiting == 1)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert pool.waiting == 0
        await first


async def test_an_evaluator_that_somebody_kills_costs_no_assertion(pool: Evaluators, children: Children) -> None:
    running = asyncio.create_task(do(pool, "say a", "burn 0.1", "say b"))
    await until(lambda: pool.working == 1)
    for child in children():
        if child.cpu_times().user > 0.1 or child.status() == psutil.STATUS_RUNNING:
            child.send_signal(signal.SIGKILL)
    assert [result.actual for result in (await running).results] == ["a", None, "b"]
    assert all(result.valid for result in (await running).results)


async def test_dead_evaluators_are_replaced_to_the_last_one(pool: Evaluators, children: Children) -> None:
    await until(lambda: pool.idle == 2)
    for child in children():
        child.kill()
    await until(lambda: pool.crashed == 3)  # the server that forks them is counted, too
    assert (await do(pool, "say x")).results[0].actual == "x"
    await until(lambda: pool.idle == 2)


@LINUX
async def test_the_server_that_evaluators_are_forked_from_may_end_and_costs_no_assertion(
    pool: Evaluators, children: Children
) -> None:
    await until(lambda: pool.idle == 2)
    (server,) = servers(children)
    server.kill()
    await until(lambda: pool.crashed == 1)
    evaluation = await do(pool, "say before", "grind", "say after")  # it takes another evaluator, and so another server
    assert [result.actual for result in evaluation.results] == ["before", None, "after"]
    await until(lambda: pool.idle == 2)
    assert pool.crashed == 1
    assert servers(children) != [server]


@LINUX
@pytest.mark.parametrize(("deed", "renewed"), [("crash", True), ("fork", True), ("grind", False)])
async def test_after_a_crash_the_next_evaluator_has_another_layout_of_memory(
    pool: Evaluators, deed: str, children: Children, *, renewed: bool
) -> None:
    await until(lambda: pool.idle == 2)
    before = servers(children)
    evaluation = await do(pool, deed)
    assert not evaluation.results[0].valid
    await until(lambda: pool.idle == 2)
    assert (servers(children) != before) is renewed
    assert pool.crashed == 0


def servers(children: Children) -> list[psutil.Process]:
    """Those that may open files, which evaluators may not."""
    return [child for child in children() if child.rlimit(psutil.RLIMIT_NOFILE) != (0, 0)]


async def test_signals_to_the_workers_group_do_not_reach_evaluators(pool: Evaluators, children: Children) -> None:
    await until(lambda: pool.idle == 2)
    for child in children():
        assert os.getpgid(child.pid) != os.getpgid(0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            child.send_signal(number)
    assert (await do(pool, "say x")).results[0].actual == "x"
    assert pool.crashed == 0


async def test_a_closed_pool_leaves_no_process_and_no_descriptor(children: Children) -> None:
    before = open_descriptors()
    async with pool_of(2) as pool:
        await until(lambda: pool.idle == 3)
        await do(pool, "grind", "say x")
        known = children()
    assert not any(child.is_running() for child in known)
    assert not children()
    assert open_descriptors() == before
    with pytest.raises(EvaluationError):
        await do(pool, "say x")


async def test_a_pool_may_be_closed_while_it_starts(children: Children) -> None:
    async with pool_of(2):
        await asyncio.sleep(0)
    assert not children()


async def test_what_is_in_work_when_the_pool_closes_fails_by_name() -> None:
    async with pool_of(1) as pool:
        running = asyncio.create_task(do(pool, "burn 0.1", "burn 0.1", key="a"))
        waiting = asyncio.create_task(do(pool, "say x", key="b"))
        await until(lambda: pool.working == 1 and pool.waiting == 1)
    for task in (running, waiting):
        with pytest.raises(EvaluationError):
            await task


async def test_an_evaluator_that_has_grown_is_replaced(pool: Evaluators) -> None:
    await until(lambda: pool.idle == 2)
    evaluation = await do(pool, "pid", "grow", "say after")
    assert evaluation.results[2].actual == "after"
    assert pool.recycled == 1
    await until(lambda: pool.idle == 2)
    assert not psutil.pid_exists(int(str(evaluation.results[0].actual)))
    assert (pool.killed, pool.crashed) == (0, 0)


async def test_an_evaluator_that_is_stopped_is_given_up_after_its_wall_time(pool: Evaluators) -> None:
    """No timer of the kernel runs in a stopped process: this is what the guard in the worker is for."""
    evaluation = await pool.evaluate("key", deeds("stop", "say after"), seen())
    assert evaluation.starved
    assert evaluation.results[0].code is FailureCode.INTERNAL_ERROR
    assert evaluation.results[1].actual == "after"


async def test_a_protection_that_the_system_lacks_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async with pool_of(1) as pool:
        await until(lambda: pool.idle == 2)
    assert "evaluator_protection_missing" not in [getattr(record, "action", "") for record in caplog.records]
    lacking = pool_of(1)._supervisor
    for _ in range(2):
        lacking.on_frame(Process(lacking, 100), encode_reply(Ready(missing=("bounded memory",))))
    assert [getattr(record, "protection", "") for record in caplog.records] == ["bounded memory"]


async def test_what_waits_for_too_long_is_given_up_by_name() -> None:
    clock = FakeClock()
    async with Evaluators(1, LIMITS, clock, program="no.such.module") as pool:
        waiting = asyncio.create_task(do(pool, "say x"))
        await until(lambda: pool.waiting == 1)
        while not waiting.done():
            await clock.advance(10)
        with pytest.raises(EvaluationError, match="no evaluator was free for 60 s"):
            await waiting
        assert clock.monotonic_ns() <= 80e9


async def test_entering_a_pool_waits_for_no_evaluator() -> None:
    async with pool_of(2) as pool:
        assert (pool.started, pool.idle) == (0, 0)


async def test_an_error_inside_leaves_the_pool_as_it_is(children: Children) -> None:
    with pytest.raises(ZeroDivisionError):
        async with pool_of(1):
            raise ZeroDivisionError
    assert not children()


def test_the_pool_works_on_uvloop(children: Children) -> None:
    async def scenario() -> None:
        async with pool_of(1) as pool:
            body = bytes(5_000_000)
            evaluation = await do(pool, "say a", "grind", "length", "leave", "say b", body=body)
            assert [result.actual for result in evaluation.results] == ["a", None, len(body), None, "b"]
            cancelled = asyncio.create_task(do(pool, "spin"))
            await until(lambda: pool.working == 1)
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
            assert (await do(pool, "say c")).results[0].actual == "c"

    uvloop.run(scenario())
    assert not children()


async def test_evaluators_that_die_at_once_are_started_ever_more_slowly() -> None:
    clock = FakeClock()
    async with Evaluators(1, LIMITS, clock, program="no.such.module") as pool:
        for crashed, delay_s in enumerate((0.1, 0.2, 0.4), start=1):
            await until(lambda crashed=crashed: pool.crashed == crashed)  # type: ignore[misc]
            await until(lambda: clock.sleeping == 2)  # the supervisor, and the sweep of the queue
            await clock.advance(delay_s - 0.01)
            assert (pool.crashed, clock.sleeping) == (crashed, 2)
            await clock.advance(0.01)


async def test_a_body_that_nobody_reads_does_not_outlive_its_test(tmp_path: Path) -> None:
    """A cancelled 5 MB task is still being written when its evaluator is killed."""
    async with pool_of(1) as pool:
        await until(lambda: pool.idle == 2)
        for _ in range(3):
            task = asyncio.create_task(do(pool, "length", body=bytes(5_000_000)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (await do(pool, "length", body=b"abc")).results[0].actual == 3


@LINUX
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_evaluators_die_with_the_worker(number: signal.Signals) -> None:
    """Idle and busy ones, though nobody has told them."""
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.evaluators.lonely_worker", stdout=asyncio.subprocess.PIPE
    )
    assert worker.stdout is not None
    pids = [int(pid) for pid in (await worker.stdout.readline()).split()]
    assert len(pids) == 4  # with the server
    assert all(psutil.pid_exists(pid) for pid in pids)
    worker.send_signal(number)
    await worker.wait()
    await until(lambda: not any(is_running(pid) for pid in pids), seconds=2)


def is_running(pid: int) -> bool:
    """An orphan whose new parent has not collected it yet is dead all the same."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
