"""Portions of the rows that a statement names by their ids: SQLite and PostgreSQL bound the number of its parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

MOST_NAMED = 500
"""Of one statement."""


def portions(named: Sequence[T]) -> Iterator[Sequence[T]]:
    """*named* in its order, `MOST_NAMED` at a time."""
    for start in range(0, len(named), MOST_NAMED):
        yield named[start : start + MOST_NAMED]
