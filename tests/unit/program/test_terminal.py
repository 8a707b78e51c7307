"""What a stream can do for people: a terminal colours, wraps and writes over; a file, a pipe or nothing does none of it."""

from __future__ import annotations

import io

import pytest

from worker.program.terminal import NARROWEST, coloured, columns, rewritable


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")


def test_a_terminal_does_all_of_it() -> None:
    assert (coloured(Terminal()), columns(Terminal()), rewritable(Terminal())) == (True, 100, True)


def test_nothing_else_does_any_of_it() -> None:
    for stream in (io.StringIO(), None):
        assert (coloured(stream), columns(stream), rewritable(stream)) == (False, None, False)


def test_no_colour_is_no_word_against_writing_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert (coloured(Terminal()), rewritable(Terminal())) == (False, True)


def test_a_dumb_terminal_does_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert (coloured(Terminal()), rewritable(Terminal())) == (False, False)


def test_a_narrow_terminal_is_wrapped_at_a_width_that_words_fit_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "8")
    assert columns(Terminal()) == NARROWEST
