"""`spool list|push|drop DIRECTORY`: look at, deliver or delete what workers left in a spool.

Touches nothing that a living worker has.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from worker.agent.journal import codec, home, rejected, segment
from worker.agent.journal.codec import SegmentKeys
from worker.agent.journal.journal import Journal
from worker.agent.outbox import Delivery, Outbox
from worker.apitest.bounds import shrink
from worker.clock import SystemClock
from worker.config.load import Config
from worker.errors import ExitCode
from worker.intake.backoff import Backoff
from worker.start import intake_of, intake_tls_of
from worker.text import counted
from worker.wire.messages import ResultItem

PATIENCE = 60.0
"""Seconds for the delivery of one segment: a control plane that does not answer in that time is away."""
SETTLED = frozenset({"accepted", "duplicate", "superseded"})

Show = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One worker's directory. *results* and *damaged* count what this location's keys open; *sealed* segments they do not."""

    worker: str
    location: str
    in_use: bool
    segments: int
    bytes: int
    results: int
    damaged: int
    sealed: int

    def as_text(self) -> str:
        state = "in use" if self.in_use else "left behind"
        text = f"{self.worker}  {state}  {counted(self.results, 'result')} in {counted(self.segments, 'segment')}"
        text += f", {counted(self.bytes, 'byte')}"
        text += f", {counted(self.damaged, 'record')} damaged" if self.damaged else ""
        return text + (f", {counted(self.sealed, 'segment')} sealed under another key" if self.sealed else "")


def show_spool(config: Config, room: Path, *, as_json: bool, show: Show, complain: Show) -> int:
    """Show each worker's directory and the number of results set aside; the exit code."""
    if not _is_directory(room, complain):
        return ExitCode.UNUSABLE
    keys = SegmentKeys.of(config.location_id, config.private_keys)
    for path in home.homes(room):
        try:
            listing = _listing(path, keys)
        except OSError as error:  # its worker is just leaving, or the directory is not ours
            complain(f"{path}: {error.strerror}")
            continue
        show(orjson.dumps(asdict(listing)).decode() if as_json else listing.as_text())
    aside = len(rejected.found(room))
    show(orjson.dumps({"set_aside": aside}).decode() if as_json else f"{counted(aside, 'result')} set aside, rejected")
    return ExitCode.DONE


async def push_spool(config: Config, room: Path, *, show: Show, complain: Show) -> int:
    """Deliver what dead workers of the location left in *room*, and delete it; the exit code."""
    if not _is_directory(room, complain):
        return ExitCode.UNUSABLE
    clock = SystemClock()
    delivered: Counter[str] = Counter()

    def count(delivery: Delivery) -> None:
        delivered[delivery.outcome] += 1

    async with (
        Journal.of(room, config.location_id, config.private_keys, clock) as journal,
        intake_of(config, intake_tls_of(config), clock, worker_id=journal.worker) as intake,
    ):
        outbox = Outbox(
            intake,
            clock,
            Backoff(random.uniform),
            shrink=shrink,
            set_aside=journal.set_aside,
            journal=journal,
            on_delivery=count,
        )
        loops = [asyncio.ensure_future(loop) for loop in (outbox.run(), journal.run())]
        try:
            await _push_all(journal, outbox)
        except TimeoutError:
            complain(
                f"{counted(outbox.waiting, 'result')} undelivered: the control plane took none for {PATIENCE:.0f} s"
            )
        except OSError as error:
            complain(f"cannot read {room}: {error.strerror}")
            return ExitCode.UNUSABLE
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
    show(", ".join(f"{count} {outcome}" for outcome, count in sorted(delivered.items())) or "nothing to push")
    return ExitCode.DONE if not outbox.waiting and delivered.keys() <= SETTLED else ExitCode.FAILED


async def _push_all(journal: Journal, outbox: Outbox) -> None:
    """Push one segment after the other. Raises TimeoutError and OSError."""
    items: list[ResultItem] | None = journal.inherited
    while items is not None:
        outbox.restore(items)
        async with asyncio.timeout(PATIENCE):
            await outbox.flush()
        items = await asyncio.to_thread(journal.store.inherit, after=0.0)


def drop_spool(room: Path, *, show: Show, complain: Show) -> int:
    """Delete everything that no living worker has; the exit code says whether that was all."""
    if not _is_directory(room, complain):
        return ExitCode.UNUSABLE
    exit_code = ExitCode.DONE
    for path in home.homes(room):
        try:
            taken = home.take_over(path, None)
            if taken is None:
                complain(f"{path.name} is in use and stays")
                exit_code = ExitCode.FAILED
                continue
            segments = len(taken.segments)
            taken.empty()
            taken.leave()
        except OSError as error:
            complain(f"cannot delete {path}: {error.strerror}")
            exit_code = ExitCode.UNUSABLE
            continue
        show(f"{path.name}: {counted(segments, 'segment')} deleted")
    aside = rejected.found(room)
    for file in aside:
        file.unlink(missing_ok=True)
    show(f"{counted(len(aside), 'result')} set aside, deleted")
    return exit_code


def _listing(path: Path, keys: SegmentKeys) -> Listing:
    contents = [segment.read(one, keys) for one in home.segments_of(path)]
    opened = [left.contents for left in contents if left.contents is not None]
    return Listing(
        worker=path.name,
        location=home.location_of(path) or "",
        in_use=home.is_held(path),
        segments=len(contents),
        bytes=sum(left.size for left in contents),
        results=sum(len(codec.undone(one.records)) for one in opened),
        damaged=sum(one.damaged for one in opened),
        sealed=len(contents) - len(opened),
    )


def _is_directory(room: Path, complain: Show) -> bool:
    if room.is_dir():
        return True
    complain(f"{room} is not a directory")
    return False
