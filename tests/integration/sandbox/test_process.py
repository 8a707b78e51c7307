"""A process in the sandbox, used by a caller that is not the evaluators' pool."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest

from tests.integration.sandbox.processes import MAX_FRAME, Recorder, started
from tests.support.sandbox import MAY_BE_MISSING
from worker.sandbox.process import Command, Process

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="limits that only Linux has")


@LINUX
async def test_it_is_confined_has_its_own_arguments_and_loads_nothing_but_the_sandbox() -> None:
    async with started() as (_, owner):
        introduction = json.loads(await owner.frame())
    assert introduction["arguments"] == ["one", "two"]
    assert set(introduction["missing"]) <= MAY_BE_MISSING
    assert {name for name in introduction["modules"] if not name.startswith("worker.sandbox")} == {
        "worker.program",
        "worker.program.hardening",
    }


@LINUX
async def test_it_is_the_first_to_go_when_memory_runs_out() -> None:
    async with started() as (process, owner):
        await owner.frame()
        assert Path(f"/proc/{process.pid}/oom_score_adj").read_text() == "1000\n"


async def test_frames_of_every_size_travel_both_ways_in_order() -> None:
    payloads = [b"", b"ab", bytes(range(256)) * 1000, b"c", bytes(65_536), bytes(65_537), b"de"]
    async with started() as (process, owner):
        await owner.frame()
        process.send(*payloads)
        assert [await owner.frame() for _ in payloads] == [payload[::-1] for payload in payloads]
        assert process.exit_code is None


async def test_a_frame_beyond_the_bound_is_the_end_of_its_writer() -> None:
    async with started() as (process, owner):
        await owner.frame()
        process.send(bytes(MAX_FRAME + 1))
        await owner.death()
        assert process.rejected
        assert process.exit_code == -signal.SIGKILL
        assert owner.frames.empty()


async def test_what_was_in_hand_is_known_after_a_crash() -> None:
    async with started() as (process, owner):
        await owner.frame()
        process.send(b"abc", b"crash")
        await owner.death()
        assert (process.exit_code, owner.position) == (-signal.SIGABRT, len(b"crash"))
        assert not process.rejected


async def test_a_killed_process_is_not_heard_any_more() -> None:
    async with started() as (process, owner):
        await owner.frame()
        process.send(b"abc")
        process.kill()
        await owner.death()
        assert owner.frames.empty()


async def test_a_command_that_ends_at_once_is_a_death() -> None:
    async with started(Command(("/bin/sh", "-c", "exit 3"), {})) as (process, owner):
        await owner.death()
        assert process.exit_code == 3


async def test_a_command_that_does_not_exist_raises_and_leaves_nothing_open(tmp_path: Path) -> None:
    before = sum(1 for _ in Path("/dev/fd").iterdir())
    with pytest.raises(OSError, match="No such file"):
        await Process(Recorder(), MAX_FRAME).start(Command((str(tmp_path / "missing"),), {}))
    assert sum(1 for _ in Path("/dev/fd").iterdir()) == before
