"""All operations."""

from __future__ import annotations

from typing import Any

from controlplane.operations import auditing, clock, keys, locations, plans, results, tests, users
from controlplane.operations.operation import Operation

OPERATIONS: tuple[Operation[Any, Any], ...] = (
    *clock.OPERATIONS,
    *keys.OPERATIONS,
    *auditing.OPERATIONS,
    *locations.OPERATIONS,
    *results.OPERATIONS,
    *tests.OPERATIONS,
    *plans.OPERATIONS,
    *users.OPERATIONS,
)
