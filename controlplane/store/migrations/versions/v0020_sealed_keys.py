"""The seal of a key of the public API: opening the database seals those of before (`store.keys.seal_older`)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("keys", sa.Column("sealed", sa.LargeBinary))
