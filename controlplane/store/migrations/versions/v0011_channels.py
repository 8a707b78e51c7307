"""Tables of channels, and of the control plane's own notices that hold now."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "channels",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("settings_sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
    )
    op.create_table(
        "notices",
        sa.Column("subject", sa.String(200), primary_key=True),
        sa.Column("alert_id", sa.String(40), nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
    )
