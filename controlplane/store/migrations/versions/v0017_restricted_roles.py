"""The roles to which clients of the reference system restrict a location."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    roles = sa.Column("restricted_roles", sa.Text, nullable=False, server_default=sa.text("'[]'"))
    op.add_column("locations", roles)
