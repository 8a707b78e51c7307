"""Databases of older versions, as their migrations made them."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import create_engine

from controlplane.store import migrating, sealing
from controlplane.store.database import KEY_CHECK
from controlplane.store.sealing import Sealer
from controlplane.store.tables import about

FIRST = "0001"


def first_schema(path: Path) -> Path:
    """An empty database of the first version, with its key beside it."""
    return schema(path, FIRST)


def schema(path: Path, revision: str) -> Path:
    """An empty database with the schema *revision*, and its key beside it."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        migrating.upgrade(connection, revision)
        sealer = Sealer(sealing.make_key(path.with_name(f"{path.name}.key")), origin="")
        check = sealer.seal(b"synthetics-controlplane", KEY_CHECK)
        connection.execute(about.insert().values(name="key_check", value=check))
    engine.dispose()
    return path
