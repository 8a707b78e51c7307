"""The index of a test's results holds what an uptime is made of: nobody reads a whole result for its status and its location."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("results_by_test", "results")
    op.create_index("results_by_test", "results", ["test_id", "stored_at", "seq", "location_id", "status"])
