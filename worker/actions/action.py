"""An action, the order that asks for it, and what came of it: frozen values. Nothing is carried out here.

An action is told what to do (`Order`), at which private service (`Connection`), and what it may use (`Tools`). Whether it may be
done at all was decided before, and what becomes of its outcome is decided after it: by `worker.actionrunner`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

from msgspec import Struct

from worker.actions.connection import ActionConnection
from worker.actions.tools import Tools
from worker.errors import SyntheticsError

Input: TypeAlias = Mapping[str, Any]
"""The members of an action's input, valid by its schema."""

LONGEST_TIMEOUT: Final = 3600.0
"""Seconds that an entry of a connection (a script, a query) may ask for at the most."""


class Effect(StrEnum):
    """The harm of doing an action twice: `read` changes nothing, `repeat` changes no more than once would, `once` may."""

    READ = "read"
    REPEAT = "repeat"
    ONCE = "once"


class ActionStatus(StrEnum):
    """The end of an order. `unknown`: it may have been carried out, and nobody can tell from here."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class Order(Struct, frozen=True, kw_only=True):
    """One order to do one action, as it was signed."""

    task: str
    """Its unique id, which travels to the target."""
    run: str
    action: str
    """Without the prefix of the reference system."""
    connection: str | None
    input: dict[str, Any]
    client: str
    """The kind of program that asked: cli, api, hook, test, app."""
    caller: str
    """The one who asked, as `kind/id`."""
    select: str | None = None
    """A jq program that is applied to the outputs before they leave."""
    timeout: float
    """Seconds that it may act."""
    issued_at: int
    """Milliseconds since 1970, by the control plane's clock."""
    order_sha256: str
    """Of the signed payload's bytes, in hexadecimal."""
    kid: str = ""
    """The key that signed it."""


class ActionError(Struct, frozen=True, kw_only=True):
    """The reason why an order did not succeed.

    *code* is the check that failed, or ACTION, TIMEOUT, CANCELLED, INTERNAL; *detail* is the action's own code, or empty.
    *retryable*: the same order may go better later. *may_have_run*: the target may have done what was asked. *rule* is the one of
    the local policy that refused it, or empty.
    """

    code: str
    detail: str = ""
    message: str
    retryable: bool = False
    may_have_run: bool = False
    rule: str = ""


class ActionOutcome(Struct, frozen=True, kw_only=True):
    """The end of one order. A failure may have outputs, where they tell what happened."""

    status: ActionStatus
    outputs: Any | None = None
    error: ActionError | None = None
    redactions: int = 0
    """Places at which a secret was taken out."""
    target: str = ""
    """The place where it was carried out, as host:port; for the audit log."""


def succeeded(outputs: Any, *, target: str = "") -> ActionOutcome:
    return ActionOutcome(status=ActionStatus.SUCCEEDED, outputs=outputs, target=target)


class ActionFailure(SyntheticsError):  # noqa: N818  # it is how an action ends, not a fault of the program
    """The end of an action without success. *detail* is one of the action's own codes.

    *doubtful*: it may have been done, and must not be repeated by a machine where its effect is `once`.
    """

    def __init__(
        self,
        detail: str,
        message: str,
        *,
        retryable: bool = False,
        doubtful: bool = False,
        outputs: Any | None = None,
        target: str = "",
    ) -> None:
        self.detail = detail
        self.retryable = retryable
        self.doubtful = doubtful
        self.outputs = outputs
        self.target = target
        super().__init__(message)


Act: TypeAlias = Callable[[Order, ActionConnection | None, Tools], Awaitable[ActionOutcome]]


def unchanged(given: Input, _connection: ActionConnection | None) -> Input:
    return given


def no_own_limit(_given: Input, _connection: ActionConnection | None) -> float | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One row of the catalogue.

    *merged* is what a local policy judges: the input with what the connection adds. It raises ActionFailure for an input that
    the connection cannot take. *own_limit* is the seconds that the connection's entry for this input allows, in place of the
    runner's cap. *codes* are the details of its failures.
    """

    name: str
    summary: str
    effects: str
    """The effects that it can have, in words for people."""
    effect: Callable[[Input, ActionConnection | None], Effect]
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any]
    codes: tuple[str, ...]
    act: Act
    connection: type[ActionConnection] | None = None
    """The kind of connection that it takes; None if it takes none."""
    needs_connection: bool = False
    merged: Callable[[Input, ActionConnection | None], Input] = unchanged
    policy_fields: tuple[str, ...] = ()
    """Fields that *merged* adds to those of the input's schema."""
    own_limit: Callable[[Input, ActionConnection | None], float | None] = no_own_limit
