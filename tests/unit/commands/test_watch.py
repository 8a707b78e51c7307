"""`check --watch`: one round, and another for each change that has settled; real files, a clock that the test moves."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.clock import FakeClock
from worker.commands.watch import INTERVAL, watch


class Rounds:
    """The rounds that were run, what was announced, and a hook within a round."""

    def __init__(self, *files: Path) -> None:
        self.clock = FakeClock()
        self.count = 0
        self.announced: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._names = [str(file) for file in files]

    async def once(self) -> int:
        self.count += 1
        await self.gate.wait()
        return 1

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[Rounds]:
        task = asyncio.create_task(watch(self._names, self.once, self.clock, self.announced.append))
        await self.clock.settle()
        yield self
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def look(self, times: int = 1) -> None:
        await self.clock.advance(times * INTERVAL)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.json"
    path.write_text("[]")
    return path


async def test_nothing_is_run_again_while_nothing_changes(file: Path) -> None:
    async with Rounds(file).watching() as rounds:
        await rounds.look(10)
        assert (rounds.count, rounds.announced) == (1, [])


async def test_a_change_that_has_settled_is_run_and_named(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "b.json"
    other.write_text("[]")
    async with Rounds(file, other).watching() as rounds:
        other.write_text("[1, 2]")
        await rounds.look()
        assert rounds.count == 1
        await rounds.look()
        assert rounds.count == 2
        assert [line.partition("  ")[2] for line in rounds.announced] == [f"changed: {other}"]
        await rounds.look(10)
        assert rounds.count == 2


async def test_a_file_that_is_being_written_is_waited_for(file: Path) -> None:
    async with Rounds(file).watching() as rounds:
        for size in range(3, 8):
            file.write_text("x" * size)
            await rounds.look()
        assert rounds.count == 1
        await rounds.look()
        assert rounds.count == 2


async def test_a_change_during_a_round_starts_the_next_one(file: Path) -> None:
    rounds = Rounds(file)
    rounds.gate.clear()
    async with rounds.watching():
        file.write_text("[1]")
        rounds.gate.set()
        await rounds.look(2)
        assert rounds.count == 2


async def test_a_file_that_an_editor_puts_in_the_place_of_the_old_one_counts(file: Path) -> None:
    async with Rounds(file).watching() as rounds:
        new = file.with_suffix(".new")
        new.write_text("[]")
        os.utime(new, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
        new.replace(file)
        await rounds.look(2)
        assert rounds.count == 2


async def test_a_file_that_goes_away_and_comes_back_is_two_changes(file: Path) -> None:
    async with Rounds(file).watching() as rounds:
        file.unlink()
        await rounds.look(2)
        file.write_text("[]")
        await rounds.look(2)
        assert rounds.count == 3


async def test_what_a_file_is_called_cannot_command_the_terminal(tmp_path: Path) -> None:
    odd = tmp_path / "a\x1b[2J\n.json"
    odd.write_text("[]")
    async with Rounds(odd).watching() as rounds:
        odd.write_text("[1]")
        await rounds.look(2)
        assert rounds.announced[0].endswith("a\\x1b[2J\\n.json")
