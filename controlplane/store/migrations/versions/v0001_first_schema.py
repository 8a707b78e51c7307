"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "about",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "locations",
        sa.Column("id", sa.String(120), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False, unique=True),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("intake_url", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "credentials",
        sa.Column("access_key", sa.String(64), primary_key=True),
        sa.Column("location_id", sa.String(120), sa.ForeignKey("locations.id", ondelete="CASCADE"), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary, nullable=False),
        sa.Column("jobs_kid", sa.String(200), nullable=False),
        sa.Column("jobs_public_pem", sa.Text, nullable=False),
        sa.Column("results_kid", sa.String(200), nullable=False),
        sa.Column("results_private_sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
    )
    op.create_index("credentials_by_location", "credentials", ["location_id"])
    op.create_table(
        "workers",
        sa.Column("location_id", sa.String(120), sa.ForeignKey("locations.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("pull_seq", sa.BigInteger, nullable=False),
        sa.Column("push_seq", sa.BigInteger, nullable=False),
        sa.Column("first_seen", sa.BigInteger, nullable=False),
        sa.Column("last_seen", sa.BigInteger, nullable=False),
        sa.Column("agent", sa.String(200), nullable=False),
        sa.Column("concurrency", sa.Integer, nullable=False),
        sa.Column("free_slots", sa.Integer, nullable=False),
        sa.Column("running", sa.Integer, nullable=False),
        sa.Column("draining", sa.Boolean, nullable=False),
        sa.Column("degraded", sa.String(200)),
    )
    op.create_table(
        "tests",
        sa.Column("public_id", sa.String(11), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("subtype", sa.String(40), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("period_ms", sa.BigInteger, nullable=False),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("modified_at", sa.BigInteger, nullable=False),
    )
    op.create_index("tests_by_name", "tests", ["name"])
    op.create_table(
        "assignments",
        sa.Column("test_id", sa.String(11), sa.ForeignKey("tests.public_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("location_id", sa.String(120), sa.ForeignKey("locations.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("until", sa.BigInteger),
        sa.Column("job_id", sa.String(40)),
    )
    op.create_index("assignments_by_due", "assignments", ["location_id", "due_at"])
    op.create_index("assignments_by_until", "assignments", ["until"])
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("test_id", sa.String(11), nullable=False),
        sa.Column("location_id", sa.String(120), sa.ForeignKey("locations.id", ondelete="CASCADE"), nullable=False),
        sa.Column("scheduled_at", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("delivery", sa.Integer, nullable=False),
        sa.Column("leased_at", sa.BigInteger, nullable=False),
        sa.Column("worker", sa.String(64)),
        sa.Column("closed", sa.String(10)),
        sa.Column("closed_at", sa.BigInteger),
    )
    op.create_index("jobs_open", "jobs", ["closed", "location_id"])
    op.create_index("jobs_by_closing", "jobs", ["closed_at"])
    op.create_table(
        "results",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(200), nullable=False, unique=True),
        sa.Column("job_id", sa.String(40), unique=True),
        sa.Column("lease", sa.String(200)),
        sa.Column("origin", sa.String(10), nullable=False),
        sa.Column("test_id", sa.String(11), nullable=False),
        sa.Column("test_name", sa.Text, nullable=False),
        sa.Column("location_id", sa.String(120), nullable=False),
        sa.Column("worker", sa.String(64)),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("runs", sa.Integer, nullable=False),
        sa.Column("scheduled_at", sa.BigInteger),
        sa.Column("stored_at", sa.BigInteger, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("results_by_test", "results", ["test_id", "seq"])
    op.create_index("results_by_age", "results", ["stored_at"])
