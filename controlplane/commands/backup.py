"""`backup`: a copy of the database, as it is at one moment, while it is in use."""

from __future__ import annotations

import re
from pathlib import Path

import click

from controlplane.commands.session import Session, with_session
from controlplane.errors import UnusableError


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--keep", type=click.IntRange(min=1), metavar="N", help="Afterwards delete all but the newest N copies.")
@with_session
def backup(session: Session, folder: Path, keep: int | None) -> None:
    """Copy the database into FOLDER, in a file named after it and the time.

    Needs no key. Keep a copy of the key (DATABASE.key) elsewhere: without it, secrets in the copy stay sealed.
    """
    if not folder.is_dir():
        raise UnusableError(f"{folder}: is not a folder")
    stem = Path(session.engine.place).stem
    copy = folder / f"{stem}-{session.clock.now():%Y%m%dT%H%M%SZ}.db"
    session.engine.prepare(False)  # noqa: FBT003 - the border's signature
    session.engine.copy(copy)
    click.echo(f"the copy is {copy}")
    for old in _copies(folder, stem)[: -keep if keep else 0]:
        old.unlink(missing_ok=True)
        click.echo(f"deleted {old}")


def _copies(folder: Path, stem: str) -> list[Path]:
    """The copies that this command made, the oldest first."""
    name = re.compile(rf"{re.escape(stem)}-[0-9]{{8}}T[0-9]{{6}}Z\.db")
    return sorted(path for path in folder.iterdir() if name.fullmatch(path.name))
