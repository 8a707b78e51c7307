"""Checks 9 to 13 of an order: mode, action, connection, input, policy. Pure: executor and `explain` call one function."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from worker.actionrunner.globs import part_glob
from worker.actionrunner.localpolicy import AskedOrder, LocalRule
from worker.actionrunner.localstate import LocalState
from worker.actions.action import Action, ActionFailure, Input, Order
from worker.actions.catalogue import CATALOGUE
from worker.actions.connection import ActionConnection
from worker.schemas.schema import violation
from worker.wire.actionwords import plain_name


class OrderFault(StrEnum):
    """The code of an order that failed one of the checks of its execution, in their order."""

    MODE = "MODE"
    UNKNOWN_ACTION = "UNKNOWN_ACTION"
    CONNECTION = "CONNECTION"
    INVALID_INPUT = "INVALID_INPUT"
    DENIED = "DENIED"
    BUSY = "BUSY"
    CREDENTIALS = "CREDENTIALS"
    JOURNAL = "JOURNAL"
    ACTION = "ACTION"
    TIMEOUT = "TIMEOUT"
    CANCELLED = "CANCELLED"
    INTERNAL = "INTERNAL"
    SELECT = "SELECT"
    OUTPUT_TOO_LARGE = "OUTPUT_TOO_LARGE"


CLIENTS_OF_MODES: Final[Mapping[str, frozenset[str]]] = {
    "pull": frozenset({"cli", "api", "hook", "test"}),
    "push": frozenset({"app"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An order as the checks found it. With a *fault* it is not carried out; *reason* says why, *remedy* what would change it."""

    asked: AskedOrder
    fault: OrderFault | None = None
    reason: str = ""
    remedy: str = ""
    rule: LocalRule | None = None
    action: Action | None = None
    connection: ActionConnection | None = None


def judge(order: Order, modes: AbstractSet[str], state: LocalState) -> Judged:
    """The first check that *order* fails, or the rule that allows it."""
    name = plain_name(order.action)
    asked = _asked(order, name, order.input)
    if not any(order.client in CLIENTS_OF_MODES.get(mode, ()) for mode in modes):
        reason = f"orders of {order.client} do not come in the modes of this runner ({', '.join(sorted(modes))})"
        return Judged(asked=asked, fault=OrderFault.MODE, reason=reason, remedy="change `modes`")
    action = CATALOGUE.get(name)
    if action is None:
        reason = f"{name[:200]!r} is not a valid name of an action"
        return Judged(
            asked=asked, fault=OrderFault.UNKNOWN_ACTION, reason=reason, remedy="`private-action-runner actions`"
        )
    if state.trouble is not None:
        reason, remedy = "the policy of this runner cannot be read, so nothing is allowed", f"mend {state.trouble}"
        return Judged(asked=asked, fault=OrderFault.DENIED, reason=reason, remedy=remedy, action=action)
    connection, trouble = _connection(order, action, state)
    if trouble:
        return Judged(
            asked=asked, fault=OrderFault.CONNECTION, reason=trouble, remedy="the connections file", action=action
        )
    broken = violation(action.input_schema, order.input)
    if broken is not None:
        return Judged(
            asked=asked, fault=OrderFault.INVALID_INPUT, reason=f"the input is not valid at {broken}", action=action
        )
    try:
        asked = _asked(order, name, action.merged(order.input, connection))
    except ActionFailure as failure:
        return Judged(asked=asked, fault=OrderFault.INVALID_INPUT, reason=str(failure), action=action)
    return _allowed(asked, action, connection, state)


def _allowed(asked: AskedOrder, action: Action, connection: ActionConnection | None, state: LocalState) -> Judged:
    shut = None if connection is None else _shut(connection, asked)
    if shut is not None and connection is not None:
        remedy = f"widen `allow` of the connection ({connection.place})"
        return Judged(asked=asked, fault=OrderFault.DENIED, reason=shut, remedy=remedy, action=action)
    decision = state.policy.judge(asked)
    return Judged(
        asked=asked,
        fault=None if decision.allowed else OrderFault.DENIED,
        reason=decision.reason,
        remedy=decision.remedy,
        rule=decision.rule,
        action=action,
        connection=connection,
    )


def _asked(order: Order, name: str, given: Input) -> AskedOrder:
    return AskedOrder(action=name, connection=order.connection, client=order.client, caller=order.caller, given=given)


def _connection(order: Order, action: Action, state: LocalState) -> tuple[ActionConnection | None, str]:
    """The connection of *order*, and the reason why it cannot be had, or nothing."""
    name = order.connection
    if name is None:
        return None, f"{action.name} needs a connection" if action.needs_connection else ""
    if name in state.connections.unusable:
        return None, f"the connection {name} cannot be used on this runner; its `status` says why"
    connection = state.connections.usable.get(name)
    if connection is None:
        return None, f"the connection {name[:80]!r} is not known to this runner"
    if action.connection is None:
        return None, f"{action.name} takes no connection"
    if not isinstance(connection, action.connection):
        return None, f"the connection {name} is of the type {connection.kind}, which is not that of {action.name}"
    return connection, ""


def _shut(connection: ActionConnection, asked: AskedOrder) -> str | None:
    globs = [part_glob(text, ".") for text in connection.allowed_actions]
    if globs and not any(glob.matches(asked.action) for glob in globs):
        return f"the connection {connection.name} does not allow this action"
    if connection.allowed_clients and asked.client not in connection.allowed_clients:
        return f"the connection {connection.name} does not allow orders of {asked.client}"
    return None
