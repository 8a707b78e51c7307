"""Text for people: foreign text made harmless for a terminal, and tables of it."""

from __future__ import annotations

from collections.abc import Sequence


def printable(text: str) -> str:
    """*text* on one line: what a terminal would obey, or hide, stands there as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, cells made printable; the last column is not padded."""
    cells = [tuple(headings), *(tuple(printable(cell) for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )
