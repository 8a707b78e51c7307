"""Reading the audit log, a page at a time, and following its chain."""

from __future__ import annotations

from typing import Annotated

import msgspec

from controlplane.operations.operation import Operation, WholeNumber
from controlplane.service import audit
from controlplane.service.audit import AuditCheck
from controlplane.service.principal import KeyScope, Principal
from controlplane.store.audit import AuditEntry
from controlplane.store.database import Database
from worker.clock import Clock

PAGE = 100
"""Entries of one answer; each holds two states of 64 KiB at most."""


class ReadAudit(msgspec.Struct, frozen=True):
    """The newest *limit* entries older than *before*, a sequence number; of one *subject*."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=PAGE)] = PAGE
    subject: str | None = None
    before: WholeNumber | None = None


class VerifyAudit(msgspec.Struct, frozen=True):
    """A question without members: the whole log is followed."""


async def _verify(database: Database, _clock: Clock, by: Principal, _sent: VerifyAudit) -> AuditCheck:
    return await audit.verify(database, by)


async def _read(database: Database, _clock: Clock, by: Principal, sent: ReadAudit) -> tuple[AuditEntry, ...]:
    return await audit.newest(database, by, limit=sent.limit, subject=sent.subject, before=sent.before)


READ: Operation[ReadAudit, tuple[AuditEntry, ...]] = Operation(
    name="audit/read",
    about="Read the audit log, the newest first.",
    sent=ReadAudit,
    reply=tuple[AuditEntry, ...],
    run=_read,
    scopes=(KeyScope.READ,),
)
VERIFY: Operation[VerifyAudit, AuditCheck] = Operation(
    name="audit/verify",
    about="Follow the chain of the audit log: each entry has the digest of the one before it.",
    sent=VerifyAudit,
    reply=AuditCheck,
    run=_verify,
    scopes=(KeyScope.READ,),
)
OPERATIONS = (READ, VERIFY)
