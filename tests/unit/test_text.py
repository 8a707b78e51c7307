"""Text for people: columns, and nothing in them that a terminal would obey."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.text import printable, table


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table(("A", "LONG"), [("wider", "x"), ("y", "z")]) == "A      LONG\nwider  x\ny      z"


def test_what_a_terminal_would_obey_is_shown_instead() -> None:
    assert printable("a\nb\t\x1b[31mred\x7f\u202eevil\x9b") == "a\\nb\\t\\x1b[31mred\\x7f\\u202eevil\\x9b"


@given(st.text())
def test_printable_text_is_one_printable_line(text: str) -> None:
    assert printable(text).isprintable()
