"""The frames of the week in which a test runs: those of tests that are there already are taken from their next push.

And assignments by their job in flight: the end of a job looks for its test, and read every assignment there is.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tests", sa.Column("frames", sa.Text))
    op.create_index("assignments_by_job", "assignments", ["job_id"])
