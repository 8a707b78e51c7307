"""The runner's report of itself in its pulls: a digest always, what it stands for when the control plane asks.

`report: full` tells names and schemas, `names` names alone, `none` nothing. It is made anew only when the operator's files were
read anew. Addresses, credentials, SQL and the policy stay here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

from worker.actionrunner.channel import InstanceStanding
from worker.actionrunner.localstate import LocalState
from worker.actions.connection import ActionConnection
from worker.actions.postgresql import PostgresConnection
from worker.actions.script import ScriptConnection
from worker.wire.runner_details import (
    RunnerDetails,
    ToldChoice,
    ToldConnection,
    details_digest,
    encode_details,
)
from worker.wire.runner_messages import MAX_DETAILS_BYTES, RunnerPull, RunnerWork

log = logging.getLogger(__name__)

ReportLevel = Literal["full", "names", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """Facts that are told besides the operator's files."""

    level: ReportLevel
    tags: Sequence[str]
    actions: Sequence[str]
    isolation: str


class ReportingStanding:
    """The *standing* of an instance, and the report of what it serves. *state* is the operator's files as they stand."""

    def __init__(self, standing: InstanceStanding, facts: ReportFacts, state: Callable[[], LocalState]) -> None:
        self._standing = standing
        self._facts = facts
        self._state = state
        self._of: LocalState | None = None
        self._details = ""
        self._wanted = False

    def say(self, pull: RunnerPull) -> RunnerPull:
        pull = self._standing.say(pull)
        if self._facts.level == "none":
            return pull
        state = self._state()
        if self._of is not state:
            self._of, self._details = state, _bounded(self._facts, state)
        details = self._details if self._wanted else None
        return msgspec.structs.replace(pull, report=details_digest(self._details), details=details)

    def hear(self, work: RunnerWork) -> None:
        self._wanted = work.send_details
        self._standing.hear(work)

    def refused(self, code: str, message: str, instance: str | None) -> None:
        self._standing.refused(code, message, instance)


def told(facts: ReportFacts, state: LocalState) -> RunnerDetails:
    """The details of *state* at the level of *facts*."""
    usable = [_connection(one, facts.level) for one in state.connections.usable.values()]
    unusable = [ToldConnection(name=_label(name), usable=False) for name in state.connections.unusable]
    return RunnerDetails(
        isolation=facts.isolation,
        tags=tuple(map(_label, facts.tags[:500])),
        actions=tuple(facts.actions),
        connections=tuple(sorted((*usable, *unusable), key=lambda one: one.name)),
    )


def _bounded(facts: ReportFacts, state: LocalState) -> str:
    """The details as they are carried: without schemas where these make them too large, without connections where names do."""
    whole = encode_details(told(facts, state))
    if len(whole) <= MAX_DETAILS_BYTES:
        return whole
    log.warning(
        "the report has %d characters, more than %d: names are told without schemas",
        len(whole),
        MAX_DETAILS_BYTES,
        extra={"action": "report_too_large"},
    )
    names = told(replace(facts, level="names"), state)
    shorter = encode_details(names)
    if len(shorter) <= MAX_DETAILS_BYTES:
        return shorter
    return encode_details(msgspec.structs.replace(names, connections=()))


def _connection(connection: ActionConnection, level: ReportLevel) -> ToldConnection:
    return ToldConnection(
        name=_label(connection.name),
        kind=connection.kind,
        actions=tuple(map(_label, connection.allowed_actions)),
        choices=tuple(
            ToldChoice(name=_label(name), schema=dict(schema) if level == "full" else None)
            for name, schema in sorted(_choices(connection).items())
        ),
    )


def _choices(connection: ActionConnection) -> dict[str, Mapping[str, Any]]:
    """The parameter schemas of a connection's scripts or queries, by name."""
    match connection:
        case ScriptConnection():
            return {name: script.parameter_schema for name, script in connection.scripts.items()}
        case PostgresConnection():
            return {name: query.schema for name, query in connection.queries.items()}
    return {}


def _label(text: str) -> str:
    """*text* as one line of at most 200 characters."""
    return "".join(character for character in text if character.isprintable())[:200]
