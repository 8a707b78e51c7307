"""The engine for what an operator names with `--database`."""

from __future__ import annotations

from pathlib import Path

from controlplane.store.engines import sqlite
from controlplane.store.engines.engine import Engine


def choose(database: str) -> Engine:
    """A path is a SQLite file. URLs of other kinds will be told apart here."""
    return sqlite.engine(Path(database))
