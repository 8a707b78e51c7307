"""Patterns of RFC 9535's functions (RFC 9485): what they match, whole and in part, and what is said of one that is not valid."""

from __future__ import annotations

import pytest

from worker.checks.iregexp import as_javascript, found_in, matches
from worker.checks.judgement import JudgementError


@pytest.mark.parametrize(
    ("source", "text", "whole", "part"),
    [
        ("a|bc", "abc", False, True),
        ("a.c", "abc", True, True),
        ("a.c", "a\u2028c", True, True),
        ("a.c", "a\rc", False, False),
        ("a.c", "a\nc", False, False),
        ("[.]", "x", False, False),
        (r"\.", "x", False, False),
        (r"[\]]", "]", True, True),
        (r"\p{Lu}+", "ЖX", True, True),
        (r"\P{Lu}", "Ж", False, False),
        (r"\d\-\d", "1-2", True, True),
        (r"[a\-z]", "-", True, True),
        ("^.$", "\U0001f600", True, True),
        ("", "", True, True),
    ],
)
def test_a_pattern(source: str, text: str, whole: bool, part: bool) -> None:
    assert (matches(source, text), found_in(source, text)) == (whole, part)


@pytest.mark.parametrize("source", ["(", "a{2,1}", "(?i)a", "\\", "[", r"\p{Nothing}"])
def test_what_is_no_pattern_is_an_error_and_not_an_empty_match(source: str) -> None:
    for test in (matches, found_in):
        with pytest.raises(JudgementError, match="not a valid JavaScript regular expression"):
            test(source, "a")


def test_what_javascript_has_beyond_it_stays() -> None:
    assert as_javascript(r"(?=a)\w\b\u{61}") == r"(?=a)\w\b\u{61}"
