"""URLs of control planes and of runners: what is taken, and what would be more than a URL where it is put."""

from __future__ import annotations

import pytest

from controlplane import baseurl
from controlplane.errors import UnusableError


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("https://cp.example.com/", "https://cp.example.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/pl/", "http://[::1]:8080/pl"),
        ("https://xn--mnchen-3ya.example/a%20b", "https://xn--mnchen-3ya.example/a%20b"),
        ("http://control_plane:1", "http://control_plane:1"),
    ],
)
def test_a_url_is_read(url: str, read: str) -> None:
    assert baseurl.read(url) == read


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cp.example.com",
        "ftp://cp.example.com",
        "https://",
        "https://cp.example.com:0",
        "https://cp.example.com:70000",
        "https://user@cp.example.com",
        "https://@cp.example.com",
        "https://cp.example.com/?x",
        "https://cp.example.com/#x",
        "https://cp.example.com; script-src *",
        "https://cp.example.com *",
        "https://cp.example.com,evil.example",
        "https://münchen.example",
        "https://[::1/",
        "https://cp.example.com/a b",
        "https://cp.example.com/\r\nX: y",
    ],
)
def test_what_is_more_or_less_than_that_is_refused(url: str) -> None:
    with pytest.raises(UnusableError, match="is not a valid URL"):
        baseurl.read(url)
