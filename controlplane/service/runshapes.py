"""A run of a private action as people and programs read it: its JSON, a line of progress, and the exit code of its end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from controlplane.actions.states import ENDED, TaskState
from controlplane.service.runs import RunView, StepView

UNKNOWN_EXIT = 3
"""The end is not known: it may have run. Also where it goes on after the wait."""
_EXITS = {TaskState.SUCCEEDED: 0, TaskState.UNKNOWN: UNKNOWN_EXIT}


def exit_code(view: RunView) -> int:
    """0 succeeded, 1 failed, cancelled or expired, 3 unknown."""
    return _EXITS.get(view.state, 1) if view.has_ended else UNKNOWN_EXIT


def headline(view: RunView) -> str:
    """A line that says how a run stands, and why."""
    state = view.state.value
    step = f"step {view.steps[-1].attempt.name}: " if view.steps else ""
    if view.state is TaskState.QUEUED:
        if view.task.state in ENDED:
            return f"{step}waits to be tried again"
        return f"{step}{state}: waits for runner {view.runner_name}"
    if not view.has_ended:
        return f"{step}{state}: instance {view.task.instance} of {view.runner_name} has it"
    return f"{state}{_cause(view)}" if view.state is TaskState.SUCCEEDED else f"{step}{state}{_cause(view)}"


def _cause(view: RunView) -> str:
    error = (view.outcome or {}).get("error")
    if view.state is TaskState.SUCCEEDED:
        return ""
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
        "workflow": view.workflow,
        "action": run.action if view.workflow is None else None,
        "runner": view.runner_name,
        "connection": run.connection,
        "client": run.client,
        "by": {"kind": run.by_kind, "id": run.by_id},
        "created_at": moment(run.created_at),
        "ended_at": None if task.ended_at is None or not view.has_ended else moment(task.ended_at),
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
        "steps": [_step(one) for one in view.steps],
    }


def _step(view: StepView) -> dict[str, Any]:
    attempt, task = view.attempt, view.task
    outcome: Mapping[str, Any] = view.outcome or {}
    return {
        "name": attempt.name,
        "action": attempt.action,
        "attempt": attempt.attempt,
        "state": task.state.value,
        "task": task.id,
        "input_sha256": attempt.input_sha256,
        "outputs": outcome.get("outputs"),
        "error": outcome.get("error"),
        "code": task.code,
        "reason": task.reason,
    }


def moment(milliseconds: int) -> str:
    """Epoch milliseconds as ISO 8601."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
