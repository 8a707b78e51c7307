"""`restore`: put a copy that `backup` made in the database's place. It refuses one that is in use, and keeps what it replaces."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import click

from controlplane.commands.session import Session, with_session
from controlplane.errors import UnusableError
from controlplane.store.database import look_at
from controlplane.store.engines.choice import choose
from controlplane.store.tables import REVISION


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Also where there is a database already; that one is kept beside it.")
@with_session
def restore(session: Session, file: Path, *, force: bool) -> None:
    """Put FILE, which `backup` made, in the database's place.

    The copy must be whole, of this version's schema or an older one, and sealed with the database's key: put that in its place
    first (DATABASE.key). Stop `serve` before it.
    """
    place = Path(session.engine.place)
    if place.exists() and not force:
        raise UnusableError(f"database {place} exists; --force puts the copy in its place and keeps it")
    staged = session.engine.stage(file)
    try:
        revision = asyncio.run(look_at(replace(choose(str(staged)), place=str(file)), session.keyring()))
        kept = session.engine.install(staged)
    finally:
        staged.unlink(missing_ok=True)
    click.echo(f"database {place} is now as {file} has it")
    if kept is not None:
        click.echo(f"as it was before: {kept}")
    if revision != REVISION:
        click.echo(f"its schema {revision} is older than this version's: `serve` and `migrate` bring it up to date")
