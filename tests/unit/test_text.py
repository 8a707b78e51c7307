"""Text for people: columns, ages, and nothing in them that a terminal would obey."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.text import ago, harmless, table


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table(("A", "LONG"), [("wider", "x"), ("y", "z")]) == "A      LONG\nwider  x\ny      z"


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(-5, "0 s ago"), (0, "0 s ago"), (59_999, "59 s ago"), (60_000, "1 min ago"), (3_599_999, "59 min ago"),
     (3_600_000, "1 h ago"), (86_400_000 * 3, "3 d ago")],
)  # fmt: skip
def test_an_age_is_told_in_its_largest_unit(milliseconds: int, text: str) -> None:
    assert ago(milliseconds) == text


def test_what_a_terminal_would_obey_is_shown_instead() -> None:
    assert harmless("a\nb\t\x1b[31mred\x7f\u202eevil\x9b") == "a\\nb\\t\\x1b[31mred\\x7f\\u202eevil\\x9b"


@given(st.text())
def test_harmless_text_is_one_printable_line(text: str) -> None:
    assert harmless(text).isprintable()
