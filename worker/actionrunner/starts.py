"""The journal of a runner: starts of `once` actions on disk before they act, results until they are delivered, ids taken before.

It is the agent's journal under other names: a start is a record like a result, and becomes a note that the task was seen once its
result is delivered. What earlier instances left is read at the start, and told with the next pull as `previous`. An instance is
spoken for only if its own mark is there, and nothing in the journal was damaged: silence is the safer word.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, Self

import msgspec

from worker.actionrunner.execution import NotStarted
from worker.actionrunner.seen import KEPT_MS, SeenTasks
from worker.agent.journal.codec import SegmentKeys
from worker.agent.journal.journal import Journal
from worker.agent.journal.store import Store
from worker.clock import Clock
from worker.wire.keys import PrivateKey
from worker.wire.messages import ResultItem
from worker.wire.runner_messages import Predecessor

log = logging.getLogger(__name__)

WRITE_SECONDS: Final = 2.0
"""Seconds for a start to be on disk; a disk that takes longer is in trouble, and a `once` action does not begin."""
MOST_ENDED: Final = 5_000
"""Tasks whose end is remembered on disk: half of what a journal holds. Beyond it the oldest are remembered in memory alone."""
_START, _MARK = "start.", "instance."


class _Note(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a record of ours, in the place of an outcome."""

    instance: str
    task: str = ""
    exp: int = 0
    ended: bool = False


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """The part that is read of a result that an earlier instance left."""

    instance: str = ""


class ResultTaker(Protocol):
    """The part of the outbox that this module needs."""

    @property
    def has_room(self) -> bool: ...

    def restore(self, items: Sequence[ResultItem]) -> None: ...


@dataclass(slots=True)
class _Left:
    """The leases that an instance left behind, each by the key of its task."""

    started: dict[str, str] = field(default_factory=dict)
    finished: dict[str, str] = field(default_factory=dict)
    is_marked: bool = False


class StartJournal:
    """The journal of *instance* in *directory*, sealed with *keys*. To the outbox it is where results are kept.

    Use as an async context manager, and run the loops of `journal`. *now* is the control plane's time in epoch milliseconds.
    """

    def __init__(
        self,
        directory: Path,
        *,
        urn: str,
        instance: str,
        keys: Iterable[PrivateKey],
        clock: Clock,
        now: Callable[[], int],
        seen: SeenTasks,
        on_write: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        """*on_write* is told for each start the seconds until it was on disk."""
        self._instance = instance
        self._clock = clock
        self._now = now
        self._on_write = on_write
        self._seen = seen
        self._store = Store(directory, SegmentKeys.of(urn, keys), worker=str(uuid.uuid4()), age_ns=clock.age_ns)
        self.journal = Journal(self._store, clock)
        self._starts: dict[str, ResultItem] = {}
        self._of_result: dict[str, str] = {}
        self._ended: deque[tuple[int, str]] = deque()
        self._left: dict[str, _Left] = {}
        self._results: list[ResultItem] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            self._read(await asyncio.to_thread(self._take_over))
        except OSError as error:  # the journal says so again, and takes no work
            log.error("cannot read the state directory: %s", error.strerror, extra={"action": "journal_unreadable"})  # noqa: TRY400
        await self._stack.enter_async_context(self.journal)
        self._read(self.journal.inherited)
        self.journal.keep(_record(_MARK + self._instance, self._instance, "-", _Note(instance=self._instance)))
        self.journal.hurry()  # the next instance tells by it whose tasks it may take
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _take_over(self) -> list[ResultItem]:
        found: list[ResultItem] = []
        while (items := self._store.inherit(after=0)) is not None:
            found += items
        return found

    @property
    def trouble(self) -> str | None:
        return self.journal.trouble

    @property
    def previous(self) -> tuple[Predecessor, ...]:
        """The word on earlier instances for the next pull, until `forget_previous`."""
        if self._store.counts.damaged:
            return ()
        return tuple(
            Predecessor(
                instance=instance,
                started=tuple(lease for key, lease in left.started.items() if key not in left.finished),
                finished=tuple(left.finished.values()),
            )
            for instance, left in self._left.items()
            if left.is_marked
        )[:100]

    def forget_previous(self, told: Sequence[Predecessor]) -> None:
        """Drop what a signed reply has confirmed; the tasks stay seen."""
        for one in told:
            left = self._left.pop(one.instance, _Left())
            self.journal.done(_MARK + one.instance)
            for key in left.started.keys() - left.finished.keys():
                self._note_ended(key)

    def sorting(self, outbox: ResultTaker) -> ResultTaker:
        """A taker of what dead neighbours leave: results go to *outbox*, starts and marks into the next `previous`."""
        return _Sorting(self, outbox)

    def take(self, items: Iterable[ResultItem], outbox: ResultTaker) -> None:
        """Read what another instance left, and hand its results to *outbox*."""
        self._read(items)
        self.hand_over(outbox)

    def hand_over(self, outbox: ResultTaker) -> None:
        """Give the results of earlier instances to *outbox*."""
        for item in self._results:
            if item.job in self._starts:
                self._of_result[item.result] = item.job
        outbox.restore(self._results)
        self._results = []

    async def begin(self, key: str, *, task: str, lease: str, exp: int) -> None:
        """Have the start of *task*, known as *key*, on disk. Raises NotStarted."""
        if self.journal.trouble is None:
            note = _Note(instance=self._instance, task=task, exp=exp)
            began_ns = self._clock.monotonic_ns()
            self._starts[key] = _record(_START + key, key, lease, note)
            self.journal.keep(self._starts[key])
            self.journal.hurry()
            try:
                async with asyncio.timeout(WRITE_SECONDS):
                    await self.journal.commit()
            except TimeoutError:
                self.undo(key)
            except BaseException:
                self.undo(key)
                raise
            else:
                self._on_write((self._clock.monotonic_ns() - began_ns) / 1e9)
                return
        raise NotStarted("JOURNAL", "the state directory cannot be written: the start would not be on record")

    def undo(self, key: str) -> None:
        """Take a start back: its action did not begin."""
        if self._starts.pop(key, None) is not None:
            self.journal.done(_START + key)

    def keep(self, item: ResultItem) -> None:
        """Keep a result until it is delivered: on disk at once where its action must not run again."""
        self.journal.keep(item)
        if item.job in self._starts:
            self.journal.hurry()
            self._of_result[item.result] = item.job

    def done(self, result: str) -> None:
        """Forget a result that needs no more delivery: its start stays on record as ended until the task can come no more."""
        self.journal.done(result)
        key = self._of_result.pop(result, None)
        if key is not None:
            self._note_ended(key)

    def _note_ended(self, key: str) -> None:
        record = self._starts.pop(key, None)
        if record is None:
            return
        note = msgspec.json.decode(bytes(record.outcome), type=_Note)
        self._drop_old()
        self.journal.keep(_record(record.result, key, record.lease, msgspec.structs.replace(note, ended=True)))
        self._ended.append((note.exp + KEPT_MS, record.result))

    def _drop_old(self) -> None:
        now = self._now()
        while self._ended and (self._ended[0][0] <= now or len(self._ended) >= MOST_ENDED):
            self.journal.done(self._ended.popleft()[1])

    def _read(self, items: Iterable[ResultItem]) -> None:
        for item in items:
            if item.result.startswith(_MARK):
                self._left.setdefault(item.result.removeprefix(_MARK), _Left()).is_marked = True
            elif item.result.startswith(_START):
                self._read_start(item)
            else:
                told = msgspec.json.decode(bytes(item.outcome), type=_Told)
                self._left.setdefault(told.instance, _Left()).finished[item.job] = item.lease
                self._results.append(item)

    def _read_start(self, item: ResultItem) -> None:
        note = msgspec.json.decode(bytes(item.outcome), type=_Note)
        self._seen.add(note.task, note.exp, now=self._now())
        if note.ended:
            self._ended.append((note.exp + KEPT_MS, item.result))
        else:
            self._starts[item.job] = item
            self._left.setdefault(note.instance, _Left()).started[item.job] = item.lease


class _Sorting:
    def __init__(self, starts: StartJournal, outbox: ResultTaker) -> None:
        self._starts = starts
        self._outbox = outbox

    @property
    def has_room(self) -> bool:
        return self._outbox.has_room

    def restore(self, items: Sequence[ResultItem]) -> None:
        self._starts.take(items, self._outbox)


def _record(name: str, job: str, lease: str, note: _Note) -> ResultItem:
    return ResultItem(result=name, job=job, lease=lease, outcome=msgspec.Raw(msgspec.json.encode(note)))
