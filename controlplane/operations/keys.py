"""Operations on keys of the API. Nobody can make, or end, a key that may do more than its own."""

from __future__ import annotations

import msgspec

from controlplane.operations.operation import Operation
from controlplane.service import keys
from controlplane.service.keys import NewKey
from controlplane.service.principal import KeyScope, Principal
from controlplane.store.database import Database
from controlplane.store.keys import StoredKey
from worker.clock import Clock


class CreateKey(msgspec.Struct, frozen=True):
    name: str
    scopes: list[str]


class ListKeys(msgspec.Struct, frozen=True):
    """A question without members: there are few."""


class RevokeKey(msgspec.Struct, frozen=True):
    """*key* is a name or an id."""

    key: str


async def _create(database: Database, clock: Clock, by: Principal, sent: CreateKey) -> NewKey:
    return await keys.create(database, clock, by, sent.name, scopes=sent.scopes)


async def _list(database: Database, _clock: Clock, by: Principal, _sent: ListKeys) -> tuple[StoredKey, ...]:
    return await keys.list_all(database, by)


async def _revoke(database: Database, clock: Clock, by: Principal, sent: RevokeKey) -> StoredKey:
    return await keys.revoke(database, clock, by, sent.key)


CREATE: Operation[CreateKey, NewKey] = Operation(
    name="keys/create",
    about="Make a pair of keys, with scopes that the caller's own key has. It is in this reply alone.",
    sent=CreateKey,
    reply=NewKey,
    run=_create,
    scopes=(KeyScope.WRITE,),
)
LIST: Operation[ListKeys, tuple[StoredKey, ...]] = Operation(
    name="keys/list",
    about="List keys: their scopes, and when each was used last.",
    sent=ListKeys,
    reply=tuple[StoredKey, ...],
    run=_list,
    scopes=(KeyScope.READ,),
)
REVOKE: Operation[RevokeKey, StoredKey] = Operation(
    name="keys/revoke",
    about="End a pair of keys at once, whose scopes the caller's own key has.",
    sent=RevokeKey,
    reply=StoredKey,
    run=_revoke,
    scopes=(KeyScope.WRITE,),
)
OPERATIONS = (CREATE, LIST, REVOKE)
