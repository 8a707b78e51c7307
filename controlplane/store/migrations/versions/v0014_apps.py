"""Tables of apps: pages of queries, and the tokens that instances of one runner have claimed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "apps",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("name", sa.String(60), nullable=False, unique=True),
        sa.Column("runner_id", sa.String(36), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("definition_sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("modified_at", sa.BigInteger, nullable=False),
        sa.Column("modified_by", sa.String(200), nullable=False),
    )
    op.create_table(
        "app_claims",
        sa.Column("jti", sa.String(36), primary_key=True),
        sa.Column("runner_id", sa.String(36), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("app_claims_by_age", "app_claims", ["at"])
