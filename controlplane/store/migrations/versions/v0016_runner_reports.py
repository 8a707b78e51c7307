"""Reports of runners, enrolment tokens of several uses, and the keyset whose newest key signs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "runner_reports",
        sa.Column("runner_id", sa.String(36), sa.ForeignKey("runners.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("details", sa.Text, nullable=False),
    )
    op.add_column("runner_instances", sa.Column("report", sa.String(64), nullable=False, server_default=sa.text("''")))
    op.add_column("runner_tokens", sa.Column("uses", sa.Integer, nullable=False, server_default=sa.text("1")))
    op.add_column("runner_tokens", sa.Column("used", sa.Integer, nullable=False, server_default=sa.text("0")))
    op.execute("UPDATE runner_tokens SET used = 1 WHERE used_by IS NOT NULL")
    op.add_column("runner_keysets", sa.Column("used_from", sa.BigInteger))
    op.execute("UPDATE runner_keysets SET used_from = made_at")
