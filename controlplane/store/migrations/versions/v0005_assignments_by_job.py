"""Assignments by their job in flight: the end of a job looks for its test, and read every assignment there is."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("assignments_by_job", "assignments", ["job_id"])
