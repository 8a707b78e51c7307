"""The machine and the address that a worker process pulls from, and the config file that it has. Unknown until its next pull."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("host", sa.String(200), nullable=False, server_default=sa.text("''")))
    op.add_column("workers", sa.Column("address", sa.String(64), nullable=False, server_default=sa.text("''")))
    op.add_column("workers", sa.Column("access_key", sa.String(64), nullable=False, server_default=sa.text("''")))
