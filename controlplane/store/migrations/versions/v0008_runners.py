"""Tables of private action runners: the control plane's keys towards them, identities, enrolment tokens and instances."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "runner_keys",
        sa.Column("kid", sa.String(200), primary_key=True),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("private_sealed", sa.LargeBinary, nullable=False),
        sa.Column("not_before", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "runner_keysets",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "runners",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("name", sa.String(100), nullable=False, unique=True),
        sa.Column("modes", sa.String(20), nullable=False),
        sa.Column("host", sa.String(300)),
        sa.Column("base_url", sa.Text, nullable=False),
        sa.Column("instances", sa.Integer, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("enrolled_at", sa.BigInteger),
        sa.Column("kid", sa.String(200), unique=True),
        sa.Column("identity_sealed", sa.LargeBinary),
        sa.Column("next_kid", sa.String(200), unique=True),
        sa.Column("next_sealed", sa.LargeBinary),
        sa.Column("rotate", sa.Boolean, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("instance", sa.String(36)),
        sa.Column("since", sa.BigInteger),
        sa.Column("accepted", sa.String(36)),
        sa.Column("contested", sa.Text),
    )
    op.create_table(
        "runner_tokens",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("runner_id", sa.String(36), sa.ForeignKey("runners.id", ondelete="CASCADE"), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("used_by", sa.String(200)),
        sa.Column("used_at", sa.BigInteger),
    )
    op.create_index("runner_tokens_by_runner", "runner_tokens", ["runner_id"])
    op.create_table(
        "runner_instances",
        sa.Column("runner_id", sa.String(36), sa.ForeignKey("runners.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("pull_number", sa.BigInteger, nullable=False),
        sa.Column("results_number", sa.BigInteger, nullable=False),
        sa.Column("rotate_number", sa.BigInteger, nullable=False),
        sa.Column("first_seen", sa.BigInteger, nullable=False),
        sa.Column("last_seen", sa.BigInteger, nullable=False),
        sa.Column("agent", sa.String(200), nullable=False),
        sa.Column("host", sa.String(200), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("concurrency", sa.Integer, nullable=False),
        sa.Column("free_slots", sa.Integer, nullable=False),
        sa.Column("running", sa.Integer, nullable=False),
        sa.Column("draining", sa.Boolean, nullable=False),
        sa.Column("degraded", sa.String(200)),
        sa.Column("keyset", sa.BigInteger, nullable=False),
    )
    op.create_index("runner_instances_by_sight", "runner_instances", ["last_seen"])
