"""The frames of the week in which a test runs, and further executions of failed runs. Tests that are there have neither before
they are pushed once more.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005b"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tests", sa.Column("frames", sa.Text))
    op.add_column("tests", sa.Column("retries", sa.Integer, nullable=False, server_default=sa.text("0")))
    op.add_column("tests", sa.Column("retry_interval_ms", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    op.add_column("jobs", sa.Column("not_before", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    op.add_column("jobs", sa.Column("attempt", sa.Integer, nullable=False, server_default=sa.text("1")))
    op.add_column("jobs", sa.Column("retry_of", sa.String(40)))
    op.add_column("jobs", sa.Column("initial_id", sa.String(200)))
    op.add_column("results", sa.Column("attempt", sa.Integer, nullable=False, server_default=sa.text("1")))
    op.add_column("results", sa.Column("initial_id", sa.String(200)))
    op.add_column("results", sa.Column("is_last", sa.Boolean, nullable=False, server_default=sa.true()))
