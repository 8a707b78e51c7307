"""Values as templates show them: moments and durations, and foreign text without what hides or turns other text. Pure."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"))
_NEVER = "never"
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that are no text: controls, overrides of direction, joiners, lone surrogates, line separators."""
_KEPT = frozenset("\n\t")


def visible(value: object) -> object:
    """Show characters that would hide or turn others by their escapes; applied to every value of a template.

    Only plain text is looked at: markup that our own code made (an SVG chart) is a type of its own.
    """
    if type(value) is not str or value.isprintable():
        return value
    return "".join(_shown(character) for character in value)


def _shown(character: str) -> str:
    if character in _KEPT or unicodedata.category(character) not in _HIDDEN:
        return character
    return character.encode("unicode_escape", "surrogatepass").decode()


def moment(milliseconds: int | None) -> str:
    """A time of day, UTC, to the second; "never" where there is none."""
    if milliseconds is None:
        return _NEVER
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def machine_moment(milliseconds: int) -> str:
    """A time of day as the attribute `datetime` of `<time>` has it."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def span(milliseconds: float | None) -> str:
    """A duration in its largest unit, as `12 s`; below a second in milliseconds, as `3.5 ms`."""
    if milliseconds is None:
        return "–"
    for size, unit in _UNITS:
        if milliseconds >= size:
            return (
                f"{milliseconds / size:.3g} {unit}" if milliseconds < 10 * size else f"{milliseconds / size:.0f} {unit}"
            )
    return f"{milliseconds:.3g} ms"


def ago(milliseconds: int | None, now: int) -> str:
    """The age of a moment: `5 s ago`."""
    if milliseconds is None:
        return _NEVER
    age = now - milliseconds
    return "just now" if age < 1_000 else f"{span(age // 1_000 * 1_000)} ago"


def due(milliseconds: int | None, now: int) -> str:
    """The time until a moment, in whole seconds: `in 5 s`, `due` from that moment on."""
    if milliseconds is None:
        return "–"
    left = milliseconds - now
    return "due" if left <= 0 else f"in {span(max(1, left // 1_000) * 1_000)}"
