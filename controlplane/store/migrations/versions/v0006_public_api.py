"""Tables and columns of the public API: keys, the audit log, variables, batches of triggered runs, and search by tag."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005b"
branch_labels = None
depends_on = None

SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _extend_tests()
    _describe_locations()
    op.add_column("jobs", sa.Column("definition", sa.Text))
    op.add_column("jobs", sa.Column("test_name", sa.Text))
    _create_keys()
    _create_audit()
    _create_variables()
    _create_triggered()


def _extend_tests() -> None:
    nothing = sa.text("''")
    op.add_column("tests", sa.Column("created_by", sa.String(200), nullable=False, server_default=nothing))
    op.add_column("tests", sa.Column("modified_by", sa.String(200), nullable=False, server_default=nothing))
    op.add_column("tests", sa.Column("tags", sa.Text, nullable=False, server_default=nothing))
    tests = sa.table("tests", sa.column("public_id"), sa.column("definition"), sa.column("tags"))
    connection = op.get_bind()
    for public_id, definition in connection.execute(sa.select(tests.c.public_id, tests.c.definition)).all():
        tags = [tag for tag in json.loads(definition).get("tags") or [] if isinstance(tag, str)]
        if tags:
            one = sa.update(tests).where(tests.c.public_id == public_id)
            connection.execute(one.values(tags="".join(f"\n{tag}\n" for tag in tags)))


def _describe_locations() -> None:
    nothing = sa.text("''")
    op.add_column("locations", sa.Column("modified_at", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    op.add_column("locations", sa.Column("created_by", sa.String(200), nullable=False, server_default=nothing))
    op.add_column("locations", sa.Column("description", sa.Text, nullable=False, server_default=nothing))
    op.add_column("locations", sa.Column("tags", sa.Text, nullable=False, server_default=sa.text("'[]'")))


def _create_keys() -> None:
    op.create_table(
        "keys",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False, unique=True),
        sa.Column("api_key_hash", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("app_key_hash", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_used_at", sa.BigInteger),
    )


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("via", sa.String(10), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_by_age", "audit", ["at"])


def _create_variables() -> None:
    op.create_table(
        "variables",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False, unique=True),
        sa.Column("secure", sa.Boolean, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("value_sealed", sa.LargeBinary),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("modified_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("modified_by", sa.String(200), nullable=False),
    )


def _create_triggered() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("deadline", sa.BigInteger, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
    )
    op.create_index("batches_by_age", "batches", ["created_at"])
    op.create_table(
        "triggered",
        sa.Column("result_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("job_id", sa.String(40), unique=True),
        sa.Column("batch_id", sa.String(40), sa.ForeignKey("batches.id", ondelete="CASCADE")),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("test_id", sa.String(11), nullable=False),
        sa.Column("test_name", sa.Text, nullable=False),
        sa.Column("subtype", sa.String(40), nullable=False),
        sa.Column("location_id", sa.String(120), nullable=False),
        sa.Column("execution_rule", sa.String(20), nullable=False),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("triggered_at", sa.BigInteger, nullable=False),
        sa.Column("deadline", sa.BigInteger, nullable=False),
    )
    op.create_index("triggered_by_batch", "triggered", ["batch_id", "position"])
    op.create_index("triggered_by_age", "triggered", ["triggered_at"])
