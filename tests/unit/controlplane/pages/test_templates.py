"""Templates: whatever they show is text, and a name that is missing is an error."""

from __future__ import annotations

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from controlplane.pages import formats
from controlplane.pages.environment import environment

HOSTILE = {
    "<script>alert(1)</script>": "&lt;script&gt;alert(1)&lt;/script&gt;",
    '" onload="x': "&#34; onload=&#34;x",
    "a\u202etxt.exe": "a\\u202etxt.exe",
    "\x00\x1b[31m\x7f": "\\x00\\x1b[31m\\x7f",
    "lone \ud800 surrogate": "lone \\ud800 surrogate",
    "zero\u200bwidth\u2066": "zero\\u200bwidth\\u2066",
    "two\nlines\tkept": "two\nlines\tkept",
    "grüße 日本 1\xa0000": "grüße 日本 1\xa0000",
}


@pytest.mark.parametrize(("text", "shown"), HOSTILE.items())
def test_a_value_is_text_whatever_is_in_it(text: str, shown: str) -> None:
    made = environment().from_string("<p>{{ text }}</p>").render(text=text)
    assert made == f"<p>{shown}</p>"
    made.encode()


def test_markup_that_our_own_code_made_stays() -> None:
    assert environment().from_string("{{ chart }}").render(chart=Markup("<svg></svg>")) == "<svg></svg>"


def test_a_name_that_nothing_has_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        environment().from_string("{{ missing }}").render()


def test_every_template_compiles() -> None:
    names = environment().list_templates()
    assert "base.html" in names
    for name in names:
        environment().get_template(name)


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [
        (None, "–"),
        (0, "0 ms"),
        (12.34, "12.3 ms"),
        (999, "999 ms"),
        (1_500, "1.5 s"),
        (59_000, "59 s"),
        (90_000, "1.5 min"),
        (7_200_000, "2 h"),
        (864_000_000, "10 d"),
    ],
)
def test_a_span_is_in_its_largest_unit(milliseconds: float | None, shown: str) -> None:
    assert formats.span(milliseconds) == shown


def test_moments_are_utc() -> None:
    assert formats.moment(1_700_000_000_999) == "2023-11-14 22:13:20 UTC"
    assert formats.machine_moment(1_700_000_000_999) == "2023-11-14T22:13:20Z"
    assert formats.moment(None) == "never"
    assert formats.ago(1_000, 1_500) == "just now"
    assert formats.ago(1_000, 61_000) == "1 min ago"
    assert formats.ago(None, 5) == "never"
