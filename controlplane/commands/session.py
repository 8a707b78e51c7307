"""What every command shares: which database, which key, what time it is, and how an error ends."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from sqlalchemy.exc import DBAPIError

from controlplane.errors import ControlPlaneError, DatabaseError
from controlplane.store import sealing
from controlplane.store.database import Database, Keyring, open_database
from worker.clock import Clock, SystemClock
from worker.secret import Secret

T = TypeVar("T")

DEFAULT_DATABASE = Path("controlplane.db")


class UnusableInput(click.ClickException):
    """One line on standard error, and exit 2."""

    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The options before the command."""

    database: Path
    key_file: Path | None
    key: Secret[str] | None
    clock: Clock

    def now(self) -> int:
        """Epoch milliseconds."""
        return round(self.clock.now().timestamp() * 1000)

    def keyring(self) -> Keyring:
        """Raises DatabaseError for a malformed key."""
        beside = self.database.with_name(f"{self.database.name}.key")
        if self.key is not None:
            key = sealing.read_key(self.key.reveal(), origin="CONTROLPLANE_KEY")
            return Keyring(path=beside, key=key, origin="CONTROLPLANE_KEY")
        return Keyring(path=self.key_file or beside, given=self.key_file is not None)

    @asynccontextmanager
    async def open(self, *, create: bool = False) -> AsyncIterator[Database]:
        database = await open_database(self.database, self.keyring(), create=create)
        try:
            yield database
        finally:
            await database.close()


database_option = click.option(
    "--database",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="CONTROLPLANE_DATABASE",
    show_envvar=True,
    help=f"The SQLite file.  [default: {DEFAULT_DATABASE}]",
)


def with_session(command: Callable[..., None]) -> Callable[..., None]:
    """Give *command* a Session, and the option --database, which may stand before the command's name as well."""

    @functools.wraps(command)
    def wrapped(database: Path | None, **arguments: Any) -> None:
        environment = os.environ  # noqa: TID251 - a command's edge
        key, key_file = environment.get("CONTROLPLANE_KEY"), environment.get("CONTROLPLANE_KEY_FILE")
        session = Session(
            database=database or click.get_current_context().find_root().params.get("database") or DEFAULT_DATABASE,
            key=Secret(key) if key else None,
            key_file=Path(key_file) if key_file else None,
            clock=SystemClock(),
        )
        command(session, **arguments)

    return database_option(wrapped)


def run(work: Coroutine[Any, Any, T], session: Session) -> T:
    """Run a command's coroutine; what the operator can mend ends as one line and exit 2."""
    try:
        return asyncio.run(work)
    except ControlPlaneError as error:
        raise UnusableInput(str(error)) from error
    except DBAPIError as error:
        raise UnusableInput(str(DatabaseError(f"database {session.database}: {error.orig}"))) from error
