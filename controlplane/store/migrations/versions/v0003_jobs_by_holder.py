"""Open jobs by who holds them, and workers by when they were seen: what a pull looks for does not depend on what others hold."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("jobs_open", "jobs")
    op.create_index("jobs_open", "jobs", ["closed", "worker", "location_id"])
    op.create_index("workers_by_sight", "workers", ["last_seen"])
