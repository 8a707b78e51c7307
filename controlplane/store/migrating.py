"""Bring a schema up to date: Alembic, driven by hand inside the caller's transaction."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from controlplane.store import migrations
from controlplane.store.tables import REVISION


def is_older(revision: str) -> bool:
    """Tell if *revision* is one that ours came after. Any other was made by a version that this program does not know."""
    known = ScriptDirectory.from_config(_config()).walk_revisions(head=REVISION)
    return any(script.revision == revision for script in known)


def upgrade(connection: Connection, revision: str = REVISION) -> None:
    """Bring the database from whatever it has, nothing or an older revision, to *revision*."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    return config
