"""Bring a schema up to date: Alembic, driven by hand inside the caller's transaction."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from controlplane.errors import DatabaseError
from controlplane.store import migrations
from controlplane.store.tables import REVISION


def upgrade(connection: Connection, place: str, *, found: str | None) -> None:
    """From revision *found* (None: an empty database) to ours. Raises DatabaseError where *found* is not known here."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, REVISION)
    except CommandError as error:
        raise DatabaseError(
            f"database {place} has schema {found!r}: it was made by a newer version than this one, which knows {REVISION}"
        ) from error
