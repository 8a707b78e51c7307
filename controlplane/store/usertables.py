"""The tables of people who use the pages, as the newest migration leaves them. What opens a door is stored as a hash."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, LargeBinary, String, Table, Text

from controlplane.store.tables import metadata

users = Table(
    "users",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("login", String(200), nullable=False, unique=True),
    Column("role", String(10), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("password_hash", Text),
    Column("identity", LargeBinary, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("signed_in_at", BigInteger),
)
"""*login* is *name* as people may spell it: without case. *password_hash* is argon2's own text; None for who has no password.
*identity* is the hash of an issuer's name for this person, where a provider of identities signs them in."""

user_sessions = Table(
    "user_sessions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("user_id", String(32), ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("by", String(10), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("address", String(64), nullable=False),
    Column("agent", String(200), nullable=False),
    Index("user_sessions_by_user", "user_id", "created_at"),
    Index("user_sessions_by_end", "expires_at"),
)
"""*by* is the way in which it began: password, link or provider. *expires_at* is its end, however much it is used."""

sign_in_links = Table(
    "sign_in_links",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("user_id", String(32), ForeignKey("users.id", ondelete="CASCADE")),
    Column("expires_at", BigInteger, nullable=False),
    Column("created_by", String(200), nullable=False),
)
"""Links that sign somebody in once. Without *user_id*: the one that makes the first administrator."""
