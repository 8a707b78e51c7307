"""A result as a block of lines for people: outcome, phases as bars, facts, assertions with expected and actual, rows of steps.

It reads the JSON of a result, which may come from a database or from another version. What a target or an author wrote is made
printable and cut; a line begins with a mark or word of ours, so that no log collector takes foreign text for a command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from worker.apitest.findings import facts
from worker.apitest.members import objects_of
from worker.apitest.summary import MAX_REASON, NAME_WIDTH, failure
from worker.apitest.waterfall import MAX_PHASES, waterfall
from worker.text import counted, printable, wrapped

PLAIN_WIDTH = 80
"""Columns of the bars where the output is not a terminal."""
WIDEST = 120
"""Columns beyond which bars say no more."""
MAX_ASSERTIONS = 50
MAX_STEPS = 50
MAX_VALUES = 20
MAX_LOG_LINES = 20
MAX_VALUE = 300
"""Characters of an expected or actual value."""
MAX_FOUND = 60
"""Characters of an actual value that is as it should be."""
_INDENT = 4
_LABEL = 12
"""Columns of a label: `certificate` is the longest."""

_MARKS = {"passed": "✓", "failed": "✗", "missed": "○", "skipped": "○"}
_STATUS_COLOURS = {"passed": "32", "failed": "31", "missed": "33", "skipped": "33"}
_BAR_COLOUR, _LABEL_COLOUR = "36", "2"

Paint = Callable[[str, str], str]
"""Text and an SGR code → the text in that colour."""


class _Page(NamedTuple):
    """The abilities of the output. *width* is None where lines are not wrapped."""

    paint: Paint
    width: int | None
    indent: int = 0

    def deeper(self) -> _Page:
        return self._replace(indent=self.indent + _INDENT)

    def line(self, text: str) -> str:
        left = None if self.width is None else self.width - self.indent
        return "\n".join(" " * self.indent + each for each in wrapped(text, left, indent=_INDENT).split("\n"))

    def labelled(self, label: str, text: str) -> str:
        return self.line(f"{label:<{_LABEL}}{text}").replace(label, self.paint(label, _LABEL_COLOUR), 1)


def block(outcome: Mapping[str, Any], *, colour: bool = False, width: int | None = None) -> str:
    """Everything of *outcome* that a person at a terminal of *width* columns wants to see, without a line break at its end."""
    page = _Page(_coloured if colour else _plain, width)
    test = outcome.get("test")
    named = test if isinstance(test, Mapping) else {}
    name = printable(str(named.get("name") or named.get("public_id") or "?"), 60)
    return "\n".join([_header(outcome, name, page), *_details(outcome, page.deeper())])


def _coloured(text: str, code: str) -> str:
    return f"\033[{code}m{text}\033[0m"


def _plain(text: str, _code: str) -> str:
    return text


def _header(outcome: Mapping[str, Any], name: str, page: _Page, before: str = "") -> str:
    """`✓ passed  NAME  2.3 ms`, a failure's code and reason behind it."""
    status = str(outcome.get("status", "unknown"))
    mark = f"{_MARKS.get(status, '?')} {printable(status, 10):<7}"
    parts = [f"{before}{mark} {name:<{NAME_WIDTH}}", _total(outcome.get("timings")), _reason(outcome)]
    text = page.line("  ".join(part for part in parts if part).rstrip())
    code = _STATUS_COLOURS.get(status)
    return text.replace(mark, page.paint(mark, code), 1) if code else text


def _total(timings: object) -> str:
    total = timings.get("total") if isinstance(timings, Mapping) else None
    known = isinstance(total, int | float) and not isinstance(total, bool) and 0 < total < 1e12
    return f"{total:.1f} ms" if known else ""


def _reason(outcome: Mapping[str, Any]) -> str:
    """Code and message; where the assertions follow in lines of their own, their number."""
    value = outcome.get("failure")
    rows = objects_of(outcome.get("assertions"))
    if not isinstance(value, Mapping) or value.get("code") != "INCORRECT_ASSERTION" or not rows:
        return failure(value)
    wrong = sum(row.get("valid") is not True for row in rows)
    return (
        f"INCORRECT_ASSERTION: {wrong} of {counted(len(rows), 'assertion')} {'does' if wrong == 1 else 'do'} not hold"
    )


def _details(outcome: Mapping[str, Any], page: _Page) -> Iterator[str]:
    if outcome.get("unhealthy"):
        yield page.labelled("unhealthy", printable(str(outcome["unhealthy"]), MAX_REASON))
    room = min(page.width or PLAIN_WIDTH, WIDEST) - page.indent
    for label, bar in waterfall(_steps_one_by_one(outcome) or outcome.get("timings"), room):
        blank = len(bar) - len(bar.lstrip())
        yield " " * page.indent + label + bar[:blank] + page.paint(bar[blank:], _BAR_COLOUR)
    for fact in facts(outcome):
        yield page.labelled(fact.label, fact.text)
    yield from _assertions(outcome, page)
    yield from _variables(outcome.get("variables"), page)
    yield from _steps(outcome, page)


def _steps_one_by_one(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """The times of steps by number and name, for as many as a waterfall shows; none for a longer test."""
    rows = objects_of(outcome.get("steps"))
    if len(rows) > MAX_PHASES:
        return {}
    return {f"{number} {row.get('name') or '?'}": _duration(row) for number, row in enumerate(rows, start=1)}


def _duration(row: Mapping[str, Any]) -> object:
    timings = row.get("timings")
    return timings.get("total") if isinstance(timings, Mapping) else None


def _assertions(outcome: Mapping[str, Any], page: _Page) -> Iterator[str]:
    rows = objects_of(outcome.get("assertions"))
    for row in islice(rows, MAX_ASSERTIONS):
        holds = row.get("valid") is True
        mark = page.paint("✓", "32") if holds else page.paint("✗", "31")
        yield page.line(f"? {condition(row)}{_found(row) if holds else ''}").replace("?", mark, 1)
        if not holds:
            yield from _comparison(row, page.deeper())
        yield from _log(row, page.deeper())
    if len(rows) > MAX_ASSERTIONS:
        yield page.line(f"and {len(rows) - MAX_ASSERTIONS} more assertions")


def _log(row: Mapping[str, Any], page: _Page) -> Iterator[str]:
    """The lines that a script wrote."""
    written = row.get("log")
    for line in islice(written.splitlines(), MAX_LOG_LINES) if isinstance(written, str) else ():
        yield page.labelled("log", printable(line, MAX_VALUE))


def condition(row: Mapping[str, Any]) -> str:
    """`header content-type contains json`, `body validatesJSONPath $.a is 1`; of a script or a schema the beginning."""
    names = ("type", "property", "operator", "target_path", "target_path_operator")
    said = [printable(str(row[name]), MAX_VALUE) for name in names if row.get(name) not in (None, "")]
    expected = row.get("expected")
    if expected not in (None, ""):
        said.append(printable(" ".join(str(expected).split()), MAX_FOUND) if _is_program(row) else _value(expected))
    return " ".join(said)


def _is_program(row: Mapping[str, Any]) -> bool:
    """True for what is not compared with a value: a script, a schema. It is long, and its reason says what was wrong."""
    return row.get("type") == "javascript" or row.get("operator") == "validatesJSONSchema"


def _value(value: object) -> str:
    return printable(value if isinstance(value, str) else repr(value), MAX_VALUE)


def _found(row: Mapping[str, Any]) -> str:
    """The actual value of an assertion that holds, where the condition does not say it already."""
    actual = row.get("actual")
    if actual is None or str(actual) == str(row.get("expected")):
        return ""
    return f" (actual {printable(str(actual), MAX_FOUND)})"


def _comparison(row: Mapping[str, Any], page: _Page) -> Iterator[str]:
    for label, name in (("expected", "expected"), ("actual", "actual"), ("reason", "error_message")):
        value = row.get(name)
        if value is not None and not (name == "expected" and _is_program(row)):
            yield page.labelled(label, _value(value))


def _variables(variables: object, page: _Page) -> Iterator[str]:
    """The values that were extracted; secure ones come redacted."""
    extracted = variables.get("extracted") if isinstance(variables, Mapping) else None
    for each in islice(objects_of(extracted), MAX_VALUES):
        value = each.get("value", each.get("val"))
        said = "" if value is None else f" = {printable(str(value), MAX_VALUE)}"
        yield page.labelled("extracted", f"{printable(str(each.get('name', '?')), 60)}{said}")


def _steps(outcome: Mapping[str, Any], page: _Page, depth: int = 3) -> Iterator[str]:
    """A row for each step; the details of those that failed. Subtests nest two deep: *depth* ends what is not ours."""
    rows = objects_of(outcome.get("steps")) if depth else []
    for number, step in enumerate(islice(rows, MAX_STEPS), start=1):
        name = printable(str(step.get("name") or "?"), 60)
        optional = "" if not step.get("allow_failure") else " (may fail)"
        yield _header(step, name + optional, page, before=f"{number:>2} ")
        if step.get("status") == "failed":
            yield from _details({**step, "steps": None}, page.deeper())
        else:
            yield from _variables(step.get("variables"), page.deeper())
        yield from _steps(step, page.deeper(), depth - 1)
    if len(rows) > MAX_STEPS:
        yield page.line(f"and {len(rows) - MAX_STEPS} more steps")
