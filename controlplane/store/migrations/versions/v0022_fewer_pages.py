"""A pull writes to fewer pages: indexes have open jobs alone, and runs that wait alone, and SQLite's rows lie by their phases.

A pull gives out runs that are due at about the same moment: rows in the order in which tests were made had it write to a page
for each. Only the place of a row changes, by the arithmetic of `schedule` as it was then. What belongs to a location is found by
an index that no run changes.
"""

from __future__ import annotations

import hashlib
import secrets

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

OPEN = sa.text("closed IS NULL")
FREE = sa.text("job_id IS NULL")
PLACES = 2**63
STEP = 10_000
"""Rows in memory at a time."""


def upgrade() -> None:
    op.drop_index("jobs_open", "jobs")
    op.create_index("jobs_open", "jobs", ["worker", "location_id"], sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_index("assignments_by_location", "assignments", ["location_id"])
    op.drop_index("assignments_by_turn", "assignments")
    turn = ["location_id", "waiting_since"]
    op.create_index("assignments_by_turn", "assignments", turn, sqlite_where=FREE, postgresql_where=FREE)
    if op.get_bind().dialect.name == "sqlite":
        _order_by_phase()


def _order_by_phase() -> None:
    connection = op.get_bind()
    query = sa.text(
        "SELECT assignments.rowid, test_id, location_id, period_ms"
        " FROM assignments JOIN tests ON tests.public_id = assignments.test_id"
        " WHERE (test_id, location_id) > (:test, :location) ORDER BY test_id, location_id LIMIT :step"
    )
    last = {"test": "", "location": ""}
    while rows := connection.execute(query, {**last, "step": STEP}).all():
        moved = [{"before": row.rowid, "after": _place(row.test_id, row.location_id, row.period_ms)} for row in rows]
        connection.execute(sa.text("UPDATE assignments SET rowid = :after WHERE rowid = :before"), moved)
        last = {"test": rows[-1].test_id, "location": rows[-1].location_id}


def _place(test: str, location: str, period: int) -> int:
    digest = hashlib.sha256(f"{test}\n{location}".encode()).digest()
    width = PLACES // period
    return int.from_bytes(digest[:8], "big") % period * width + secrets.randbelow(width)
