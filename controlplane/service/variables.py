"""Global variables: values that many tests share. A secure one's value is sealed, given to workers, and never shown."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.errors import UnusableError
from controlplane.service import audit, documents, restrictedroles
from controlplane.service.principal import KeyScope, Principal
from controlplane.store import variables
from controlplane.store.database import Database
from controlplane.store.portions import portions
from controlplane.store.sealing import Sealer
from controlplane.store.variables import StoredVariable
from worker.clock import Clock
from worker.secret import Secret

MAX_VALUE_CHARACTERS = 64 * 1024
"""It travels with each job that uses it."""
MAX_DOCUMENT_CHARACTERS = 64 * 1024
MOST_USED = 200
"""Variables of one definition: each is opened for its job."""
_NAME = re.compile(r"[A-Z][A-Z0-9_]+[A-Z0-9]|[A-Z][A-Z0-9]?")
_USE = re.compile(r"\{\{\s*([A-Z][A-Z0-9_]{0,199})\s*\}\}")
_OURS = frozenset({"id", "value", "type", "last_error", "created_at", "modified_at", "creator", "editor", "name"})


def made(sent: Mapping[str, Any], by: Principal, *, now: int) -> StoredVariable:
    """The new variable that was *sent*. Raises UnusableError."""
    return StoredVariable(
        id=str(uuid.uuid4()),
        name=_name(sent),
        secure=_is_secure(sent),
        document=_document(sent),
        value=_value(sent),
        created_at=now,
        modified_at=now,
        created_by=by.name,
        modified_by=by.name,
    )


def changed(known: StoredVariable, sent: Mapping[str, Any], by: Principal, *, now: int) -> StoredVariable:
    """*known* as it was *sent* anew. Without a value it keeps the one that it has, and with it how secure it is.

    Raises UnusableError.
    """
    after = replace(known, name=_name(sent), document=_document(sent), modified_at=now, modified_by=by.name)
    value = _value(sent)
    if value is not None:
        return replace(after, value=value, secure=_is_secure(sent))
    if "value" in sent and not _is_secure(sent) and known.secure:
        raise UnusableError("value: a secure value is not made readable; send a new one")
    return replace(after, secure=True) if _is_secure(sent) else after


async def keep(
    connection: AsyncConnection,
    sealer: Sealer,
    by: Principal,
    variable: StoredVariable,
    known: StoredVariable | None,
    *,
    now: int,
) -> None:
    """Store a variable that is new, or in place of *known*, and say so in the audit log. Raises ConflictError for its name."""
    if known is None:
        await variables.add(connection, sealer, variable)
        await audit.record(connection, by, "variable.create", variable.id, after=_state(variable), now=now)
        return
    await variables.replace(connection, sealer, variable)
    before, after = _state(known), _state(variable) | {"new_value": variable.value != known.value}
    await audit.record(connection, by, "variable.update", known.id, before=before, after=after, now=now)


async def create(database: Database, clock: Clock, by: Principal, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Store a new variable; it as clients are shown it. Raises UnusableError, ConflictError where its name is taken."""
    by.require(KeyScope.WRITE)
    now = epoch.milliseconds(clock)
    variable = made(sent, by, now=now)
    async with database.write() as connection:
        await keep(connection, database.sealer, by, variable, None, now=now)
    return shown(variable)


async def update(database: Database, clock: Clock, by: Principal, name: str, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Store a variable anew, by its id, as `changed` says.

    Raises NotFoundError, UnusableError, ConflictError where its new name is another one's.
    """
    by.require(KeyScope.WRITE)
    async with database.write() as connection:
        known = await variables.get(connection, database.sealer, name)
        now = epoch.milliseconds(clock)
        variable = changed(known, sent, by, now=now)
        await keep(connection, database.sealer, by, variable, known, now=now)
    return shown(variable)


async def get(database: Database, by: Principal, name: str) -> dict[str, Any]:
    """Read a variable by its id, without its value where it is secure. Raises NotFoundError."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        return dated(await variables.get(connection, database.sealer, name))


async def list_all(database: Database, by: Principal) -> list[dict[str, Any]]:
    """Read every variable, by name."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        return [dated(one) for one in await variables.list_all(connection, database.sealer)]


async def delete(database: Database, clock: Clock, by: Principal, name: str) -> None:
    """Delete a variable by its id. Tests that use it fail from now on. Raises NotFoundError."""
    by.require(KeyScope.WRITE)
    async with database.write() as connection:
        known = await variables.get(connection, database.sealer, name)
        await remove(connection, by, known, now=epoch.milliseconds(clock))


async def remove(connection: AsyncConnection, by: Principal, known: StoredVariable, *, now: int) -> None:
    """Delete a variable and say so in the audit log."""
    await variables.remove(connection, known.id)
    await audit.record(connection, by, "variable.delete", known.id, before=_state(known), now=now)


def used_by(definition: str) -> frozenset[str]:
    """The names that this JSON text takes from outside: declared as global ones, or in `{{ }}` and not declared at all.

    A text without either costs no more than looking for both.
    """
    if "{{" not in definition and '"global"' not in definition:
        return frozenset()
    config = json.loads(definition).get("config")
    declared = config.get("configVariables") if isinstance(config, dict) else None
    kinds = {one.get("name"): one.get("type") for one in declared or () if isinstance(one, dict)}
    names = {name for name in _USE.findall(definition) if kinds.get(name, "global") == "global"}
    names |= {name for name, kind in kinds.items() if kind == "global" and isinstance(name, str)}
    return frozenset(sorted(names)[:MOST_USED])


def one_time(variable: StoredVariable) -> dict[str, int] | None:
    """The digits and the seconds of a variable that stands for one-time passwords; None for any other."""
    document = json.loads(variable.document)
    if not document.get("is_totp"):
        return None
    options = document.get("value_options")
    said = options.get("totp_parameters") if isinstance(options, dict) else None
    found = said if isinstance(said, dict) else {}
    digits, seconds = found.get("digits"), found.get("refresh_interval")
    return {
        "digits": digits if isinstance(digits, int) and 4 <= digits <= 10 else 6,
        "refresh": seconds if isinstance(seconds, int) and 0 <= seconds <= 999 else 30,
    }


async def named(connection: AsyncConnection, sealer: Sealer, names: Collection[str]) -> dict[str, StoredVariable]:
    """The variables with these names, those that there are, with their values."""
    found: dict[str, StoredVariable] = {}
    for some in portions(sorted(names)):
        found |= await variables.named(connection, sealer, some)
    return found


def shown(variable: StoredVariable) -> dict[str, Any]:
    """A variable as the reply to its own change has it. No secure value is ever in it."""
    document = json.loads(variable.document)
    value: dict[str, Any] = {"secure": variable.secure}
    if not variable.secure and variable.value is not None:
        value["value"] = variable.value.reveal()
    if "value_options" in document:
        value["options"] = document.pop("value_options")
    return {
        "id": variable.id,
        "name": variable.name,
        **document,
        "value": value,
        "type": "variable",
        "last_error": None,
    }


def dated(variable: StoredVariable) -> dict[str, Any]:
    """A variable as it is read later: also when, and by whom."""
    return shown(variable) | {
        "created_at": documents.date(variable.created_at),
        "modified_at": documents.date(variable.modified_at),
        "creator": documents.person(variable.created_by),
        "editor": documents.person(variable.modified_by),
    }


def _name(sent: Mapping[str, Any]) -> str:
    name = sent.get("name")
    if not isinstance(name, str) or len(name) > 200 or not _NAME.fullmatch(name):
        raise UnusableError(
            "name: is not a valid variable name: expected capital letters, digits and _, as in MY_VALUE"
        )
    return name


def _document(sent: Mapping[str, Any]) -> str:
    """Everything but the value, as it was sent; `is_totp` and `is_fido` only where they are true."""
    said = {name: value for name, value in sent.items() if name not in _OURS and value is not None}
    for name in ("is_totp", "is_fido"):
        if not said.get(name):
            said.pop(name, None)
    roles = restrictedroles.shown(restrictedroles.read("attributes", said.pop("attributes", None)))
    if roles is not None:
        said["attributes"] = roles
    if not isinstance(said.setdefault("description", ""), str):
        raise UnusableError("description: is not a valid text")
    tags = said.setdefault("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise UnusableError("tags: is not a valid list of texts")
    if (options := _value_object(sent).get("options")) is not None:
        said["value_options"] = options
    text = json.dumps(said)
    if len(text) > MAX_DOCUMENT_CHARACTERS:
        raise UnusableError(f"variable: is larger than {MAX_DOCUMENT_CHARACTERS} characters without its value")
    return text


def _value_object(sent: Mapping[str, Any]) -> Mapping[str, Any]:
    value = sent.get("value")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UnusableError('value: is not a valid object: expected {"value": "text", "secure": true or false}')
    return value


def _value(sent: Mapping[str, Any]) -> Secret[str] | None:
    value = _value_object(sent).get("value")
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_VALUE_CHARACTERS:
        raise UnusableError(f"value.value: is not a valid text of at most {MAX_VALUE_CHARACTERS} characters")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UnusableError("value.value: is not valid Unicode text") from error
    return Secret(value)


def _is_secure(sent: Mapping[str, Any]) -> bool:
    """A variable without a value of its own, as one of a security key, shows nothing either."""
    secure = _value_object(sent).get("secure", bool(sent.get("is_fido")))
    if not isinstance(secure, bool):
        raise UnusableError("value.secure: is neither true nor false")
    return secure


def _state(variable: StoredVariable) -> dict[str, Any]:
    """The parts that the audit log tells: no value, secure or not."""
    told = shown(variable)
    return {name: told[name] for name in told if name not in ("value", "last_error", "type")} | {
        "secure": variable.secure
    }
