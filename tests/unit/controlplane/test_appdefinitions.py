"""Apps as they are written: what may be said, what is made whole, and who may use one."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from controlplane.commands import yamltext
from controlplane.errors import UnusableError
from controlplane.service.appdefinitions import read_app, stored_app
from controlplane.service.mintrates import MintRates
from tests.support.checkout import ROOT
from tests.support.clock import FakeClock
from tests.support.pushplane import DESK


def desk(**query: Any) -> dict[str, Any]:
    return {**DESK, "queries": {"customer": {**DESK["queries"]["customer"], **query}}}


def test_an_app_is_made_whole() -> None:
    made = read_app(
        desk(action="com.datadoghq.postgresql.namedQuery", input={"query": "q", "params": {"a": {"$param": "id"}}})
    )
    query = made.queries["customer"]
    assert query.action == "postgresql.namedQuery"
    assert query.params["additionalProperties"] is False
    assert (query.show, query.timeout_s, query.asks_first) == ("json", 30.0, False)


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ({**DESK, "name": "Desk"}, "$.name"),
        ({**DESK, "allow": []}, "$.allow"),
        ({**DESK, "allow": ["alice"]}, "$.allow"),
        ({**DESK, "queries": {}}, "$.queries"),
        ({**DESK, "more": 1}, "more"),
        ({name: value for name, value in DESK.items() if name != "runner"}, "runner"),
        (desk(show="html"), "show"),
        (desk(effect="maybe"), "effect"),
        (desk(timeout_s=0), "timeout_s"),
        (desk(params={"properties": {"id": {"$ref": "#"}}}), "queries.customer.params.properties.id.type"),
        (desk(input={"program": {"$param": "id"}}), "queries.customer.input.program"),
        (desk(input={"value": {"$param": "other"}}), "'other'"),
        (desk(input={"url": "https://{{ params.id }}/"}), "queries.customer.input.url"),
        (desk(input={"value": "x" * 50_000}), "larger"),
        ([], "object"),
    ],
)
def test_a_mistake_has_its_place(written: Any, place: str) -> None:
    with pytest.raises(UnusableError, match="is not a valid app") as refused:
        read_app(written)
    assert place in str(refused.value)


@pytest.mark.parametrize(
    ("query", "asks"),
    [
        ({"action": "http.request", "input": {"verb": "GET"}}, False),
        ({"action": "http.request", "input": {"verb": "POST"}}, True),
        ({"action": "http.request", "input": {"verb": "POST"}, "effect": "repeat"}, False),
        ({"action": "script.runPredefinedScript", "input": {"scriptName": "restart"}}, True),
        ({"action": "postgresql.namedQuery", "input": {"query": "q"}}, False),
        ({"action": "postgresql.namedQuery", "input": {"query": "q"}, "effect": "once"}, True),
    ],
)
def test_what_must_not_happen_twice_is_asked_first(query: dict[str, Any], asks: bool) -> None:
    assert read_app(desk(**query)).queries["customer"].asks_first is asks


@pytest.mark.parametrize(
    ("caller", "lets"),
    [
        ("user/alice@corp.example", True),
        ("user/a.b@corp.example", True),
        ("user/alice@corp.example.evil", False),
        ("user/alice@corpXexample", False),
        ("key/alice@corp.example", False),
    ],
)
def test_an_app_is_for_those_whom_it_names(caller: str, lets: bool) -> None:
    assert read_app(DESK).lets(caller) is lets


def test_what_is_stored_is_read_as_it_was() -> None:
    made = read_app(DESK)
    assert stored_app(msgspec.json.encode(made)) == made


async def test_one_person_gets_ten_tokens_a_second() -> None:
    clock = FakeClock()
    rates = MintRates(clock)
    assert [rates.take("alice") for _ in range(11)] == [True] * 10 + [False]
    assert rates.take("bob")
    await clock.advance(0.1)
    assert [rates.take("alice") for _ in range(2)] == [True, False]
    await clock.advance(60)
    assert [rates.take("alice") for _ in range(11)] == [True] * 10 + [False]


def test_the_guide_s_app_is_one() -> None:
    guide = (ROOT / "docs" / "actions.md").read_text()
    [block] = re.findall(r"```yaml\n# customer-desk.yaml\n(.*?)```", guide, re.DOTALL)
    [document] = yamltext.read(block.encode())
    assert read_app(document.value).queries["customer"].show == "table"
