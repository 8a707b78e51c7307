"""Text for people: foreign text made harmless for a terminal, quoted or cut for a message, and tables of it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

MISSPELT_CHARACTERS = 60
"""Longest word that `nearest` compares: its cost grows with the square, and nobody mistypes longer ones."""
QUOTED_CHARACTERS = 200
"""Longest part of a value that a message repeats."""


def quoted(value: object) -> str:
    """Quote a value for a message: on one line, control characters escaped, not too long, without a URL's credentials."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    before = text.rpartition("@")[0]
    if ":" in before:
        text = f"<redacted>{text[len(before) :]}"
    if len(text) > QUOTED_CHARACTERS:
        text = text[:QUOTED_CHARACTERS] + "…"
    return json.dumps(text, ensure_ascii=not text.isprintable())


def cut(text: str, limit: int) -> str:
    """Shorten *text* to *limit* characters, the last of them an ellipsis where something is left out."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def counted(number: int, noun: str) -> str:
    """*number* with *noun* in its plural, which ends in s: `1 mistake`, `2 mistakes`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(sentences: Sequence[str], most: int) -> list[str]:
    """The first *most* of *sentences*, and where there are more, how many."""
    shown = list(sentences[:most])
    return shown if len(sentences) <= most else [*shown, f"and {len(sentences) - most} more"]


def nearest(word: str, known: Iterable[str], *, likeness: float) -> str | None:
    """The one of *known* that *word* is most like, whatever the case and the separators of words.

    None where none is as like as *likeness*, from 0 to 1.
    """
    if len(word) > MISSPELT_CHARACTERS:
        return None
    import difflib  # noqa: PLC0415  # only a mistake pays for it

    spelt = {_plain(name): name for name in known}
    found = difflib.get_close_matches(_plain(word), spelt, n=1, cutoff=likeness)
    return spelt[found[0]] if found else None


def _plain(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


def printable(text: str, limit: int | None = None) -> str:
    """Keep *text* on one line: escape what a terminal would obey, or hide; with *limit*, cut it there."""
    shown = text[: limit and limit + 1]
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)
    return shown if limit is None else cut(shown, limit)


def json_line(value: object) -> str:
    """JSON on one line, in which a terminal finds nothing to obey or to hide: such characters are escaped as JSON has it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))


def wrapped(text: str, width: int | None, *, indent: int = 0) -> str:
    """Break *text* between words after *width* characters at most, later lines indented. No word is cut; None breaks nothing."""
    if width is None:
        return text
    lines = textwrap.wrap(text, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, width: int | None = None) -> str:
    """Columns as wide as their widest cell, cells made printable; the last column is not padded.

    Where that is wider than *width*, the widest columns are narrowed, down to their longest word, and their cells wrapped.
    """
    cells = [tuple(headings), *(tuple(printable(cell) for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    if width is not None:
        words = [max(_longest_word(row[column]) for row in cells) for column in range(len(headings))]
        _narrow(widths, words, width - 2 * (len(headings) - 1))
    return "\n".join(line for row in cells for line in _lines(row, widths))


def _longest_word(cell: str) -> int:
    return max(map(len, cell.split()), default=0)


def _narrow(widths: list[int], least: Sequence[int], room: int) -> None:
    """Take from the widest column that can be narrowed, a character at a time, until all of them have *room*."""
    while sum(widths) > room:
        wide = [column for column, width in enumerate(widths) if width > least[column]]
        if not wide:
            return
        widths[max(wide, key=lambda column: widths[column])] -= 1


def _lines(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    wrapped_cells = [
        wrapped(cell, width).split("\n") if len(cell) > width else [cell]
        for cell, width in zip(row, widths, strict=True)
    ]
    for line in zip_longest(*wrapped_cells, fillvalue=""):
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
