"""Tables of alerts: monitors of tests in trouble, their transitions, the queue of notifications, silences and routes."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from controlplane.alerts import rule

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("assignments", sa.Column("seen_at", sa.BigInteger))
    op.add_column("tests", sa.Column("alerting", sa.Text))
    _take_over()
    _monitors()
    _transitions()
    op.create_table(
        "silences",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("test_id", sa.String(11)),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("starts", sa.String(40), nullable=False),
        sa.Column("zone", sa.String(60), nullable=False),
        sa.Column("minutes", sa.Integer),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
    )
    op.create_table(
        "routes",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("handles", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
    )


def _take_over() -> None:
    """The rules of tests that are there. A rule that was ignored would wake people for what its author asked to wait for."""
    tests = sa.table("tests", *map(sa.column, ("public_id", "period_ms", "definition", "alerting")))
    connection = op.get_bind()
    for row in connection.execute(sa.select(tests.c.public_id, tests.c.period_ms)).all():
        text = connection.scalar(sa.select(tests.c.definition).where(tests.c.public_id == row.public_id))
        written = rule.written(rule.read(json.loads(text or "{}"), period_ms=row.period_ms))
        if written is not None:
            connection.execute(sa.update(tests).where(tests.c.public_id == row.public_id).values(alerting=written))


def _monitors() -> None:
    op.create_table(
        "monitors",
        sa.Column("test_id", sa.String(11), sa.ForeignKey("tests.public_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("failing_since", sa.BigInteger),
        sa.Column("reached_at", sa.BigInteger),
        sa.Column("alert_id", sa.String(40)),
        sa.Column("alert_at", sa.BigInteger),
        sa.Column("told", sa.Boolean, nullable=False),
        sa.Column("muted_by", sa.String(40), nullable=False),
        sa.Column("notified_at", sa.BigInteger),
        sa.Column("renotified", sa.Integer, nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger),
        sa.Column("acknowledged_by", sa.String(200)),
        sa.Column("due_at", sa.BigInteger),
    )
    op.create_index("monitors_by_due", "monitors", ["due_at"])
    op.create_table(
        "monitor_locations",
        sa.Column("test_id", sa.String(11), sa.ForeignKey("tests.public_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("location_id", sa.String(120), primary_key=True),
        sa.Column("failing_since", sa.BigInteger),
        sa.Column("code", sa.String(200), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("result_id", sa.String(200), nullable=False),
        sa.Column("blind_since", sa.BigInteger),
        sa.Column("blind_at", sa.BigInteger),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("no_data_id", sa.String(40)),
    )


def _transitions() -> None:
    op.create_table(
        "transitions",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(40), nullable=False, unique=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("alert_id", sa.String(40), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("test_id", sa.String(11)),
        sa.Column("location_id", sa.String(120)),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("escalation", sa.Text, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer),
        sa.Column("muted_by", sa.String(40), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("transitions_by_age", "transitions", ["at"])
    op.create_index("transitions_by_alert", "transitions", ["alert_id", "seq"])
    op.create_index("transitions_by_test", "transitions", ["test_id", "seq"])
    op.create_table(
        "notifications",
        sa.Column("key", sa.String(40), primary_key=True),
        sa.Column("transition_id", sa.String(40), sa.ForeignKey("transitions.id", ondelete="CASCADE"), nullable=False),
        sa.Column("address", sa.String(320), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("claimed_until", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_index("notifications_by_state", "notifications", ["state", "due_at"])
    op.create_index("notifications_by_transition", "notifications", ["transition_id"])
