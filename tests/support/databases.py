"""New databases of a control plane, made once in a process and copied from then on: to migrate takes longer than most tests."""

from __future__ import annotations

from pathlib import Path

from controlplane.store.database import Database, Keyring, Opening, open_database
from controlplane.store.engines import sqlite

_NEW: dict[str, bytes] = {}
"""Files of a database with nothing in it, kept from the first one."""


async def new_database(folder: Path) -> Database:
    """That of *folder*, new unless there is one."""
    path = folder / "controlplane.db"
    engine, keyring = sqlite.engine(path), Keyring(path=folder / "controlplane.db.key")
    if not _NEW:
        await (await open_database(engine, keyring, Opening(create=True))).close()
        _NEW.update({made.name: made.read_bytes() for made in (path, keyring.path)})
    elif not path.exists():
        for name, content in _NEW.items():
            (folder / name).touch(mode=0o600)
            (folder / name).write_bytes(content)
    return await open_database(engine, keyring, Opening(create=True))
