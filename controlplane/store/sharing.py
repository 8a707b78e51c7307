"""Shared writes: several small pieces of work in one transaction, one exchange with the database and one sync of its disk.

Whoever comes while a transaction is under way goes with the next one. Each piece is told of its own end: one whose number is
stale has changed nothing and keeps nobody; one that fails is undone with all that went with it, and then each is done alone.
Whoever makes an answer of what was done may do so while it is being committed, and then waits for that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.errors import DatabaseError, DatabaseTrouble, SequenceError, StatementError

MOST_WEIGHT = 128
"""Of one transaction, in jobs and results: some tens of milliseconds for which all others wait. One piece may weigh more."""
TURN_SECONDS = 4.0
"""The wait for the other writers of this process: with that for other processes, less than a worker waits for its answer."""
LOOK_SECONDS = 1.0
"""Between looks for those who have waited for too long, while a transaction does not end: its disk may hang."""
T = TypeVar("T")
BeginShared = Callable[[AsyncConnection], Coroutine[Any, Any, T]]
"""Called once the lock is there, when moments are to be read; what it returns waits for the connection and for nothing else.
Both are in another thread, maybe: what they share with the loop has to bear that."""
CountChange = Callable[[AsyncConnection, Collection[str]], None]
Turn = Callable[[], AbstractAsyncContextManager[None]]


class TransactShared(Protocol):
    """Does work that is begun once the lock is there in one transaction, of the turn that its caller has, and commits.

    It changes jobs and runs of the locations alone; the last argument is called with its value before the commit. The block
    is for telling what is committed, before all else that there is to do at a transaction's end.
    """

    def __call__(
        self, locations: Collection[str], work: BeginShared[T], ahead: Callable[[T], None], /
    ) -> AbstractAsyncContextManager[T]: ...


@dataclass(slots=True, kw_only=True)
class _Piece:
    """Work that waits for its turn until *deadline* (the loop's time) at the latest, and the future of its *end*.

    *value* is that of the work, known before its end to whoever wants to have it *ahead* of that.
    """

    begin: BeginShared[Any]
    location: str
    weight: int
    deadline: float
    ahead: bool
    value: asyncio.Future[Any]
    end: asyncio.Future[None]

    def settle(self, value: Any) -> None:
        """Tell that the work is committed, if somebody still waits."""
        self.tell(value)
        if not self.end.done():
            self.end.set_result(None)

    def tell(self, value: Any) -> None:
        """Tell the value of the work; a stale number is the error of who sent it."""
        if self.value.done():
            return
        if isinstance(value, SequenceError):
            self.value.set_exception(value)
        else:
            self.value.set_result(value)

    def is_late(self) -> bool:
        """Tell if it has waited for too long."""
        return self.deadline + TURN_SECONDS < asyncio.get_running_loop().time()

    def fail(self, error: BaseException) -> None:
        """Fail where the waiting is: for the value, or for its end where that was told."""
        if not self.value.done():
            self.value.set_exception(error)
        elif not self.end.done():
            self.end.set_exception(error)
            self.end.exception()  # who was told a value may be gone, and nobody needs to hear of that

    def cancel(self) -> None:
        self.value.cancel()
        self.end.cancel()


class SharedWrites:
    """Pieces of work in the order in which they came. *turn* waits for that of a writer, *transact* does work in it, *count*
    is told after each piece, so that the next one goes by nothing that the last one has changed. *late* is the error of who
    has waited for too long.
    """

    def __init__(self, turn: Turn, transact: TransactShared, count: CountChange, late: Callable[[], Exception]) -> None:
        self._late = late
        self._turn = turn
        self._transact = transact
        self._count = count
        self._waiting: list[_Piece] = []
        self._carrier: asyncio.Task[None] | None = None
        self._look: asyncio.TimerHandle
        self._bell = asyncio.Event()

    async def run(self, begin: BeginShared[T], *, location: str, weight: int, patience: float) -> T:
        """Do the work of *begin*, which changes jobs and runs of no other *location*; committed, on disk, when it returns.

        *weight* is about how many rows it changes, *patience* the seconds for which it waits for others to go with.
        """
        piece = self._enter(begin, location, weight, patience, ahead=False)
        result: T = await piece.value
        return result

    @asynccontextmanager
    async def ahead(self, begin: BeginShared[T], *, location: str, weight: int) -> AsyncIterator[T]:
        """Do the work of *begin* as `run` does, and yield its value while it is being committed.

        When the block is left, however that is, it is on disk, or the error is raised that kept it from that.
        """
        piece = self._enter(begin, location, weight, 0.0, ahead=True)
        value: T = await piece.value
        try:
            yield value
        finally:
            await piece.end

    def _enter(self, begin: BeginShared[Any], location: str, weight: int, patience: float, *, ahead: bool) -> _Piece:
        loop = asyncio.get_running_loop()
        piece = _Piece(
            begin=begin,
            location=location,
            weight=weight,
            deadline=loop.time() + patience,
            ahead=ahead,
            value=loop.create_future(),
            end=loop.create_future(),
        )
        self._waiting.append(piece)
        if not patience:
            self.hurry()
        if self._carrier is None:
            self._carrier = asyncio.create_task(self._carry(), name="shared writes")
        return piece

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
            piece.cancel()
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
        try:
            async with self._turn():
                group = self._next()
                await self._together(group)
        except asyncio.CancelledError:
            for piece in group:
                piece.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - it is raised where the end of the work is waited for
            await self._failed(group or self._next(), error)

    async def _together(self, group: Sequence[_Piece]) -> None:
        """Do the work of *group*, commit, and let their answers go out; in the turn that its caller has."""
        locations = {piece.location for piece in group}
        async with self._transact(locations, partial(self._each, group), partial(_tell, group)) as values:
            for piece, value in zip(group, values, strict=True):
                piece.settle(value)
            await asyncio.sleep(0)  # noqa: TID251 - a turn for them, and no time

    def _next(self) -> list[_Piece]:
        """Take the first of those who still wait, as many as go together."""
        group: list[_Piece] = []
        weight = 0
        while self._waiting and (not group or weight + self._waiting[0].weight <= MOST_WEIGHT):
            piece = self._waiting.pop(0)
            if piece.is_late():
                piece.fail(self._late())
            elif not piece.value.done():  # its caller was cancelled
                group.append(piece)
                weight += piece.weight
        return group

    async def _each(self, group: Sequence[_Piece], connection: AsyncConnection) -> list[Any]:
        """The end of each piece, one after the other; a stale number, which has changed nothing, is one."""
        ends: list[Any] = []
        for piece in group:
            ends.append(await _number_kept(piece.begin(connection)))
            self._count(connection, (piece.location,))
        return ends

    async def _failed(self, group: Sequence[_Piece], error: Exception) -> None:
        for piece in group:
            if len(group) == 1 or piece.value.done() or not _is_of_a_piece(error):
                piece.fail(error)
        for piece in [piece for piece in group if not piece.value.done()]:
            try:
                async with self._turn():
                    await self._together([piece])
            except Exception as own:  # noqa: BLE001 - as above
                piece.fail(own)


def _tell(group: Sequence[_Piece], values: Sequence[Any]) -> None:
    """Tell the values of those pieces that want to know them ahead, out of whatever thread."""
    for piece, value in zip(group, values, strict=True):
        if piece.ahead:
            piece.value.get_loop().call_soon_threadsafe(piece.tell, value)


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
