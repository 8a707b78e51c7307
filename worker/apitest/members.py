"""Members of definitions and outcomes as anybody may have written them: a value of another type is as if it were not there.

It judges nothing: `reading` is for definitions whose mistakes somebody is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def object_of(value: object) -> Mapping[str, Any]:
    """The members of an object; none of anything else."""
    return value if isinstance(value, Mapping) else {}


def objects_of(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list, in their order; none of anything else."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
