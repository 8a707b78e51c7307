"""The base of every protocol's request. Parsed once (`parse`), then never looked at as JSON again."""

from __future__ import annotations

from dataclasses import dataclass, field

from worker.secret import Secret

DEFAULT_SUBTYPE = "http"
"""Of a test that says none, as in the reference system."""
DEFAULT_TIMEOUT = 60.0
"""Seconds, the reference system's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRequest:
    """The base of each protocol's request. *timeout* in seconds, over everything that the request sets off."""

    timeout: float = DEFAULT_TIMEOUT
    test_id: str = field(default="", compare=False)
    """Public id of the test that asks, for protocols that tell it to their targets; "" where it has none. Not what is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCertificate:
    """*chain* and *key* are PEM, as the author wrote them. It is shown to *domains*; without any, to the test's own host."""

    chain: str
    key: Secret[str]
    domains: tuple[str, ...] = ()
