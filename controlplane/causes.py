"""Errors as JSON values, so that a command far from its control plane says what one beside it says. Both directions; no IO.

Errors that have no fields are their text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from controlplane.errors import ConflictError, ControlPlaneError, ForbiddenError, InUseError, NotFoundError
from worker.errors import SyntheticsError, TestError

MOST_MISTAKES = 1000
MISTAKE_CHARACTERS = 1000
"""Of the mistakes of one refusal: more than anybody mends at once."""


class MissingCause(msgspec.Struct, frozen=True, tag_field="error", tag="not_found"):
    kind: str
    name: str
    known: list[str] = []


class TakenCause(msgspec.Struct, frozen=True, tag_field="error", tag="conflict"):
    kind: str
    name: str
    ids: list[str] = []
    place: str = ""


class UsedCause(msgspec.Struct, frozen=True, tag_field="error", tag="in_use"):
    location: str
    workers: int
    tests: list[str]


class ForbiddenCause(msgspec.Struct, frozen=True, tag_field="error", tag="forbidden"):
    caller: str
    scope: str


class MistakesCause(msgspec.Struct, frozen=True, tag_field="error", tag="mistakes"):
    mistakes: list[str]


ErrorCause = MissingCause | TakenCause | UsedCause | ForbiddenCause | MistakesCause


def told(error: Exception) -> Any:
    """The JSON value of an error; None where its text is all there is."""
    cause = _cause(error)
    return None if cause is None else msgspec.to_builtins(cause)


def _cause(error: Exception) -> ErrorCause | None:
    match error:
        case NotFoundError():
            return MissingCause(error.kind, error.name, list(error.known))
        case ConflictError():
            return TakenCause(error.kind, error.name, list(error.ids), error.place)
        case InUseError():
            return UsedCause(error.location, error.workers, list(error.tests))
        case ForbiddenError():
            return ForbiddenCause(error.caller, error.scope)
        case TestError():
            return MistakesCause([mistake[:MISTAKE_CHARACTERS] for mistake in error.errors[:MOST_MISTAKES]])
    return None


def read(value: Mapping[str, Any]) -> SyntheticsError | None:
    """The error that a JSON value tells, None where this version does not know it."""
    try:
        cause = msgspec.convert(value, ErrorCause)
    except msgspec.ValidationError:
        return None
    return _error(cause)


def _error(cause: ErrorCause) -> ControlPlaneError | TestError:
    match cause:
        case MissingCause():
            return NotFoundError(cause.kind, cause.name, cause.known)
        case TakenCause():
            return ConflictError(cause.kind, cause.name, cause.ids, place=cause.place)
        case UsedCause():
            return InUseError(cause.location, workers=cause.workers, tests=cause.tests)
        case ForbiddenCause():
            return ForbiddenError(cause.caller, cause.scope)
        case MistakesCause():
            return TestError(cause.mistakes)
