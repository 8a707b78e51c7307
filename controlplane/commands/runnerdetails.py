"""The details that a runner told of itself, as lines for people."""

from __future__ import annotations

from worker.text import table
from worker.wire.runner_details import RunnerDetails, ToldConnection


def for_people(details: RunnerDetails | None) -> str:
    """One line of facts and a table of connections."""
    if details is None:
        return "it has told nothing of its connections"
    tags = f", tags {', '.join(details.tags)}" if details.tags else ""
    facts = f"isolation of scripts: {details.isolation or '?'}{tags}"
    if not details.connections:
        return f"{facts}; no connections"
    rows = [
        (one.name, one.kind if one.usable else "cannot be used", ", ".join(one.actions) or "every one", _choices(one))
        for one in details.connections
    ]
    return f"{facts}\n{table(('CONNECTION', 'TYPE', 'ACTIONS', 'SCRIPTS, QUERIES'), rows)}"


def _choices(connection: ToldConnection) -> str:
    return ", ".join(
        f"{each.name}({', '.join(each.schema.get('properties', ()))})" if each.schema else each.name
        for each in connection.choices
    )
