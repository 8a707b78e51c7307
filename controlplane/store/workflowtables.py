"""The tables of workflows, as the newest migration leaves them. What makes a task is sealed and bound to its row: who can only
write the database starts none.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from controlplane.store.tables import metadata

workflows = Table(
    "workflows",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", String(200), nullable=False),
)
"""*sealed* are the definition, its secrets, the ids of its hooks and tests, and whether it is paused."""

workflow_hooks = Table(
    "workflow_hooks",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("workflow_id", String(40), ForeignKey("workflows.id", ondelete="CASCADE"), nullable=False),
    Index("workflow_hooks_by_workflow", "workflow_id"),
)
"""The way from a hook's address to its workflow, whose sealed part must name it too."""

hook_bodies = Table(
    "hook_bodies",
    metadata,
    Column("hook_id", String(40), ForeignKey("workflow_hooks.id", ondelete="CASCADE"), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Column("run_id", String(40), nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("hook_bodies_by_age", "at"),
)
"""Signed bodies that were taken, so that none is taken twice."""

workflow_triggers = Table(
    "workflow_triggers",
    metadata,
    Column("workflow_id", String(40), ForeignKey("workflows.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("test_id", String(100), nullable=False),
    Column("transition", String(10), nullable=False),
    Column("after", Integer, nullable=False),
    Column("cooldown_ms", BigInteger, nullable=False),
    Column("most", Integer, nullable=False),
    Column("per_ms", BigInteger, nullable=False),
    Index("workflow_triggers_by_test", "test_id"),
)
"""The tests whose ends are looked at. Whether such a trigger is in the sealed part is asked before anything is started."""

workflow_streaks = Table(
    "workflow_streaks",
    metadata,
    Column("workflow_id", String(40), ForeignKey("workflows.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("location_id", String(120), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("spent", Boolean, nullable=False),
)
"""A trigger's view of its test at a location; no row where the test passes."""

workflow_starts = Table(
    "workflow_starts",
    metadata,
    Column("workflow_id", String(40), ForeignKey("workflows.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("result_id", String(200), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("location_id", String(120), nullable=False),
    Column("code", Text, nullable=False),
    Column("pending", Boolean, nullable=False),
    Column("run_id", String(40)),
    Column("reason", Text),
    Index("workflow_starts_pending", "pending"),
    Index("workflow_starts_by_age", "at"),
)
"""Transitions that start a run: written with the result that decided them, and carried out once. *run_id* is what came of it,
*reason* why nothing did."""

workflow_runs = Table(
    "workflow_runs",
    metadata,
    Column("run_id", String(40), ForeignKey("action_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("workflow_id", String(40), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("progress_sealed", LargeBinary, nullable=False),
    Column("cancelled", Boolean, nullable=False),
    Column("resume_at", BigInteger),
    Column("state", String(20)),
    Column("ended_at", BigInteger),
    Index("workflow_runs_by_resumption", "resume_at"),
    Index("workflow_runs_by_workflow", "workflow_id"),
)
"""The part of a run of a workflow that a run of one action has not. *sealed* are the definition as it was, the parameters and the
trigger; *progress_sealed* says which task it is at. *state* is set at its end; *resume_at* while it waits to try a step again."""

workflow_steps = Table(
    "workflow_steps",
    metadata,
    Column("task_id", String(40), ForeignKey("action_tasks.id", ondelete="CASCADE"), primary_key=True),
    Column("run_id", String(40), nullable=False),
    Column("position", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("name", String(100), nullable=False),
    Column("action", String(200), nullable=False),
    Column("input_sha256", String(64), nullable=False),
    Index("workflow_steps_by_run", "run_id"),
)
"""The step that a task is an attempt of, and the digest of its input, rendered."""
