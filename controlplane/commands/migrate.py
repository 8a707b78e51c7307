"""`migrate`: bring a database of an older version up to date, as `serve` does at its start."""

from __future__ import annotations

import asyncio

import click

from controlplane.commands.session import Session, with_session
from controlplane.store.database import Opening, Upgrade
from controlplane.store.tables import REVISION


@click.command()
@click.option("--no-backup", is_flag=True, help="Write no copy of the database beside it first: you have one.")
@with_session
def migrate(session: Session, *, no_backup: bool) -> None:
    """Bring a database of an older version up to date, and keep a copy of it as it was.

    An older `serve` that has it open ends within a second, and says why.
    """
    upgraded = asyncio.run(_migrate(session, Opening(upgrade=True, backup=not no_backup)))
    if upgraded is None:
        click.echo(f"database {session.engine.place} has schema {REVISION}, the newest that this version knows")
        return
    click.echo(f"database {session.engine.place}: schema {upgraded.from_revision} is now {REVISION}")
    if upgraded.backup is not None:
        click.echo(f"as it was before: {upgraded.backup}")


async def _migrate(session: Session, opening: Opening) -> Upgrade | None:
    async with session.open(opening) as database:
        return database.upgraded
