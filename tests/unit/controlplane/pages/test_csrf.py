"""Tokens of forms, and what browsers say about where a form came from."""

from __future__ import annotations

import base64

import pytest

from controlplane.pages import csrf

OWN = ("https://plane.example/path",)


def test_a_token_is_good_for_its_visitor_alone() -> None:
    made = csrf.token("a cookie")
    assert csrf.is_token("a cookie", made)
    assert not csrf.is_token("another cookie", made)


def test_no_two_tokens_have_anything_in_common() -> None:
    raw = [base64.urlsafe_b64decode(csrf.token("a cookie")) for _ in range(50)]
    for position in range(64):
        assert len({token[position] for token in raw}) > 1


@pytest.mark.parametrize("change", range(0, 64, 7))
def test_a_changed_token_is_good_for_nobody(change: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(csrf.token("a cookie")))
    raw[change] ^= 1
    assert not csrf.is_token("a cookie", base64.urlsafe_b64encode(raw).decode())


@pytest.mark.parametrize("text", ["", "x", "ä", "=" * 88, "A" * 88, "A" * 10_000])
def test_what_is_no_token_is_refused(text: str) -> None:
    assert not csrf.is_token("a cookie", text)


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),
        ({"Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Origin": "http://127.0.0.1:8080"}, False),
        ({"Origin": "https://PLANE.example"}, False),
        ({"Origin": "https://plane.example:8443"}, True),
        ({"Origin": "https://plane.example.evil.example"}, True),
        ({"Origin": "null"}, True),
        ({"Origin": ""}, True),
        ({"Origin": "https://plane.example", "Sec-Fetch-Site": "cross-site"}, True),
    ],
)
def test_a_form_is_foreign_where_the_browser_says_so(headers: dict[str, str], foreign: bool) -> None:
    assert csrf.is_foreign(headers, "127.0.0.1:8080", OWN) is foreign
