"""The two forms of `startUrlSubstitutionRegex`, and what is neither."""

from __future__ import annotations

import pytest

from tests.support.definitions import STATUS, api_test
from worker.apitest.parse import parse
from worker.apitest.reading import Findings, Node
from worker.apitest.substitution import MAX_SUBSTITUTION, URLSubstitution, read_substitution
from worker.errors import TestError


def read(text: object) -> tuple[URLSubstitution | None, tuple[str, ...]]:
    findings = Findings()
    return read_substitution(Node(text, "here", findings)), findings.mistakes.told()


@pytest.mark.parametrize(
    ("text", "pattern", "replacement", "modifiers"),
    [
        # the reference system's own examples
        (
            "https://example.com(.*)|http://subdomain.example.com$1",
            "https://example.com(.*)",
            "http://subdomain.example.com$1",
            "",
        ),
        ("https://prod.test/(.*)|https://staging.test/$1", "https://prod.test/(.*)", "https://staging.test/$1", ""),
        ("(https?://)([^/]*)|$1pr-7.$2", "(https?://)([^/]*)", "$1pr-7.$2", ""),
        ("s/(https://www.)(.*)/$1extra-$2/", "(https://www.)(.*)", "$1extra-$2", ""),
        ("s|https://a/(.*)|https://b/$1|gi", "https://a/(.*)", "https://b/$1", "gi"),
        # where the mark belongs to a part
        ("(a|b)c|d", "(a|b)c", "d", ""),
        ("[|]x|d", "[|]x", "d", ""),
        ("[)|]x|d(", "[)|]x", "d(", ""),
        (r"a\|b|c\|d", r"a\|b", "c|d", ""),
        (r"s/https:\/\/a/https:\/\/b/g", r"https:\/\/a", "https://b", "g"),
        (r"s#a\#b#c\#d#", "a#b", "c#d", ""),
        (r"s/a\\/b/", r"a\\", "b", ""),
        ("s/a|b/c/", "a|b", "c", ""),
        # what looks like the form of sed, and is not
        ("s://a:80|s://b:80", "s://a:80", "s://b:80", ""),
        ("s?://a|x", "s?://a", "x", ""),
        ("s|x", "s", "x", ""),
        ("http|", "http", "", ""),
        ("s/a//", "a", "", ""),
    ],
)
def test_the_parts_of_a_substitution(text: str, pattern: str, replacement: str, modifiers: str) -> None:
    wanted = URLSubstitution(pattern=pattern, replacement=replacement, modifiers=modifiers)
    assert read(text) == (wanted, ())


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (".*", "here: must have the form regex|replacement or s/regex/replacement/modifiers, with \\| for"),
        ("a|b|c", "here: must have the form"),
        ("(a|b", "here: must have the form"),
        (
            "s/https://a/https://b/",
            "here: must have the form regex|replacement or s/regex/replacement/modifiers, with \\/ for",
        ),
        ("s/a/b|c", "here: must have the form"),
        ("s/a/b/1", "here: must have the form"),
        ("|x", "here: has an empty regex"),
        ("s//x/", "here: has an empty regex"),
        ("s/a/b/gx", "here: the modifier x is not one of g, i, m, s, u, y"),
        ("a|" + "b" * MAX_SUBSTITUTION, f"here: has {MAX_SUBSTITUTION + 2} characters, more than"),
        (1, "here: must be text, not a number"),
    ],
)
def test_what_is_not_a_substitution_is_told_with_its_place(text: object, mistake: str) -> None:
    found, (told,) = read(text)
    assert found is None
    assert told.startswith(mistake)


def test_one_with_templates_is_judged_when_they_are_replaced() -> None:
    assert read("{{ PATTERN }}") == (None, ())


def test_it_is_a_member_of_http_requests_alone() -> None:
    http = parse(api_test("http", STATUS, startUrlSubstitutionRegex="a|b"))
    assert http.url_substitution == URLSubstitution(pattern="a", replacement="b")
    assert (
        parse(
            api_test(
                "tcp",
                {"type": "responseTime", "operator": "lessThan", "target": 1},
                host="a",
                startUrlSubstitutionRegex="a",
            )
        ).url_substitution
        is None
    )
    with pytest.raises(TestError, match=r"^config\.request\.startUrlSubstitutionRegex: must have the form"):
        parse(api_test("http", STATUS, startUrlSubstitutionRegex="a"))
