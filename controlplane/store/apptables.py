"""The tables of apps, as the newest migration leaves them. What an app may ask is sealed and bound to its row and version."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table

from controlplane.store.tables import metadata

apps = Table(
    "apps",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(60), nullable=False, unique=True),
    Column("runner_id", String(36), nullable=False),
    Column("version", Integer, nullable=False),
    Column("definition_sealed", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("modified_at", BigInteger, nullable=False),
    Column("modified_by", String(200), nullable=False),
)
"""Pages of queries. Each push of a definition that differs is a *version* of its own; only the newest is kept."""

app_claims = Table(
    "app_claims",
    metadata,
    Column("jti", String(36), primary_key=True),
    Column("runner_id", String(36), nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("app_claims_by_age", "at"),
)
"""Tokens of runners with several instances that one of these has spent."""
