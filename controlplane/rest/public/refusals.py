"""Errors of the use cases → statuses and the reference system's form, `{"errors": ["text", …]}`. No traceback leaves here."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence

from aiohttp import web

from controlplane import causes
from controlplane.errors import (
    ConflictError,
    ControlPlaneError,
    ForbiddenError,
    InUseError,
    NotFoundError,
    RefusedError,
    StatementError,
    UnusableError,
)
from controlplane.rest.public.route import JSON_TYPE
from worker.errors import TestError
from worker.text import cut

log = logging.getLogger(__name__)

MAX_TEXT = 2_000
"""Characters of one error: a definition can have hundreds of mistakes."""
_NOT_FOUND = {
    "test": "Synthetics test not found",
    "variable": "Synthetics global variable not found",
    "location": "Synthetics Private Location: {} not found",
    "result": "Test results not found",
    "batch": "Batch not found",
    "test version": "Test version not found",
}
"""Texts that clients know, by the kind of thing."""


def errors(status: int, *texts: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """A refusal in the one form of the API."""
    body = json.dumps({"errors": [cut(text, MAX_TEXT) for text in texts]})
    return web.Response(status=status, text=body, content_type=JSON_TYPE, headers=headers)


def of(error: Exception) -> web.Response:
    """The reply that says what a use case raised."""
    match error:
        case TestError():
            return errors(400, "\n".join(error.errors))
        case NotFoundError():
            return errors(404, _NOT_FOUND.get(error.kind, "Not found").format(cut(error.name, 200)))
        case ConflictError() | InUseError():
            return errors(409, str(error))
        case ForbiddenError():
            return errors(403, "Forbidden", "Failed permission authorization checks")
        case UnusableError():
            return errors(400, str(error))
        case RefusedError():
            return errors(error.status, str(error))
        case RecursionError():
            return errors(400, "the body is nested too deeply")
        case StatementError():
            extra = {"action": "database_failed", "trouble": error.trouble.value}
            log.error("the database failed: %s", error.reason, extra=extra)
            return errors(503, "the database does not answer", headers={"Retry-After": "1"})
        case ControlPlaneError():
            log.error("a request failed: %s", error, extra={"action": "request_failed"})
            return errors(503, "the database does not answer", headers={"Retry-After": "1"})
    log.error("a request failed", exc_info=error, extra={"action": "request_failed"})
    return errors(500, "the control plane failed")


def with_cause(error: Exception) -> web.Response:
    """The reply to one of our own commands: besides, the fields of the error, of which it makes the same one again."""
    reply, cause = of(error), causes.told(error)
    if cause is not None and reply.text is not None:
        reply.text = json.dumps(json.loads(reply.text) | {"cause": cause})
    return reply


def not_found(texts: Sequence[str] = ("Not found",)) -> web.Response:
    return errors(404, *texts)
