"""The entries of the navigation, which every page shows to those who may look behind them."""

from __future__ import annotations

from dataclasses import dataclass

from controlplane.service.principal import KeyScope, Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class NavigationEntry:
    path: str
    label: str
    scope: KeyScope = KeyScope.READ


ENTRIES: tuple[NavigationEntry, ...] = (
    NavigationEntry(path="/tests", label="Tests"),
    NavigationEntry(path="/alerts", label="Alerts"),
    NavigationEntry(path="/locations", label="Locations"),
    NavigationEntry(path="/runners", label="Runners"),
    NavigationEntry(path="/channels", label="Channels"),
    NavigationEntry(path="/apps", label="Apps"),
    NavigationEntry(path="/users", label="Users", scope=KeyScope.ADMIN),
)
"""In the order in which they are shown."""


def entries(by: Principal) -> tuple[NavigationEntry, ...]:
    """Those of which *by* holds the scope."""
    return tuple(entry for entry in ENTRIES if entry.scope in by.scopes)
