"""The catalogue: every action there is, by its name, and the reading of names as people write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from worker.actions import checks, http, jq, postgresql, script
from worker.actions.action import Action

REFERENCE_PREFIX: Final = "com.datadoghq."
"""Accepted and dropped wherever a person writes a name."""

CATALOGUE: Final[Mapping[str, Action]] = {
    action.name: action
    for action in (*http.ACTIONS, *jq.ACTIONS, *script.ACTIONS, *postgresql.ACTIONS, *checks.ACTIONS)
}


def plain_name(written: str) -> str:
    """The name of an action without the prefix of the reference system."""
    return written.removeprefix(REFERENCE_PREFIX)


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
