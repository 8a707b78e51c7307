"""Charts as SVG: response times with their phases, uptime as a bar, the waterfall of one run. Pure: numbers in, markup out.

No chart says anything by colour alone, none has a style or a script inside: the style sheet knows the classes. Names come from
results and are escaped; a number that is none is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import TypeGuard

from markupsafe import Markup
from msgspec import Struct

from worker.text import printable

PHASES = ("dns", "proxy", "tcp", "ssl", "firstByte", "download")
"""Phases with a colour of their own; all others share one."""
WIDTH = 1000
"""Units of every chart: the style sheet stretches them."""
HEIGHT = 220
_LEFT, _TOP, _BASE = 72, 12, 190
_WIDEST = 40
"""Units of a column and the space beside it, where there are few."""
MOST_RUNS = 120
MOST_PHASES = 24
MOST_MILLISECONDS = 10**9
_FAR_ABOVE = 4
"""A run that took so many times as long as nine of ten is cut off, and marked: the others are to be read as well."""
GOOD, BAD, UNKNOWN = "good", "bad", "unknown"
_FULL, _LEAST_BAD = 40.0, 8.0
"""Units of height of an uptime bar, and of its smallest bad part."""


@dataclass(frozen=True, slots=True)
class ChartedRun:
    """A run as a column: milliseconds by phase, its status and whether its worker was in trouble. *when* is text for people."""

    when: str
    status: str
    phases: tuple[tuple[str, float], ...]
    unhealthy: bool = False

    @property
    def total(self) -> float:
        return sum(length for _, length in self.phases)


@dataclass(frozen=True, slots=True)
class UptimePiece:
    """A piece of an uptime bar: the share of it that was bad, None where nothing is known of it."""

    when: str
    bad: float | None


def durations(timings: object) -> tuple[tuple[str, float], ...]:
    """Milliseconds by phase of any JSON; `total`, and what is not a duration, left out."""
    if not isinstance(timings, Mapping):
        return ()
    known = ((str(name), value) for name, value in timings.items() if name != "total")
    found = ((name, float(value)) for name, value in known if is_duration(value))
    return tuple(islice(found, MOST_PHASES))


def is_duration(value: object) -> TypeGuard[float]:
    """Tell if a JSON value is a number of milliseconds that a chart can show."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < MOST_MILLISECONDS


def phase_class(name: str) -> str:
    """The class of a phase in the style sheet."""
    return f"phase-{name.lower()}" if name in PHASES else "phase-other"


def milliseconds(value: float) -> str:
    """`12.3 ms`, `1.20 s` from a second on."""
    return f"{value:.1f} ms" if value < 1000 else f"{value / 1000:.2f} s"


def response_times(runs: Sequence[ChartedRun], *, title: str) -> Markup:
    """Columns of stacked phases, the oldest left. Failed, missed and unhealthy runs have a mark below the line."""
    shown = runs[-MOST_RUNS:]
    top = _top([run.total for run in shown])
    step = min((WIDTH - _LEFT) / max(len(shown), 1), _WIDEST)
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>').format(
        WIDTH,
        HEIGHT,
        title,
        _joined(_grid(top)),
        _joined(_column(run, _LEFT + index * step, step, top) for index, run in enumerate(shown)),
    )


def _top(totals: Sequence[float]) -> float:
    """The value at the upper edge, a round one."""
    known = sorted(total for total in totals if total > 0)
    if not known:
        return 1.0
    usual = known[len(known) * 9 // 10 if len(known) > 1 else 0]
    return _round_up(known[-1] if known[-1] <= _FAR_ABOVE * usual else 2 * usual)


def _round_up(value: float) -> float:
    power = 1.0
    while power * 10 <= value:
        power *= 10
    while power > value:
        power /= 10
    return next(factor * power for factor in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if factor * power >= value - 1e-9)


def _grid(top: float) -> Iterator[Markup]:
    for part in (0, 0.5, 1):
        y = _y(part * top, top)
        yield Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(_LEFT, WIDTH, y, y)
        yield Markup('<text class="axis" x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(
            _LEFT - 6, y + 4, _axis(part * top)
        )


def _axis(value: float) -> str:
    return f"{value:g} ms" if value < 1000 else f"{value / 1000:g} s"


def _y(value: float, top: float) -> float:
    return _BASE - (_BASE - _TOP) * min(value, top) / top


def _column(run: ChartedRun, x: float, step: float, top: float) -> Markup:
    width = max(step * 0.8, 0.8)
    return Markup("<g><title>{}</title>{}{}</g>").format(
        _told(run), _joined(_stack(run, x, width, top)), _joined(_marks(run, x, width, top))
    )


def _told(run: ChartedRun) -> str:
    phases = ", ".join(f"{printable(name, 40)} {milliseconds(length)}" for name, length in run.phases)
    unhealthy = "; the worker was in trouble" if run.unhealthy else ""
    return f"{run.when}: {run.status}" + (f", {milliseconds(run.total)} ({phases})" if phases else "") + unhealthy


def _stack(run: ChartedRun, x: float, width: float, top: float) -> Iterator[Markup]:
    ends = [0.0]
    for _, length in run.phases:
        ends.append(ends[-1] + length)
    for (name, _), (begin, end) in zip(run.phases, pairwise(ends), strict=True):
        low, high = _y(begin, top), _y(end, top)
        if low - high > 0.04:
            yield _rect(phase_class(name), x, high, width, low - high)


def _marks(run: ChartedRun, x: float, width: float, top: float) -> Iterator[Markup]:
    """Below the line: ✗ failed, ○ missed, ! unhealthy. Above the upper edge: the column is higher than shown."""
    middle = x + width / 2
    mark = {"failed": "✗", "missed": "○"}.get(run.status)
    if mark is not None:
        yield _text(f"mark {run.status if run.status == 'failed' else 'missed'}", middle, _BASE + 14, mark)
    if run.unhealthy:
        yield _text("mark unhealthy", middle, _BASE + 27, "!")
    if run.total > top:
        yield _text("mark over", middle, _TOP - 2, "▲")


def _text(classes: str, x: float, y: float, text: str) -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>').format(classes, x, y, text)


def segments(
    history: Sequence[tuple[float, int]], *, since: float, until: float, now: float, parts: int
) -> list[float | None]:
    """The bad share of each of *parts* equal pieces of a time, by the changes of a test's state; None: nothing is known.

    States are 0 good, 1 bad, 2 unknown, each from its moment on, the last one until *now*. All times are in one unit.
    """
    length = (until - since) / parts
    found: list[float | None] = []
    for part in range(parts):
        begin, end = since + part * length, since + (part + 1) * length
        spans = [0.0, 0.0, 0.0]
        for (start, state), (stop, _) in pairwise([*history, (now, 2)]):
            spans[state] += max(0.0, min(end, stop) - max(begin, start))
        found.append(spans[1] / (spans[0] + spans[1]) if spans[0] + spans[1] > 0 else None)
    return found


def uptime_bar(pieces: Sequence[UptimePiece], *, title: str) -> Markup:
    """A bar of pieces: good ones are of half height, unknown ones a line; a piece with something bad in it is of full height, its
    bad share on top.
    """
    step = WIDTH / max(len(pieces), 1)
    return Markup(
        '<svg class="uptime" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(
        WIDTH, _FULL, title, _joined(_piece(piece, index * step, step * 0.9) for index, piece in enumerate(pieces))
    )


def _piece(piece: UptimePiece, x: float, width: float) -> Markup:
    told = "nothing known" if piece.bad is None else f"{100 * (1 - piece.bad):.1f} % up"
    parts = _parts(piece.bad)
    top = _FULL - sum(height for _, height in parts)
    rects = []
    for kind, height in parts:
        rects.append(_rect(kind, x, top, width, height))
        top += height
    return Markup("<g><title>{}: {}</title>{}</g>").format(piece.when, told, _joined(rects))


def _parts(bad: float | None) -> list[tuple[str, float]]:
    """The parts of a piece from its top, each with its height."""
    if bad is None:
        return [(UNKNOWN, _FULL / 10)]
    if bad <= 0:
        return [(GOOD, _FULL / 2)]
    height = max(bad * _FULL, _LEAST_BAD)
    return [(BAD, height), (GOOD, _FULL - height)]


def _rect(kind: str, x: float, y: float, width: float, height: float) -> Markup:
    return Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
        kind, x, y, width, height
    )


class WaterfallRow(Struct, frozen=True):
    """A phase: its name, its milliseconds as text, and a bar that begins where the phase before ended."""

    name: str
    length: str
    bar: Markup


def waterfall(phases: Sequence[tuple[str, float]]) -> list[WaterfallRow]:
    """One row a phase, in order. What is within half a unit is a thin mark: nothing is made longer to be seen."""
    total = sum(length for _, length in phases) or 1.0
    rows, before = [], 0.0
    for name, length in phases:
        bar = Markup(
            '<svg class="waterfall" viewBox="0 0 {} 16" preserveAspectRatio="none" aria-hidden="true">'
            '<rect class="{}" x="{:.1f}" y="0" width="{:.1f}" height="16"/></svg>'
        ).format(WIDTH, phase_class(name), before / total * (WIDTH - 1), max(length / total * (WIDTH - 1), 1.0))
        rows.append(WaterfallRow(name, milliseconds(length), bar))
        before += length
    return rows


def _joined(parts: Iterator[Markup] | Sequence[Markup]) -> Markup:
    return Markup("").join(parts)
