"""All operations."""

from __future__ import annotations

from typing import Any

from controlplane.operations import (
    alerts,
    apps,
    auditing,
    channels,
    clock,
    keys,
    locations,
    plans,
    results,
    runners,
    runs,
    tests,
    users,
    workflows,
)
from controlplane.operations.operation import Operation

OPERATIONS: tuple[Operation[Any, Any], ...] = (
    *clock.OPERATIONS,
    *keys.OPERATIONS,
    *auditing.OPERATIONS,
    *alerts.OPERATIONS,
    *channels.OPERATIONS,
    *locations.OPERATIONS,
    *results.OPERATIONS,
    *tests.OPERATIONS,
    *plans.OPERATIONS,
    *apps.OPERATIONS,
    *runners.OPERATIONS,
    *runs.OPERATIONS,
    *users.OPERATIONS,
    *workflows.OPERATIONS,
)
