"""The collection of files that a test or a variable was applied from. What is there was made otherwise: no prune takes it.

And an index with all that a search asks of a test: definitions are large, and a scan of the table reads them all.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006b"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("tests", "variables"):
        op.add_column(table, sa.Column("applied", sa.String(100)))
    if op.get_bind().dialect.name == "sqlite":  # others bound the size of an entry, and tags have none
        op.create_index("tests_for_search", "tests", ["name", "public_id", "subtype", "paused", "tags"])
