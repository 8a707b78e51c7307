"""The phases of one run as bars, one below the other, in order: where its time went. Pure text, for any timings of any JSON.

A bar is as long as its phase took, to within a column, and begins where the phase before it ended; the bars together fill the
width. A phase within one column is a thin mark and takes none: nothing is made longer to be seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple

from worker.text import printable

MAX_PHASES = 12
"""Phases shown; a run of ours has eight at most."""
_NAME = 20
"""Characters of a phase's name."""
_FAR = 10**13
"""Tenths of a millisecond that no run has taken: thirty years."""
_LEAST = 10
"""Columns of the bars, however narrow the terminal is."""
_FULL, _THIN = "█", "▏"


class _Phase(NamedTuple):
    name: str
    tenths: int


class Bar(NamedTuple):
    """One line, its bar apart, so that the bar can be coloured."""

    label: str
    bar: str


def waterfall(timings: object, width: int) -> list[Bar]:
    """The bars of *timings* (milliseconds by phase) in lines of *width* columns at most; none where no phase ran."""
    phases = _phases(timings)
    if not phases:
        return []
    names = max(len(phase.name) for phase in phases)
    numbers = max(len(_milliseconds(phase)) for phase in phases)
    columns = max(_LEAST, width - names - numbers - len("   ms  "))
    total = sum(phase.tenths for phase in phases)
    bars: list[Bar] = []
    before = 0
    for phase in phases:
        label = f"{phase.name:<{names}}  {_milliseconds(phase):>{numbers}} ms  "
        bars.append(Bar(label, _bar(before, before + phase.tenths, total, columns)))
        before += phase.tenths
    return bars


def _bar(begin: int, end: int, total: int, columns: int) -> str:
    """A bar from *begin* to *end* of *total*; boundaries are rounded down alike, so that neighbours touch and never overlap."""
    first = begin * columns // total if total else 0
    last = end * columns // total if total else 0
    if first == last:
        return " " * min(first, columns - 1) + _THIN
    return " " * first + _FULL * (last - first)


def _phases(timings: object) -> list[_Phase]:
    """The phases that can be shown, `total` and what no phase has left out."""
    if not isinstance(timings, Mapping):
        return []
    known = ((str(name), _tenths(value)) for name, value in timings.items() if name != "total")
    found = (_Phase(printable(name, _NAME), tenths) for name, tenths in known if tenths is not None)
    return list(islice(found, MAX_PHASES))


def _tenths(value: object) -> int | None:
    """Tenths of a millisecond; None for what is not a duration."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _FAR / 10:
        return None
    return round(value * 10)


def _milliseconds(phase: _Phase) -> str:
    return f"{phase.tenths // 10}.{phase.tenths % 10}"
