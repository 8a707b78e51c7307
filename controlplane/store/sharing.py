"""Shared writes: several small pieces of work in one transaction, one exchange with the database and one sync of its disk.

Whoever comes while a transaction is under way goes with the next one. Each piece is told of its own end: one whose number is
stale has changed nothing and keeps nobody; one that fails is undone with all that went with it, and then each is done alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.errors import DatabaseError, DatabaseTrouble, SequenceError, StatementError
from controlplane.store.engines.engine import Together

MOST_WEIGHT = 128
"""Of one transaction, in jobs and results: some tens of milliseconds for which all others wait. One piece may weigh more."""
TURN_SECONDS = 4.0
"""The wait for the other writers of this process: with that for other processes, less than a worker waits for its answer."""
LOOK_SECONDS = 1.0
"""Between looks for those who have waited for too long, while a transaction does not end: its disk may hang."""
T = TypeVar("T")
BeginShared = Callable[[AsyncConnection], Coroutine[Any, Any, T]]
"""Called once the lock is there, when moments are to be read; what it returns waits for the connection and for nothing else."""
CountChange = Callable[[AsyncConnection, Collection[str]], None]
Write = Callable[[Collection[str]], AbstractAsyncContextManager[AsyncConnection]]


@dataclass(slots=True, kw_only=True)
class _Piece:
    """Work that waits for its turn until *deadline* (the loop's time) at the latest, and the future of its *end*."""

    begin: BeginShared[Any]
    location: str
    weight: int
    deadline: float
    end: asyncio.Future[Any]

    def is_late(self) -> bool:
        """Tell if it has waited for too long."""
        return self.deadline + TURN_SECONDS < asyncio.get_running_loop().time()

    def fail(self, error: BaseException) -> None:
        if not self.end.done():
            self.end.set_exception(error)


class SharedWrites:
    """Pieces of work in the order in which they came. *write* begins a transaction, *together* runs work in one exchange, *count*
    is told after each piece, so that the next one goes by nothing that the last one has changed. *late* is the error of who
    has waited for too long.
    """

    def __init__(self, write: Write, together: Together, count: CountChange, late: Callable[[], Exception]) -> None:
        self._late = late
        self._write = write
        self._together = together
        self._count = count
        self._waiting: list[_Piece] = []
        self._carrier: asyncio.Task[None] | None = None
        self._look: asyncio.TimerHandle
        self._bell = asyncio.Event()

    async def run(self, begin: BeginShared[T], *, location: str, weight: int, patience: float) -> T:
        """Do the work of *begin*, which changes jobs and runs of no other *location*; committed, on disk, when it returns.

        *weight* is about how many rows it changes, *patience* the seconds for which it waits for others to go with.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        piece = _Piece(begin=begin, location=location, weight=weight, deadline=deadline, end=loop.create_future())
        self._waiting.append(piece)
        if not patience:
            self.hurry()
        if self._carrier is None:
            self._carrier = asyncio.create_task(self._carry(), name="shared writes")
        result: T = await piece.end
        return result

    def hurry(self) -> None:
        """Begin at once, whoever still has patience."""
        self._bell.set()

    async def close(self) -> None:
        """End, and whoever waits with it."""
        carrier, self._carrier = self._carrier, None
        if carrier is not None:
            carrier.cancel()
            await asyncio.gather(carrier, return_exceptions=True)
        for piece in self._waiting:
            piece.end.cancel()
        self._waiting.clear()

    async def _carry(self) -> None:
        while self._waiting:
            await self._until_due()
            self._look_later()
            try:
                await self._transaction()
            finally:
                self._look.cancel()
        self._carrier = None

    def _look_later(self) -> None:
        self._look = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._send_home)

    def _send_home(self) -> None:
        """Fail those who have waited for too long; more than that nobody can do for them."""
        for piece in [one for one in self._waiting if one.is_late()]:
            self._waiting.remove(piece)
            piece.fail(self._late())
        self._look_later()

    async def _until_due(self) -> None:
        """Wait for the bell, or until the first of those who wait has no patience left."""
        left = min(piece.deadline for piece in self._waiting) - asyncio.get_running_loop().time()
        if left > 0:
            try:
                async with asyncio.timeout(left):
                    await self._bell.wait()
            except TimeoutError:
                pass
        self._bell.clear()

    async def _transaction(self) -> None:
        """Do as much of what waits as goes into one; and where that fails for a reason of its own, each piece alone."""
        group: list[_Piece] = []
        locations: set[str] = set()
        try:
            async with self._write(locations) as connection:
                group = self._next()
                locations.update(piece.location for piece in group)
                ends = await self._together(connection, self._each(connection, group))
        except asyncio.CancelledError:
            for piece in group:
                piece.end.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - it is raised where the end of the work is waited for
            await self._failed(group or self._next(), error)
            return
        for piece, end in zip(group, ends, strict=True):
            _settle(piece, end)

    def _next(self) -> list[_Piece]:
        """Take the first of those who still wait, as many as go together."""
        group: list[_Piece] = []
        weight = 0
        while self._waiting and (not group or weight + self._waiting[0].weight <= MOST_WEIGHT):
            piece = self._waiting.pop(0)
            if piece.is_late():
                piece.fail(self._late())
            elif not piece.end.done():  # its caller was cancelled
                group.append(piece)
                weight += piece.weight
        return group

    def _each(self, connection: AsyncConnection, group: Sequence[_Piece]) -> Coroutine[Any, Any, list[Any]]:
        """The work of *group*, piece by piece, begun here and now."""
        begun = [(piece.begin(connection), piece.location) for piece in group]
        return self._ends(connection, begun)

    async def _ends(
        self, connection: AsyncConnection, begun: Sequence[tuple[Coroutine[Any, Any, Any], str]]
    ) -> list[Any]:
        """The end of each piece; a stale number, which has changed nothing, is one."""
        ends: list[Any] = []
        try:
            for work, location in begun:
                ends.append(await _number_kept(work))
                self._count(connection, (location,))
        finally:
            for work, _ in begun[len(ends) :]:
                work.close()
        return ends

    async def _failed(self, group: Sequence[_Piece], error: Exception) -> None:
        if len(group) == 1 or not _is_of_a_piece(error):
            for piece in group:
                piece.fail(error)
            return
        for piece in group:
            try:
                async with self._write({piece.location}) as connection:
                    (end,) = await self._together(connection, self._each(connection, [piece]))
            except Exception as own:  # noqa: BLE001 - as above
                piece.fail(own)
            else:
                _settle(piece, end)


def _settle(piece: _Piece, end: Any) -> None:
    if isinstance(end, SequenceError):
        piece.fail(end)
    elif not piece.end.done():
        piece.end.set_result(end)


def _is_of_a_piece(error: Exception) -> bool:
    """Tell if *error* may be that of one piece alone, so that the others may still succeed."""
    if isinstance(error, StatementError):
        return error.trouble is DatabaseTrouble.OTHER
    return not isinstance(error, DatabaseError)


async def _number_kept(piece: Awaitable[T]) -> T | SequenceError:
    try:
        return await piece
    except SequenceError as error:
        return error
