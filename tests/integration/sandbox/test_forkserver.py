"""A fork server with real processes: what its children are, what they are not, and what becomes of them without it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.sandbox.processes import MAX_FRAME, Recorder, serving, started
from tests.support.sandbox import MAY_BE_MISSING
from tests.support.waiting import until
from worker.sandbox import landlock
from worker.sandbox.fork_protocol import AVAILABLE
from worker.sandbox.process import Process, python_module

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="no process adopts orphans here")


PROGRAM = "tests.integration.sandbox.forked"
WHOLE = python_module(PROGRAM, "whole")


async def said(owner: Recorder) -> dict[str, Any]:
    """The introduction of a child, with what it had before it was confined."""
    introduction, inherited = json.loads(await owner.frame()), json.loads(await owner.frame())
    return {**introduction, **inherited}


def server_of(introduction: dict[str, Any]) -> psutil.Process:
    return psutil.Process(introduction["loaded by"])


async def test_children_are_this_processs_own_and_share_what_one_process_has_loaded() -> None:
    async with serving(WHOLE) as server, started(server) as (one, first), started(server) as (two, second):
        told = [await said(first), await said(second)]
        assert [child["pid"] for child in told] == [one.pid, two.pid]
        assert {psutil.Process(child.pid).ppid() for child in (one, two)} == {os.getpid()}
        assert len({child["loaded by"] for child in told}) == len({child["hash"] for child in told}) == 1
        assert told[0]["random"] != told[1]["random"]
        groups = [os.getpgid(pid) for pid in (one.pid, two.pid, told[0]["loaded by"])]
        assert groups == [one.pid, two.pid, told[0]["loaded by"]]
        assert os.getsid(one.pid) == os.getsid(0)


async def test_a_child_is_confined_and_has_nothing_of_its_server_or_its_siblings() -> None:
    async with serving(WHOLE) as server, started(server) as (_, first), started(server) as (_, second):
        await said(first)
        child = await said(second)
        assert set(child["missing"]) <= MAY_BE_MISSING
        assert child["arguments"] == ["whole"]
        assert child["descriptors"] == ["/dev/null"] * 3 + ["/memfd", "socket"]


async def test_the_server_has_one_thread_and_keeps_only_what_forking_takes() -> None:
    async with serving(WHOLE) as server, started(server) as (_, owner):
        child = await said(owner)
        assert (child["dumpable"], child["files"]) == (0, not landlock.version())
        process = server_of(child)
        assert process.num_threads() == 1
        status = dict(
            line.split(":\t") for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if ":\t" in line
        )
        assert status["NoNewPrivs"] == "1"
        assert Path(f"/proc/{process.pid}/oom_score_adj").read_text() == "1000\n"
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        for name in ("Max core file size", "Max file size"):
            assert next(line for line in limits.splitlines() if line.startswith(name)).split()[-3:-1] == ["0", "0"]


async def test_frames_and_the_position_are_a_childs_own() -> None:
    async with serving(WHOLE) as server, started(server) as (one, first), started(server) as (two, second):
        for owner in (first, second):
            await said(owner)
        one.send(b"abc")
        two.send(b"de", b"fghi")
        assert await first.frame() == b"cba"
        assert [await second.frame(), await second.frame()] == [b"ed", b"ihgf"]
        assert (one.position, two.position) == (3, 4)


async def test_a_child_that_dies_is_known_by_its_signal_and_nobody_else_notices() -> None:
    async with serving(WHOLE) as server, started(server) as (one, first), started(server) as (two, second):
        await said(first)
        await said(second)
        os.kill(one.pid, signal.SIGSEGV)
        await first.death()
        assert one.exit_code == -signal.SIGSEGV
        two.send(b"abc")
        assert await second.frame() == b"cba"
        assert server.ends == []


async def test_a_child_that_somebody_else_has_reaped_is_dead_all_the_same() -> None:
    async with serving(WHOLE) as server, started(server) as (one, first):
        await said(first)
        os.kill(one.pid, signal.SIGKILL)
        os.waitpid(one.pid, 0)  # noqa: ASYNC222 - it has been killed
        await first.death()
        assert one.exit_code == 0, "nobody knows it"


async def test_a_server_works_where_sigchld_is_ignored() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        async with serving(WHOLE) as server, started(server) as (one, first):
            await said(first)
            one.send(b"abc")
            assert await first.frame() == b"cba"
    finally:
        signal.signal(signal.SIGCHLD, before)


async def test_children_outlive_their_server_and_the_next_child_has_another() -> None:
    async with serving(WHOLE) as server, started(server) as (one, first):
        before = await said(first)
        server_of(before).kill()
        await until(lambda: server.ends == [-signal.SIGKILL])
        one.send(b"abc")
        assert await first.frame() == b"cba"
        async with started(server) as (_, second):
            assert (await said(second))["loaded by"] != before["loaded by"]


async def test_a_renewed_server_has_another_seed_and_its_end_is_not_told() -> None:
    async with serving(WHOLE) as server, started(server) as (one, first):
        before = await said(first)
        server.renew()
        async with started(server) as (_, second):
            after = await said(second)
        assert (before["loaded by"], before["hash"]) != (after["loaded by"], after["hash"])
        assert before["hash"] != after["hash"]
        one.send(b"abc")
        assert await first.frame() == b"cba"
    assert server.ends == []


async def test_signals_to_its_group_do_not_end_it() -> None:
    async with serving(WHOLE) as server, started(server) as (_, owner):
        process = server_of(await said(owner))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            process.send_signal(number)
        async with started(server) as (_, second):
            assert (await said(second))["loaded by"] == process.pid


async def test_a_system_that_allows_no_more_processes_says_so_and_the_server_goes_on() -> None:
    async with serving(python_module(PROGRAM, "unforkable")) as server:
        for _ in range(2):
            with pytest.raises(BlockingIOError):
                await Process(Recorder(), MAX_FRAME).start(server)
        assert server.ends == []


async def test_a_program_that_cannot_be_loaded_raises_and_its_end_is_told() -> None:
    async with serving(python_module("no.such.module")) as server:
        with pytest.raises(ChildProcessError, match=r"the fork server ended \(1\)"):
            await Process(Recorder(), MAX_FRAME).start(server)
        assert server.ends == [1]


@pytest.mark.parametrize("turns", [0, 1, 2, 5, 20, 200])
async def test_a_start_may_be_cancelled_at_any_time_and_leaves_nobody(turns: int) -> None:
    async with serving(WHOLE) as server:
        async with started(server) as (_, owner):
            await said(owner)
        process = Process(Recorder(), MAX_FRAME)
        starting = asyncio.create_task(process.start(server))
        for _ in range(turns):
            await asyncio.sleep(0)
        starting.cancel()
        if not (await asyncio.gather(starting, return_exceptions=True))[0]:
            process.kill()
            await until(lambda: process.exit_code is not None)
