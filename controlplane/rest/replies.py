"""Replies of the two signed protocols: what a handler returns, and what becomes of its errors. No traceback leaves them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from controlplane.errors import DatabaseError, RefusedError, SequenceError, StatementError
from worker.errors import EnvelopeError, MessageError

log = logging.getLogger(__name__)

RETRY_SECONDS = "1"
"""Retry-After of a failure of our own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerReply:
    """*signature* are the headers that sign it, where that is done already."""

    status: int
    content_type: str | None = None
    body: bytes = b""
    retry_after: str | None = None
    signature: Mapping[str, str] | None = None


STALE = HandlerReply(status=0)
"""The reply for nobody: the caller was remembered and may have changed since, so nothing was done. It is asked again as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """The sender of a proven request, for the log: its *name* for people, and the *extra* members that tell it apart."""

    name: str
    extra: Mapping[str, str]


Refuse = Callable[[RefusedError], bytes]
"""Writes a refusal as the protocol's message."""


async def answered(work: Callable[[], Awaitable[HandlerReply]], asker: Asker, refuse: Refuse) -> HandlerReply:
    """The reply of *work*, or the refusal that its error stands for."""
    sender = dict(asker.extra)
    try:
        return await work()
    except (RefusedError, SequenceError) as error:
        refused = (
            RefusedError(409, "sequence", str(error), last=error.last) if isinstance(error, SequenceError) else error
        )
        action = {"action": "request_refused", "code": refused.code} | sender
        log.warning("refused a request of %s: %s", asker.name, refused, extra=action)
        return refusal(refused, refuse)
    except (MessageError, EnvelopeError) as error:
        code = "message" if isinstance(error, MessageError) else "envelope"
        log.warning("refused a request: %s", error, extra={"action": "request_refused", "code": code} | sender)
        return refusal(RefusedError(400, code, str(error)), refuse)
    except DatabaseError as error:
        log.error("the database failed: %s", reason(error), extra=failure(error) | sender)  # noqa: TRY400
        return unanswered(refuse)
    except Exception:
        log.exception("a request failed", extra={"action": "request_failed"} | sender)
        refused = RefusedError(500, "internal", "the control plane failed")
        return refusal(refused, refuse, retry_after=RETRY_SECONDS)


def refusal(refused: RefusedError, refuse: Refuse, *, retry_after: str | None = None) -> HandlerReply:
    return HandlerReply(
        status=refused.status, content_type="application/json", body=refuse(refused), retry_after=retry_after
    )


def unanswered(refuse: Refuse) -> HandlerReply:
    """The reply while the database fails."""
    refused = RefusedError(503, "database", "the database does not answer")
    return refusal(refused, refuse, retry_after=RETRY_SECONDS)


def reason(error: DatabaseError) -> str:
    return error.reason if isinstance(error, StatementError) else str(error)


def failure(error: DatabaseError) -> dict[str, str]:
    """Members of a log record on a database that failed."""
    trouble = {"trouble": error.trouble.value} if isinstance(error, StatementError) else {}
    return {"action": "database_failed"} | trouble
