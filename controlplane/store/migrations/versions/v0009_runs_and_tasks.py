"""Tables of private actions: what callers asked for, and the signed tasks that carry it out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "action_runs",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("runner_id", sa.String(40), nullable=False),
        sa.Column("action", sa.String(200), nullable=False),
        sa.Column("connection", sa.String(200)),
        sa.Column("client", sa.String(10), nullable=False),
        sa.Column("by_kind", sa.String(20), nullable=False),
        sa.Column("by_id", sa.String(200), nullable=False),
        sa.Column("task_id", sa.String(40), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("idempotency_key", sa.String(200)),
        sa.Column("request_sha256", sa.LargeBinary, nullable=False),
    )
    op.create_index("action_runs_by_age", "action_runs", ["created_at"])
    op.create_index("action_runs_by_key", "action_runs", ["by_kind", "by_id", "idempotency_key"], unique=True)
    op.create_table(
        "action_tasks",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("run_id", sa.String(40), sa.ForeignKey("action_runs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("runner_id", sa.String(40), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("effect", sa.String(10), nullable=False),
        sa.Column("order_sealed", sa.LargeBinary, nullable=False),
        sa.Column("order_sha256", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("delivery", sa.Integer, nullable=False),
        sa.Column("silent", sa.Integer, nullable=False),
        sa.Column("instance", sa.String(40)),
        sa.Column("given_at", sa.BigInteger),
        sa.Column("renewed_at", sa.BigInteger),
        sa.Column("began", sa.Boolean, nullable=False),
        sa.Column("doubtful_at", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("code", sa.String(40)),
        sa.Column("reason", sa.Text),
        sa.Column("outcome_sealed", sa.LargeBinary),
        sa.Column("result_id", sa.String(200)),
    )
    op.create_index("action_tasks_by_run", "action_tasks", ["run_id", "number"])
    op.create_index("action_tasks_by_state", "action_tasks", ["state", "runner_id", "created_at"])
