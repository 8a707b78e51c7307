"""Two indexes with entries for what they are asked for alone: jobs in flight, and jobs that are closed.

Of a test without a job, and of a job that is open, each had an entry of nothing, which each run took out and put in again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

IN_FLIGHT = sa.text("job_id IS NOT NULL")
CLOSED = sa.text("closed_at IS NOT NULL")


def upgrade() -> None:
    op.drop_index("assignments_by_job", "assignments")
    op.create_index("assignments_by_job", "assignments", ["job_id"], sqlite_where=IN_FLIGHT, postgresql_where=IN_FLIGHT)
    op.drop_index("jobs_by_closing", "jobs")
    op.create_index("jobs_by_closing", "jobs", ["closed_at"], sqlite_where=CLOSED, postgresql_where=CLOSED)
