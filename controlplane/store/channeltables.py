"""The tables of channels and of open notices, as the newest migration leaves them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, String, Table

from controlplane.store.tables import metadata

channels = Table(
    "channels",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("settings_sealed", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(200), nullable=False),
)
"""A way to people. All of its settings are sealed and bound to its name: the URL itself is a secret of many receivers."""

notices = Table(
    "notices",
    metadata,
    Column("subject", String(200), primary_key=True),
    Column("alert_id", String(40), nullable=False),
    Column("since", BigInteger, nullable=False),
)
"""Notices of the control plane itself that hold now; *alert_id* is the transition that told of each."""
