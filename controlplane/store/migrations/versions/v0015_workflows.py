"""Tables of workflows: definitions, hooks, test triggers, and the runs of several steps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "workflows",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("name", sa.String(100), nullable=False, unique=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("updated_by", sa.String(200), nullable=False),
    )
    op.create_table(
        "workflow_hooks",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("workflow_id", sa.String(40), sa.ForeignKey("workflows.id", ondelete="CASCADE"), nullable=False),
    )
    op.create_index("workflow_hooks_by_workflow", "workflow_hooks", ["workflow_id"])
    op.create_table(
        "hook_bodies",
        sa.Column("hook_id", sa.String(40), sa.ForeignKey("workflow_hooks.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("hook_bodies_by_age", "hook_bodies", ["at"])
    op.create_table(
        "workflow_triggers",
        sa.Column("workflow_id", sa.String(40), sa.ForeignKey("workflows.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("test_id", sa.String(100), nullable=False),
        sa.Column("transition", sa.String(10), nullable=False),
        sa.Column("after", sa.Integer, nullable=False),
        sa.Column("cooldown_ms", sa.BigInteger, nullable=False),
        sa.Column("most", sa.Integer, nullable=False),
        sa.Column("per_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("workflow_triggers_by_test", "workflow_triggers", ["test_id"])
    op.create_table(
        "workflow_streaks",
        sa.Column("workflow_id", sa.String(40), sa.ForeignKey("workflows.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("location_id", sa.String(120), primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("spent", sa.Boolean, nullable=False),
    )
    op.create_table(
        "workflow_starts",
        sa.Column("workflow_id", sa.String(40), sa.ForeignKey("workflows.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("result_id", sa.String(200), primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("location_id", sa.String(120), nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("pending", sa.Boolean, nullable=False),
        sa.Column("run_id", sa.String(40)),
        sa.Column("reason", sa.Text),
    )
    op.create_index("workflow_starts_pending", "workflow_starts", ["pending"])
    op.create_index("workflow_starts_by_age", "workflow_starts", ["at"])
    op.create_table(
        "workflow_runs",
        sa.Column("run_id", sa.String(40), sa.ForeignKey("action_runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("workflow_id", sa.String(40), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("progress_sealed", sa.LargeBinary, nullable=False),
        sa.Column("cancelled", sa.Boolean, nullable=False),
        sa.Column("resume_at", sa.BigInteger),
        sa.Column("state", sa.String(20)),
        sa.Column("ended_at", sa.BigInteger),
    )
    op.create_index("workflow_runs_by_resumption", "workflow_runs", ["resume_at"])
    op.create_index("workflow_runs_by_workflow", "workflow_runs", ["workflow_id"])
    op.create_table(
        "workflow_steps",
        sa.Column("task_id", sa.String(40), sa.ForeignKey("action_tasks.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("action", sa.String(200), nullable=False),
        sa.Column("input_sha256", sa.String(64), nullable=False),
    )
    op.create_index("workflow_steps_by_run", "workflow_steps", ["run_id"])
