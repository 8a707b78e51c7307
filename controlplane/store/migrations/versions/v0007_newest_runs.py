"""The newest run of each test at each location beside its next one, and its place in the queue; results of a test by the time at
which they were stored; and an index of triggered jobs alone, by which their turns are told.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006b"
branch_labels = None
depends_on = None

TRIGGERED = sa.text("definition IS NOT NULL")


def upgrade() -> None:
    op.add_column("assignments", sa.Column("last_status", sa.String(10)))
    op.add_column("assignments", sa.Column("last_at", sa.BigInteger))
    op.add_column("assignments", sa.Column("last_duration_ms", sa.Float))
    _take_over()
    op.add_column("assignments", sa.Column("waiting_since", sa.BigInteger))
    op.execute("UPDATE assignments SET waiting_since = due_at")
    op.drop_index("assignments_by_due", "assignments")
    op.create_index("assignments_by_turn", "assignments", ["location_id", "waiting_since"])
    op.drop_index("results_by_test", "results")
    op.create_index("results_by_test", "results", ["test_id", "stored_at", "seq"])
    op.create_index(
        "jobs_triggered",
        "jobs",
        ["test_id", "location_id", "leased_at"],
        sqlite_where=TRIGGERED,
        postgresql_where=TRIGGERED,
    )


def _take_over() -> None:
    """Status and time of newest runs. Their durations stand in results alone, and come with the next ones."""
    assignments = sa.table("assignments", *map(sa.column, ("test_id", "location_id", "last_status", "last_at")))
    names = ("seq", "test_id", "location_id", "is_last", "status", "stored_at")
    results = sa.table("results", *map(sa.column, names))

    def newest(name: str) -> sa.ScalarSelect[object]:
        return (
            sa.select(results.c[name])
            .where(
                results.c.test_id == assignments.c.test_id,
                results.c.location_id == assignments.c.location_id,
                results.c.is_last,
            )
            .order_by(results.c.seq.desc())
            .limit(1)
            .scalar_subquery()
        )

    op.execute(sa.update(assignments).values(last_status=newest("status"), last_at=newest("stored_at")))
