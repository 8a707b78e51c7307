"""The proxy as a value: read from its URL, shown without its credentials, passed by for the hosts on its list."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import pytest

from worker.egress.hosts import Name, parse_host
from worker.egress.proxy import Proxy
from worker.egress.rules import parse_glob
from worker.secret import Secret


@pytest.mark.parametrize(
    ("url", "scheme", "port", "shown"),
    [
        ("http://proxy.example.net:3128", "http", 3128, "http://proxy.example.net:3128"),
        ("http://Proxy.Example.net", "http", 80, "http://proxy.example.net:80"),
        ("https://192.0.2.1", "https", 443, "https://192.0.2.1:443"),
        ("socks5://[2001:db8::1]", "socks5", 1080, "socks5://[2001:db8::1]:1080"),
    ],
)
def test_a_proxy_is_read_from_its_url(url: str, scheme: str, port: int, shown: str) -> None:
    proxy = Proxy.parse(Secret(url))
    assert (proxy.scheme, proxy.port, str(proxy)) == (scheme, port, shown)
    assert (proxy.username, proxy.password) == (None, None)


def test_credentials_are_decoded_and_never_shown() -> None:
    proxy = Proxy.parse(Secret("http://d%6fmain%5Cops:p%40ss%3Aw%2Frd@proxy.example.net:3128"))
    assert proxy.username == Secret("domain\\ops")
    assert proxy.password == Secret("p@ss:w/rd")
    assert "ops" not in str(proxy)
    assert "p@ss" not in repr(proxy)
    assert "ops" not in repr(proxy)


@pytest.mark.parametrize("password", ["a#b", "a?b", "a/b", "a[b", "a]b", "[::1]", "a@b", "a:b", "#?/[@:", "100%", "é"])
def test_a_password_may_hold_what_a_url_would_have_encoded(password: str) -> None:
    for written in (password, quote(password, safe="")):
        proxy = Proxy.parse(Secret(f"http://user:{written}@proxy.test:3128"))
        assert (str(proxy), proxy.username) == ("http://proxy.test:3128", Secret("user"))
        assert proxy.password == Secret(password)


def test_a_login_without_a_password_or_name_is_kept_as_it_is() -> None:
    assert Proxy.parse(Secret("http://user@proxy:1")).password is None
    assert Proxy.parse(Secret("http://:word@proxy:1")).username == Secret("")


@pytest.mark.parametrize(
    "url", ["", "proxy:3128", "ftp://hidden-word", "http://", "http://a..b:1", "pac+http://hidden-word/x.pac"]
)
def test_what_is_no_proxy_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="proxy") as caught:
        Proxy.parse(Secret(url))
    assert "hidden-word" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "served"),
    [
        ("example.org", True),
        ("www.example.org", False),
        ("A.B.Example.Org.", False),
        ("bücher.example", False),
        ("10.1.2.3", False),
        ("10.0x10203", False),
        ("192.0.2.1", True),
        ("2001:db8::1", False),
    ],
)
def test_the_bypass_list_is_about_hosts_as_they_are_understood(host: str, served: bool) -> None:
    globs = map(parse_glob, ["*.example.org", "bücher.example", "10.*", "2001:db8::*"])
    proxy = replace(Proxy.parse(Secret("http://proxy")), bypass=tuple(globs))
    assert proxy.serves(parse_host(host)) is served


def test_a_proxy_serves_everything_by_default() -> None:
    assert Proxy.parse(Secret("http://proxy")).serves(Name("localhost"))
