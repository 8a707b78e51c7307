"""What was asked, as a result tells it: the first URL with its query, hosts and ports, and no login."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.observed import dns, http, parsed_test, tcp
from worker.apitest.observation import Observation
from worker.apitest.responses.http import HTTPResponse
from worker.outcome.failure import Failure, FailureCode
from worker.outcome.hop import Hop
from worker.outcome.phases import Timings
from worker.work.asked import MAX_URL, asked

REFUSED = Observation(timings=Timings((("tcp", 1),)), failure=Failure(FailureCode.CONNREFUSED, "refused"))


def asked_of(subtype: str, observation: Observation = REFUSED, **request: Any) -> dict[str, Any] | None:
    return asked(
        parsed_test(subtype, {"type": "responseTime", "operator": "lessThan", "target": 1}, **request).request,
        observation,
    )


@pytest.mark.parametrize(
    ("subtype", "request_", "expected"),
    [
        (
            "http",
            {
                "url": "https://ann:pw@Shop.test/a?b=1#c",
                "query": {"d": "e f"},
                "method": "POST",
                "headers": {"X-Key": "k"},
            },
            {"method": "POST", "url": "https://shop.test/a?b=1&d=e%20f"},
        ),
        ("http", {"url": "shop.test/a?key=k"}, {"method": "GET", "url": "shop.test/a?…"}),
        ("tcp", {"host": "shop.test", "port": "8443"}, {"host": "shop.test", "port": 8443}),
        ("ssl", {"host": "a\nb"}, {"host": "a\\nb", "port": 443}),
        ("dns", {"host": "shop.test"}, {"host": "shop.test"}),
        (
            "dns",
            {"host": "shop.test", "dnsServer": "192.0.2.53", "dnsServerPort": "5353"},
            {"host": "shop.test", "dns_server": "192.0.2.53", "dns_server_port": 5353},
        ),
    ],
)
def test_it_is_what_the_request_says(subtype: str, request_: dict[str, Any], expected: dict[str, Any]) -> None:
    assert asked_of(subtype, **request_) == expected


def test_of_a_chain_of_redirects_it_is_the_first_url() -> None:
    page = http()
    assert isinstance(page.response, HTTPResponse)
    hops = tuple(Hop(url=url, status=200, address=None, timings=Timings()) for url in ("http://a/1", "http://b/2"))
    shown = asked_of("http", replace(page, response=replace(page.response, hops=hops)), url="http://a/other")
    assert shown == {"method": "GET", "url": "http://a/1"}


def test_a_long_url_is_cut() -> None:
    shown = asked_of("http", url="http://a/" + "b" * 100_000)
    assert shown is not None
    assert len(shown["url"]) == MAX_URL


@pytest.mark.parametrize("observation", [dns(A=()), tcp("established"), http()])
def test_where_nothing_was_asked_there_is_none(observation: Observation) -> None:
    assert asked(None, observation) is None
    assert asked_of("http", Observation(timings=Timings())) is None
