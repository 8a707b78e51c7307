"""The collection of files that a test or a variable was applied from. What is there was made otherwise: no prune takes it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006b"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("tests", "variables"):
        op.add_column(table, sa.Column("applied", sa.String(100)))
