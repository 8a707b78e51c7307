"""Global variables: what was said of them, and their values, sealed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.errors import ConflictError, NotFoundError
from controlplane.store.sealing import Sealer
from controlplane.store.tables import variables
from worker.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVariable:
    """*document* is JSON text of all that was said of it but its value. *value* is None where none was ever given."""

    id: str
    name: str
    secure: bool
    document: str
    value: Secret[str] | None
    created_at: int
    modified_at: int
    created_by: str
    modified_by: str


async def add(connection: AsyncConnection, sealer: Sealer, variable: StoredVariable) -> None:
    """Store a new variable. Raises ConflictError where its name is taken."""
    values = _values(sealer, variable) | {"created_at": variable.created_at, "created_by": variable.created_by}
    try:
        await connection.execute(variables.insert().values(id=variable.id, **values))
    except IntegrityError as error:
        raise ConflictError("variable", variable.name) from error


async def replace(connection: AsyncConnection, sealer: Sealer, variable: StoredVariable) -> None:
    """Store a variable anew. Raises ConflictError where its name is another one's."""
    changed = update(variables).where(variables.c.id == variable.id).values(**_values(sealer, variable))
    try:
        await connection.execute(changed)
    except IntegrityError as error:
        raise ConflictError("variable", variable.name) from error


async def get(connection: AsyncConnection, sealer: Sealer, name: str) -> StoredVariable:
    """Read a variable by its id. Raises NotFoundError."""
    row = (await connection.execute(select(variables).where(variables.c.id == name))).one_or_none()
    if row is None:
        raise NotFoundError("variable", name)
    return _variable(sealer, row)


async def list_all(connection: AsyncConnection, sealer: Sealer) -> Sequence[StoredVariable]:
    rows = await connection.execute(select(variables).order_by(variables.c.name))
    return [_variable(sealer, row) for row in rows]


async def named(connection: AsyncConnection, sealer: Sealer, names: Collection[str]) -> dict[str, StoredVariable]:
    """The variables with these names, those that there are. The caller bounds their number."""
    rows = await connection.execute(select(variables).where(variables.c.name.in_(sorted(names))))
    return {row.name: _variable(sealer, row) for row in rows}


async def remove(connection: AsyncConnection, variable: str) -> None:
    await connection.execute(delete(variables).where(variables.c.id == variable))


def _values(sealer: Sealer, variable: StoredVariable) -> dict[str, Any]:
    value = variable.value
    return {
        "name": variable.name,
        "secure": variable.secure,
        "document": variable.document,
        "value_sealed": None if value is None else sealer.seal(value.reveal().encode(), _context(variable.id)),
        "modified_at": variable.modified_at,
        "modified_by": variable.modified_by,
    }


def _variable(sealer: Sealer, row: Any) -> StoredVariable:
    sealed = row.value_sealed
    value = None if sealed is None else Secret(sealer.open(sealed, _context(row.id)).reveal().decode())
    return StoredVariable(
        id=row.id,
        name=row.name,
        secure=row.secure,
        document=row.document,
        value=value,
        created_at=row.created_at,
        modified_at=row.modified_at,
        created_by=row.created_by,
        modified_by=row.modified_by,
    )


def _context(variable: str) -> str:
    return f"variables.value {variable}"
