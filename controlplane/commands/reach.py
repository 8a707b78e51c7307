"""The way to the control plane that a command's options name: its database here, or its API at a URL."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from controlplane.commands.session import Session, as_usage, database_option, named_database, opened_session
from controlplane.operations.operation import Operation, PlaneClient, R, S
from controlplane.store.database import USE, Opening
from worker.secret import Secret

DEFAULT_INTAKE_URL = "http://127.0.0.1:8080"
API_KEYS = ("SYNTHETICS_API_KEY", "DD_API_KEY", "DATADOG_API_KEY")
APP_KEYS = ("SYNTHETICS_APP_KEY", "DD_APP_KEY", "DATADOG_APP_KEY")
"""Variables of the environment, the first that is set; the later ones are what the reference system's clients read."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """*url* is None where the database is opened here. *ca_file* holds the authorities to trust at the URL."""

    session: Session
    url: str | None = None
    ca_file: Path | None = None

    @property
    def intake_url(self) -> str:
        """The URL at which workers find the control plane, where nobody says otherwise."""
        return self.url or DEFAULT_INTAKE_URL

    @asynccontextmanager
    async def open(self, opening: Opening = USE) -> AsyncIterator[PlaneClient]:
        """A client for the time of the block. *opening* is for a database."""
        if self.url is None:
            from controlplane.client.direct import DirectClient  # noqa: PLC0415 - one of the two is needed

            async with self.session.open(opening) as database:
                yield DirectClient(database=database, clock=self.session.clock, by=self.session.principal())
            return
        from controlplane.client import remote  # noqa: PLC0415 - an HTTP client takes longer to import than a command to run

        to = remote.address(self.url, api_key=_key(API_KEYS), app_key=_key(APP_KEYS), ca_file=self.ca_file)
        async with remote.connected(to) as client:
            yield client

    def ask(self, operation: Operation[S, R], sent: S, opening: Opening = USE) -> R:
        """Do one operation."""

        async def one(client: PlaneClient) -> R:
            return await client.ask(operation, sent)

        return self.run(one, opening)

    def run(self, work: Callable[[PlaneClient], Awaitable[T]], opening: Opening = USE) -> T:
        """Do what takes several operations."""

        async def whole() -> T:
            async with self.open(opening) as client:
                return await work(client)

        return asyncio.run(whole())


def _key(names: tuple[str, ...]) -> Secret[str] | None:
    environment = os.environ  # noqa: TID251 - a command's edge
    found = next((environment[name] for name in names if environment.get(name)), None)
    return None if found is None else Secret(found)


url_option = click.option(
    "--url",
    metavar="URL",
    envvar="CONTROLPLANE_URL",
    show_envvar=True,
    help="A running control plane, in place of its database; keys are read from DD_API_KEY and DD_APP_KEY.",
)
ca_option = click.option(
    "--ca-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Authorities to trust at the URL (PEM).  [default: the system's]",
)


def with_reach(command: Callable[..., None]) -> Callable[..., None]:
    """Give *command* a Reach, and the options that say which, which may stand before the command's name as well.

    An error that the caller can mend ends it with one line and exit 2.
    """

    @functools.wraps(command)
    def wrapped(database: str | None, url: str | None, ca_file: Path | None, **arguments: Any) -> None:
        del database, url  # either may have been given before the command's name: `_given` finds both
        with as_usage():
            command(_reach(ca_file), **arguments)

    return database_option(url_option(ca_option(wrapped)))


def _reach(ca_file: Path | None) -> Reach:
    database, database_said = _given("database")
    url, url_said = _given("url")
    if database and url and database_said == url_said:
        raise click.UsageError("--database and --url are two ways to a control plane: name one of them")
    if url and (url_said or not database):
        trusted = ca_file or click.get_current_context().find_root().params.get("ca_file")
        return Reach(session=opened_session(None), url=url.rstrip("/"), ca_file=trusted)
    return Reach(session=opened_session(named_database()))


def _given(name: str) -> tuple[str | None, bool]:
    """The value of an option, and True where a flag says it and not the environment alone."""
    here = click.get_current_context()
    contexts = (here, here.find_root())
    for context in contexts:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            return context.params[name], True
    return next((context.params[name] for context in contexts if context.params.get(name)), None), False
