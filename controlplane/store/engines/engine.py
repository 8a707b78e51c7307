"""The border between the store and a kind of database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Coroutine, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from controlplane.errors import DatabaseTrouble

T = TypeVar("T")
READ_ONLY = "read_only"
"""The execution option of a connection whose transactions change nothing. An engine begins them accordingly."""
UNBEGUN = "unbegun"
"""The execution option of a connection whose transactions `Engine.begin` begins, or `Engine.transact`, and nobody else."""


class Transact(Protocol):
    """The type of `Engine.transact`."""

    def __call__(
        self, connection: AsyncConnection, work: Callable[[], Coroutine[Any, Any, T]], ahead: Callable[[T], None]
    ) -> Awaitable[T]: ...


class DriverEnd(Protocol):
    """The effects of a statement, and all rows that it found."""

    @property
    def rowcount(self) -> int: ...

    @property
    def rows(self) -> Sequence[Any]: ...


class DriverConnection(Protocol):
    """A driver's connection that executes text itself, with parameters in their order. It raises `Engine.errors`."""

    async def run(self, operation: str, parameters: Sequence[Any]) -> DriverEnd: ...

    async def run_each(self, operation: str, parameters: Sequence[Sequence[Any]]) -> DriverEnd: ...


class Changes(Protocol):
    """The changes that a connection sees. `others` differs from before, at the beginning of a transaction that writes, where any
    other connection has committed since this one last did."""

    @property
    def others(self) -> Hashable: ...

    def take_statements(self) -> Collection[str]:
        """The texts of this connection's own statements that changed anything since they were taken last."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One database, not yet connected to.

    *place* names it in error lines and holds no password; *key_file* is where its key lies unless an operator says otherwise.
    *prepare* is called with `create` before the first connection: it makes what is missing, or raises DatabaseError.
    *connect* makes a pool of so many connections at most, set up and with transactions of the right kind. *queue_writers* where
    writers of one process should wait for each other in order, and share one connection, instead of asking for the database's
    lock again and again; *changes* tells what that connection sees. *rest_seconds* is the
    time between two steps of a long write in which the writers of other processes get their turn.
    *begin* begins a transaction that writes, on a connection with the option `UNBEGUN`; it has the lock then.
    *transact* begins one as well, calls its second argument once it has the lock, runs what that returns, a coroutine that waits
    for statements of the connection and for nothing else, and commits: with fewer exchanges than statements where it can, all in
    a thread that is not the caller's. Before the commit its last argument is called with the coroutine's value; no commit follows
    an error.
    *until_closed* waits, for seconds at most, for connections that were given up.
    *copy* writes what is committed into a file, on disk when it returns. Where there is no room it raises DatabaseError, leaving
    nothing behind. *back_up* does so beside the database, under a name that nothing has, with its argument in it, and gives the
    path. *trouble* says what an error of the driver means, one of its *errors* or SQLAlchemy's of it. *identity* tells one
    database from another that took its place, None where there is none. *size* is that of all its data in bytes, 0 where that
    cannot be told.
    *stage* brings a copy that `copy` made beside the database, whole and checked, and gives its path; *install* puts what was
    staged in the database's place, and gives the path under which it keeps what was there, None where nothing was. It raises
    DatabaseError where anybody has the database open.
    """

    place: str
    key_file: Path
    prepare: Callable[[bool], None]
    connect: Callable[[int], AsyncEngine]
    queue_writers: bool
    rest_seconds: float
    begin: Callable[[AsyncConnection], Awaitable[None]]
    transact: Transact
    changes: Callable[[Connection], Changes]
    until_closed: Callable[[], Awaitable[None]]
    copy: Callable[[Path], None]
    back_up: Callable[[str], Path]
    errors: type[Exception]
    trouble: Callable[[Exception], DatabaseTrouble]
    identity: Callable[[], Hashable]
    size: Callable[[], int]
    stage: Callable[[Path], Path]
    install: Callable[[Path], Path | None]
