"""The frame of every command: its database, its key, its clock, and the end of an error as one line."""

from __future__ import annotations

import functools
import os
import pwd
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from controlplane.boot import monotonic_line
from controlplane.errors import (
    ConflictError,
    ControlPlaneError,
    ForbiddenError,
    InUseError,
    NotFoundError,
    OutdatedError,
)
from controlplane.service import upkeep
from controlplane.service.principal import Principal, operator
from controlplane.steady import KeptClock
from controlplane.store import sealing
from controlplane.store.database import USE, Database, Keyring, Opening, open_database
from controlplane.store.engines.choice import choose
from controlplane.store.engines.engine import Engine
from worker.clock import SystemClock
from worker.errors import TestError
from worker.secret import Secret

DEFAULT_DATABASE = "controlplane.db"


class UnusableInput(click.ClickException):
    """One line on standard error, and exit 2."""

    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The options before the command."""

    engine: Engine
    key_file: Path | None
    key: Secret[str] | None
    clock: KeptClock

    def keyring(self) -> Keyring:
        """The key of the environment, or of a file. Raises DatabaseError for a malformed key."""
        beside = self.engine.key_file
        if self.key is not None:
            key = sealing.read_key(self.key.reveal(), origin="CONTROLPLANE_KEY")
            return Keyring(path=beside, key=key, origin="CONTROLPLANE_KEY")
        return Keyring(path=self.key_file or beside, given=self.key_file is not None)

    def principal(self) -> Principal:
        """The user of this shell, for the audit log."""
        try:
            return operator(pwd.getpwuid(os.getuid()).pw_name)
        except KeyError:  # a container's user need not have a name
            return operator(f"uid {os.getuid()}")

    @asynccontextmanager
    async def open(self, opening: Opening = USE) -> AsyncIterator[Database]:
        database = await open_database(self.engine, self.keyring(), opening)
        try:
            async with database.read() as connection:
                await upkeep.go_along(connection, self.clock)
            database.before_write = partial(upkeep.go_along, clock=self.clock)
            yield database
        finally:
            await database.close()


database_option = click.option(
    "--database",
    type=click.Path(path_type=str, dir_okay=False),
    envvar="CONTROLPLANE_DATABASE",
    show_envvar=True,
    help=f"The SQLite file.  [default: {DEFAULT_DATABASE}]",
)


def with_session(command: Callable[..., None]) -> Callable[..., None]:
    """Give *command*, which works on the database itself, a Session, and the option --database, also before the command's name.

    An error that the operator can mend ends it with one line and exit 2.
    """

    @functools.wraps(command)
    def wrapped(database: str | None, **arguments: Any) -> None:
        root = click.get_current_context().find_root()
        if root.get_parameter_source("url") is ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"`{click.get_current_context().info_name}` works on the database itself: give --database"
            )
        with as_usage():
            command(opened_session(database or named_database()), **arguments)

    return database_option(wrapped)


def named_database() -> str | None:
    """The value of --database, before or after the command's name."""
    here = click.get_current_context()
    return here.params.get("database") or here.find_root().params.get("database")


def opened_session(database: str | None) -> Session:
    """The session of the options and the environment."""
    environment = os.environ  # noqa: TID251 - a command's edge
    key, key_file = environment.get("CONTROLPLANE_KEY"), environment.get("CONTROLPLANE_KEY_FILE")
    return Session(
        engine=choose(database or DEFAULT_DATABASE),
        key=Secret(key) if key else None,
        key_file=Path(key_file) if key_file else None,
        clock=KeptClock(SystemClock(), monotonic_line()),
    )


@contextmanager
def as_usage() -> Iterator[None]:
    """End the block's error as one line that names the cure."""
    try:
        yield
    except ControlPlaneError as error:
        raise UnusableInput(f"{error}{_advice(error)}") from error
    except TestError as error:
        raise UnusableInput(str(error)) from error


def _advice(error: ControlPlaneError) -> str:
    """The command or the option that helps."""
    match error:
        case ForbiddenError():
            return f"; `key create NAME --scopes {error.scope},…` makes one that has it"
        case NotFoundError(kind="test"):
            return "; `test list` shows those that there are"
        case NotFoundError(kind="location", known=()):
            return "; there are none; `location create` makes one"
        case OutdatedError():
            return "; `migrate` brings it up to date, and so does `serve` at its start; an older `serve` then ends"
        case ConflictError(kind="key"):
            return "; `key revoke` ends that one"
        case InUseError():
            return "; --force deletes it all the same"
        case NotFoundError(kind="runner", known=()):
            return "; there are none; `runner create` makes one"
        case ConflictError(kind="runner"):
            return "; `runner token` makes it a new token"
        case ConflictError(kind="location"):
            return "; `location rotate` makes it a new config file"
        case ConflictError(kind="test", place=""):
            return f"; use a public id: {', '.join(error.ids)}"
        case ConflictError(kind="test"):
            return "; give it a public_id"
    return ""
