"""What a person who may not change a test does not read in it; all else stays as it was written."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from controlplane.service.withholding import WITHHELD, without_credentials
from tests.support.definitions import http_test


def document(**request: Any) -> dict[str, Any]:
    written = http_test("Shop")
    written["config"]["request"] |= request
    return written


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"basicAuth": {"username": "ann", "password": "p"}}, {"basicAuth": {"username": "ann", "password": WITHHELD}}),
        (
            {"basicAuth": {"type": "oauth-client", "clientId": "a", "clientSecret": "s"}},
            {"basicAuth": {"type": "oauth-client", "clientId": "a", "clientSecret": WITHHELD}},
        ),
        (
            {"basicAuth": {"type": "sigv4", "accessKey": "a", "secretKey": "s", "sessionToken": "t", "region": "r"}},
            {
                "basicAuth": {
                    "type": "sigv4",
                    "accessKey": WITHHELD,
                    "secretKey": WITHHELD,
                    "sessionToken": WITHHELD,
                    "region": "r",
                }
            },
        ),
        (
            {"headers": {"authorization": "Bearer x", "X-Api-Key": "x", "Cookie": "a=b", "Accept": "text/html"}},
            {"headers": {"authorization": WITHHELD, "X-Api-Key": WITHHELD, "Cookie": WITHHELD, "Accept": "text/html"}},
        ),
        ({"headers": {"Authorization": "Bearer {{ T }}"}}, {"headers": {"Authorization": "Bearer {{ T }}"}}),
        ({"headers": {"Authorization": "{{ T }}x"}}, {"headers": {"Authorization": WITHHELD}}),
        ({"basicAuth": {"password": "{{ PASSWORD }}"}}, {"basicAuth": {"password": "{{ PASSWORD }}"}}),
        ({"basicAuth": {"password": ""}}, {"basicAuth": {"password": ""}}),
        ({"headers": {"X-Token": ["a"]}}, {"headers": {"X-Token": WITHHELD}}),
        ({"url": "https://ann:p@shop.test/a:b@c"}, {"url": f"https://{WITHHELD}@shop.test/a:b@c"}),
        ({"url": "https://shop.test/a:b@c"}, {"url": "https://shop.test/a:b@c"}),
        (
            {"proxy": {"url": "http://a:p@proxy.test", "headers": {"Proxy-Authorization": "x"}}},
            {"proxy": {"url": f"http://{WITHHELD}@proxy.test", "headers": {"Proxy-Authorization": WITHHELD}}},
        ),
        ({"basicAuth": 7, "headers": [], "proxy": None, "url": None}, {"basicAuth": 7, "headers": [], "url": None}),
    ],
)
def test_credentials_of_a_request_are_withheld(request_: dict[str, Any], expected: dict[str, Any]) -> None:
    written = document(**request_)
    before = copy.deepcopy(written)
    shown = without_credentials(written)
    assert written == before
    assert shown["config"]["request"].items() >= expected.items()
    rest = {name: value for name, value in written.items() if name != "config"}
    assert {name: value for name, value in shown.items() if name != "config"} == rest


def test_each_step_is_looked_into() -> None:
    request = {"url": "https://shop.test", "basicAuth": {"password": "p"}}
    shown = without_credentials({"config": {"steps": [{"request": request}, {"request": request}, "x"]}})
    assert [step["request"]["basicAuth"] for step in shown["config"]["steps"][:2]] == [{"password": WITHHELD}] * 2
