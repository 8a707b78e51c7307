"""The reader of the connections file: each entry becomes the value that actions use, or is unusable for a reason that is told.

One entry that cannot be used takes none of the others with it: orders for it fail, and `status` says why. A file that cannot
be read at all is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from worker.actionrunner.connectionkinds import KINDS, ConnectionEntry
from worker.actionrunner.yamlfile import OperatorsFile
from worker.actions.connection import ActionConnection
from worker.errors import ConfigError
from worker.schemas.schema import closed

MAX_CONNECTIONS: Final = 500
NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,79}$"
_FILE: Final = {"type": "object", "maxProperties": MAX_CONNECTIONS, "propertyNames": {"pattern": NAME}}
_TEXTS: Final = {"type": "array", "minItems": 1, "maxItems": 200, "items": {"type": "string", "minLength": 1}}
_SECRET: Final = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$"}
_COMMON: Final[Mapping[str, Any]] = {
    "type": {"enum": [*KINDS]},
    "credentials": {
        "oneOf": [
            closed({"file": {"type": "string", "minLength": 1}}, "file"),
            closed(
                {"env": {**_TEXTS, "items": {"type": "string", "pattern": r"^[A-Za-z_][A-Za-z0-9_]{0,127}$"}}}, "env"
            ),
            closed(
                {"kubernetes_secret": closed({"name": _SECRET, "key": _SECRET}, "name", "key")}, "kubernetes_secret"
            ),
        ]
    },
    "allow": closed({"actions": _TEXTS, "clients": _TEXTS}),
    "concurrency": {"type": "integer", "minimum": 1, "maximum": 1000},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalConnections:
    """*usable* by name, and why the others are not. *files* are those that entries name, to be looked at again."""

    usable: Mapping[str, ActionConnection]
    unusable: Mapping[str, str]
    files: tuple[Path, ...] = ()


NO_CONNECTIONS: Final = LocalConnections(usable={}, unusable={})


def connections_of(
    file: OperatorsFile, directory: Path, environment: Mapping[str, str], *, isolation_required: bool = False
) -> LocalConnections:
    """Read *file*, in whose entries paths are relative to *directory*. Raises ConfigError where it is no mapping of names."""
    entries = {} if file.data is None else file.data
    file.require(_FILE, (), entries)
    usable: dict[str, ActionConnection] = {}
    unusable: dict[str, str] = {}
    files: list[Path] = []
    for name, written in entries.items():
        entry = ConnectionEntry(
            file=file,
            directory=directory,
            name=name,
            written=written,
            files=files,
            environment=environment,
            isolation_required=isolation_required,
        )
        try:
            usable[name] = _connection(entry)
        except ConfigError as error:
            unusable[name] = str(error)
    return LocalConnections(usable=usable, unusable=unusable, files=tuple(files))


def _connection(entry: ConnectionEntry) -> ActionConnection:
    written = entry.written
    if not isinstance(written, dict) or written.get("type") not in KINDS:
        raise entry.file.mistake(f"is not a connection with a type among {', '.join(KINDS)}", (entry.name,))
    kind = KINDS[written["type"]]
    entry.file.require(closed({**_COMMON, **kind.properties}, "type", *kind.required), (entry.name,), written)
    return kind.read(entry)
