"""Errors of the use cases → pages that say what is wrong and what to do. No traceback and no secret leaves here."""

from __future__ import annotations

import logging

from controlplane.errors import (
    AttemptsError,
    ConflictError,
    ControlPlaneError,
    ForbiddenError,
    InUseError,
    NotFoundError,
    RefusedError,
    SignOnError,
    StatementError,
    UnusableError,
)
from controlplane.pages.page import Rendered
from worker.errors import TestError
from worker.text import cut

log = logging.getLogger(__name__)

MAX_LINE = 2_000
"""Characters of one line."""
MAX_LINES = 100
_RETRY_SECONDS = 1


def page(status: int, heading: str, *lines: str, retry_after: int | None = None) -> Rendered:
    """An error's page."""
    cut_lines = [cut(line, MAX_LINE) for line in lines[:MAX_LINES]]
    return Rendered(
        template="error.html", values={"heading": heading, "lines": cut_lines}, status=status, retry_after=retry_after
    )


def not_found(text: str = "There is nothing at this address.") -> Rendered:
    return page(404, "Not found", text)


def of(error: Exception) -> Rendered:
    """The page for what a use case raised."""
    match error:
        case TestError():
            return page(400, "This test is not valid", *error.errors)
        case NotFoundError():
            return not_found(f"There is no {error.kind} {error.name!r}.")
        case ConflictError() | InUseError():
            return page(409, "Not possible as things are", str(error))
        case ForbiddenError():
            return page(403, "Not allowed", f"This needs the right “{error.scope}”. Ask an administrator for it.")
        case UnusableError():
            return page(400, "Not valid", str(error))
        case SignOnError():
            log.error("cannot sign somebody in: %s", error, extra={"action": "sign_on_failed"})
            return page(502, "Not signed in", f"The provider of identities failed: {error.reason}.", "Try again.")
        case AttemptsError():
            text = f"Too many sign-ins failed. Try again in {error.seconds} s."
            return page(429, "Too many attempts", text, retry_after=error.seconds)
        case RefusedError():
            return page(error.status, "Refused", str(error))
        case StatementError():
            log.error(
                "the database failed: %s",
                error.reason,
                extra={"action": "database_failed", "trouble": error.trouble.value},
            )
            return _unavailable()
        case ControlPlaneError():
            log.error("a page failed: %s", error, extra={"action": "page_failed"})
            return _unavailable()
    log.error("a page failed", exc_info=error, extra={"action": "page_failed"})
    return page(500, "The control plane failed", "It has written the reason into its log.")


def _unavailable() -> Rendered:
    text = "The database does not answer at the moment. Load the page again in a while."
    return page(503, "Not available", text, retry_after=_RETRY_SECONDS)
