"""Text for people: columns, one line, printable, short, and without a password."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.text import counted, cut, json_line, listed, nearest, printable, quoted, table, wrapped


@pytest.mark.parametrize(("text", "expected"), [("", ""), ("abc", "abc"), ("abcd", "abcd"), ("abcde", "abc…")])
def test_what_is_left_out_is_marked(text: str, expected: str) -> None:
    assert cut(text, 4) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bücher", "bücher"),
        ("a\nb", "a\\nb"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\u202eabc", "\\u202eabc"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_a_terminal_would_obey_or_hide_is_escaped(text: str, expected: str) -> None:
    assert printable(text) == expected
    assert printable(text, 4) == cut(expected, 4)
    assert printable(text * 1000, 8) == cut(expected * 1000, 8)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a b", '"a b"'),
        ("a\nb", '"a\\nb"'),
        ("http://user:hunter2@proxy", '"<redacted>@proxy"'),
        ("me@example.org", '"me@example.org"'),
        (["a"], r'"[\"a\"]"'),
        ("x" * 300, '"' + "x" * 200 + '…"'),
    ],
)
def test_a_value_is_quoted_on_one_line_without_a_password(value: object, expected: str) -> None:
    assert quoted(value) == expected


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table(("A", "LONG"), [("wider", "x"), ("y", "z")]) == "A      LONG\nwider  x\ny      z"


def test_what_a_terminal_would_obey_is_shown_instead() -> None:
    assert printable("a\nb\t\x1b[31mred\x7f\u202eevil\x9b") == "a\\nb\\t\\x1b[31mred\\x7f\\u202eevil\\x9b"


@given(st.text())
def test_printable_text_is_one_printable_line(text: str) -> None:
    assert printable(text).isprintable()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_json_on_a_line_means_the_same_and_steers_no_terminal(value: object) -> None:
    line = json_line(value)
    assert line.isprintable()
    assert json.loads(line) == value


@pytest.mark.parametrize("character", ["\x1b", "\x7f", "\x9b", "\u202e", "\u2066", "\u2028", "\U000e0041", "\udcff"])
def test_json_escapes_what_a_terminal_obeys_or_hides(character: str) -> None:
    assert json.loads(json_line({character: character})) == {character: character}
    assert character not in json_line({character: character})


def test_json_leaves_letters_of_all_languages_as_they_are() -> None:
    assert json_line({"größe": "☃🌙"}) == '{"größe":"☃🌙"}'


def test_one_is_singular() -> None:
    assert [counted(number, "mistake") for number in (0, 1, 2)] == ["0 mistakes", "1 mistake", "2 mistakes"]


def test_a_long_list_is_cut_with_the_number_of_the_rest() -> None:
    assert listed(["a", "b"], 2) == ["a", "b"]
    assert listed(["a", "b", "c", "d"], 2) == ["a", "b", "and 2 more"]


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("timout", "timeout"),
        ("Time-Out", "timeout"),
        ("tiemout", "timeout"),
        ("host", None),
        ("t" * 100_000, None),
        ("", None),
    ],
)
def test_the_nearest_word_is_like_enough_or_none(word: str, found: str | None) -> None:
    assert nearest(word, ["timeout", "url"], likeness=0.8) == found


WORDS = st.lists(st.text("abc·-", min_size=1, max_size=12), min_size=1, max_size=30)


@given(words=WORDS, width=st.integers(12, 80))
def test_a_wrapped_line_keeps_its_words_and_its_width(words: list[str], width: int) -> None:
    lines = wrapped(" ".join(words), width).split("\n")
    assert " ".join(lines).split() == words
    assert all(len(line) <= width for line in lines)


def test_without_a_width_a_line_stays_a_line() -> None:
    assert wrapped("a  b " * 100, None) == "a  b " * 100


@given(rows=st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=4), width=st.integers(40, 200))
def test_a_narrow_table_keeps_every_word_in_its_column(rows: list[tuple[list[str], ...]], width: int) -> None:
    """Three columns of words of at most twelve characters: they always have room in forty."""
    cells = [tuple(" ".join(words) for words in row) for row in rows]
    text = table(("A", "B", "C"), cells, width=width)
    assert all(len(line) <= width for line in text.split("\n"))
    assert sorted(text.split()) == sorted(["A", "B", "C", *(word for row in rows for words in row for word in words)])


def test_a_table_that_fits_is_not_changed() -> None:
    rows = [("one", "a b"), ("three", "c")]
    assert table(("A", "B"), rows, width=80) == table(("A", "B"), rows)


def test_a_word_is_not_cut_for_a_table() -> None:
    assert "x" * 50 in table(("A", "B"), [("x" * 50, "b c")], width=20)
