"""The tables of private action runners, as the newest migration leaves them. What a thief of the database must not read, or who
writes to it must not plant, is sealed and bound to its row.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, text

from controlplane.store.tables import metadata

runner_keys = Table(
    "runner_keys",
    metadata,
    Column("kid", String(200), primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("private_sealed", LargeBinary, nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
)
"""The control plane's own keys: `root`, `signing` and `results`, each sealed under its kind and name."""

runner_keysets = Table(
    "runner_keysets",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("token", Text, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("used_from", BigInteger),
)
"""Every keyset that was signed; the highest *seq* holds. The newest key of the highest one with *used_from* is what signs."""

runners = Table(
    "runners",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("modes", String(20), nullable=False),
    Column("host", String(300)),
    Column("base_url", Text, nullable=False),
    Column("instances", Integer, nullable=False),
    Column("state", String(10), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("enrolled_at", BigInteger),
    Column("kid", String(200), unique=True),
    Column("identity_sealed", LargeBinary),
    Column("next_kid", String(200), unique=True),
    Column("next_sealed", LargeBinary),
    Column("rotate", Boolean, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("instance", String(36)),
    Column("since", BigInteger),
    Column("accepted", String(36)),
    Column("contested", Text),
)
"""*state* is created, enrolled, disabled or revoked. *identity_sealed* are the public keys that *kid* names, *next_…* those of a
rotation whose first request is awaited. *instance* is the one that *epoch* was given to at *since*, *accepted* one that a person
chose. *contested* is the reason, for people."""

runner_tokens = Table(
    "runner_tokens",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("runner_id", String(36), ForeignKey("runners.id", ondelete="CASCADE"), nullable=False),
    Column("secret_sealed", LargeBinary, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("uses", Integer, nullable=False, server_default=text("1")),
    Column("used", Integer, nullable=False, server_default=text("0")),
    Column("used_by", String(200)),
    Column("used_at", BigInteger),
    Index("runner_tokens_by_runner", "runner_id"),
)
"""Enrolment tokens, good for *uses* enrolments, of which *used* took place. *used_by* is the kid of the last one."""

runner_instances = Table(
    "runner_instances",
    metadata,
    Column("runner_id", String(36), ForeignKey("runners.id", ondelete="CASCADE"), primary_key=True),
    Column("id", String(36), primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("pull_number", BigInteger, nullable=False),
    Column("results_number", BigInteger, nullable=False),
    Column("rotate_number", BigInteger, nullable=False),
    Column("first_seen", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    Column("agent", String(200), nullable=False),
    Column("host", String(200), nullable=False),
    Column("address", String(64), nullable=False),
    Column("concurrency", Integer, nullable=False),
    Column("free_slots", Integer, nullable=False),
    Column("running", Integer, nullable=False),
    Column("draining", Boolean, nullable=False),
    Column("degraded", String(200)),
    Column("keyset", BigInteger, nullable=False),
    Column("report", String(64), nullable=False, server_default=text("''")),
    Index("runner_instances_by_sight", "last_seen"),
)
"""One row is one process of a runner. The numbers are those of its last requests; *last_seen* is its last pull. *report* names
what it told of itself, once that came."""

runner_reports = Table(
    "runner_reports",
    metadata,
    Column("runner_id", String(36), ForeignKey("runners.id", ondelete="CASCADE"), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("details", Text, nullable=False),
)
"""Reports of runners on themselves, by their digest. Instances with the same files share a row."""
