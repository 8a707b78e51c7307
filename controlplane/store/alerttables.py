"""The tables of alerts, as the newest migration leaves them. Only tests in trouble have rows in `monitors` and its locations."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
)

from controlplane.store.tables import metadata

monitors = Table(
    "monitors",
    metadata,
    Column("test_id", String(11), ForeignKey("tests.public_id", ondelete="CASCADE"), primary_key=True),
    Column("failing_since", BigInteger),
    Column("reached_at", BigInteger),
    Column("alert_id", String(40)),
    Column("alert_at", BigInteger),
    Column("told", Boolean, nullable=False),
    Column("muted_by", String(40), nullable=False),
    Column("notified_at", BigInteger),
    Column("renotified", Integer, nullable=False),
    Column("acknowledged_at", BigInteger),
    Column("acknowledged_by", String(200)),
    Column("due_at", BigInteger),
    Index("monitors_by_due", "due_at"),
)
"""A test that fails or is blind somewhere, as `alerts.monitor.Monitor`. *alert_id* is null while there is no alert; *muted_by* is
the silence that kept it from being told. *due_at* is the next moment at which time alone may change anything, if there is one."""

monitor_locations = Table(
    "monitor_locations",
    metadata,
    Column("test_id", String(11), ForeignKey("tests.public_id", ondelete="CASCADE"), primary_key=True),
    Column("location_id", String(120), primary_key=True),
    Column("failing_since", BigInteger),
    Column("code", String(200), nullable=False),
    Column("message", Text, nullable=False),
    Column("result_id", String(200), nullable=False),
    Column("blind_since", BigInteger),
    Column("blind_at", BigInteger),
    Column("reason", Text, nullable=False),
    Column("no_data_id", String(40)),
)
"""A location where a test fails by the newest run that says anything of the target (*failing_since*, null otherwise), or that
is blind: its newest run, scheduled for *blind_at*, says nothing. *no_data_id* is the transition that told so. A row outlives its
assignment until the monitor is judged: what was told is to be closed."""

transitions = Table(
    "transitions",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", String(40), nullable=False, unique=True),
    Column("kind", String(20), nullable=False),
    Column("alert_id", String(40), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("subject", String(200), nullable=False),
    Column("name", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("test_id", String(11)),
    Column("location_id", String(120)),
    Column("message", Text, nullable=False),
    Column("escalation", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("priority", Integer),
    Column("muted_by", String(40), nullable=False),
    Index("transitions_by_age", "at"),
    Index("transitions_by_alert", "alert_id", "seq"),
    Index("transitions_by_test", "test_id", "seq"),
    sqlite_autoincrement=True,
)
"""One row is one transition that was decided, as `alerts.transitions.Transition`; *detail* and *tags* are JSON."""

notifications = Table(
    "notifications",
    metadata,
    Column("key", String(40), primary_key=True),
    Column("transition_id", String(40), ForeignKey("transitions.id", ondelete="CASCADE"), nullable=False),
    Column("address", String(320), nullable=False),
    Column("state", String(20), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("claimed_until", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("reason", Text, nullable=False),
    Index("notifications_by_state", "state", "due_at"),
    Index("notifications_by_transition", "transition_id"),
)
"""One row is one transition on its way to one address, a handle without its @. *state* is `queued`, `delivered` or `failed`;
*due_at* is the next attempt, *claimed_until* keeps others from one that goes on, *reason* says what went wrong last."""

silences = Table(
    "silences",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("test_id", String(11)),
    Column("tags", Text, nullable=False),
    Column("starts", String(40), nullable=False),
    Column("zone", String(60), nullable=False),
    Column("minutes", Integer),
    Column("rule", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(200), nullable=False),
)
"""Times in which alerts are not told: of one test, of those that bear all *tags* (a JSON list), or of all. It *starts* at a local
time of *zone* and holds for *minutes*, null until somebody ends it; *rule* is the RRULE by which it comes again, or empty."""

routes = Table(
    "routes",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("tags", Text, nullable=False),
    Column("handles", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(200), nullable=False),
)
"""*handles* (a JSON list) that are told of every test that bears all *tags* (a JSON list); without any, of notices, too."""
