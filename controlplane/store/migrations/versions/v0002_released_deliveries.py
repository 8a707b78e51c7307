"""The number of deliveries of a job that were given back. For jobs that are open already it is unknown, and counts as none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("released", sa.Integer, nullable=False, server_default=sa.text("0")))
