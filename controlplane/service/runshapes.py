"""A run of a private action as people and programs read it: its JSON, a line of progress, and the exit code of its end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from controlplane.actions.states import TaskState
from controlplane.service.runs import RunView

UNKNOWN_EXIT = 3
"""The end is not known: it may have run. Also where it goes on after the wait."""
_EXITS = {TaskState.SUCCEEDED: 0, TaskState.UNKNOWN: UNKNOWN_EXIT}


def exit_code(view: RunView) -> int:
    """0 succeeded, 1 failed, cancelled or expired, 3 unknown."""
    return _EXITS.get(view.state, 1) if view.has_ended else UNKNOWN_EXIT


def headline(view: RunView) -> str:
    """A line that says how a run stands, and why."""
    state = view.state.value
    if view.state is TaskState.QUEUED:
        return f"{state}: waits for runner {view.runner_name}"
    if not view.has_ended:
        return f"{state}: instance {view.task.instance} of {view.runner_name} has it"
    return f"{state}{_cause(view)}"


def _cause(view: RunView) -> str:
    error = (view.outcome or {}).get("error")
    if error and view.outcome is not None and view.outcome.get("status") == view.state.value:
        detail = f" {error['detail']}" if error.get("detail") else ""
        return f": {error['code']}{detail}: {error.get('message', '')}"
    return f": {view.task.reason}" if view.task.reason else ""


def as_json(view: RunView) -> dict[str, Any]:
    """A run as the API and `--json` show it."""
    task, run = view.task, view.run
    outcome: Mapping[str, Any] = view.outcome or {}
    return {
        "id": run.id,
        "state": view.state.value,
        "action": run.action,
        "runner": view.runner_name,
        "connection": run.connection,
        "client": run.client,
        "by": {"kind": run.by_kind, "id": run.by_id},
        "created_at": moment(run.created_at),
        "ended_at": None if task.ended_at is None else moment(task.ended_at),
        "outputs": outcome.get("outputs"),
        "error": outcome.get("error"),
        "reason": task.reason,
        "duration_ms": outcome.get("duration_ms"),
        "redactions": outcome.get("redactions"),
        "tasks": [
            {
                "id": one.id,
                "state": one.state.value,
                "effect": one.effect.value,
                "delivery": one.delivery,
                "instance": one.instance,
                "order_sha256": one.order_sha256,
                "code": one.code,
                "created_at": moment(one.created_at),
                "must_start_by": moment(one.expires_at),
            }
            for one in view.tasks
        ],
    }


def moment(milliseconds: int) -> str:
    """Epoch milliseconds as ISO 8601."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
