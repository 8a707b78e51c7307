"""The catalogue: every action there is, by its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from worker.actions import checks, http, jq, postgresql, script
from worker.actions.action import Action

CATALOGUE: Final[Mapping[str, Action]] = {
    action.name: action
    for action in (*http.ACTIONS, *jq.ACTIONS, *script.ACTIONS, *postgresql.ACTIONS, *checks.ACTIONS)
}


def described(actions: Iterable[Action]) -> list[dict[str, Any]]:
    """The catalogue's rows as JSON."""
    return [
        {
            "name": action.name,
            "summary": action.summary,
            "effect": action.effects,
            "connection": None
            if action.connection is None
            else action.connection.__name__.removesuffix("Connection").lower(),
            "connection_required": action.needs_connection,
            "codes": [*action.codes],
            "input": action.input_schema,
            "output": action.output_schema,
        }
        for action in actions
    ]
