"""Every type of assertion with every operator that it takes, holding and not holding: the table of the language against this one.

What each operator means in detail is in the tests of its type. Here nothing that the language has may be without an example of
both verdicts: a new operator fails this module until it has them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.definitions import json_path, json_schema, xpath
from tests.support.observed import dns, http, judged, ssl, tcp
from worker.apitest.assertion import CONTENT_OPERATORS, ORDER_OPERATORS, Elements
from worker.apitest.observation import Observation
from worker.apitest.protocols.table import PROTOCOLS

BODY = b'{"name": "shop", "size": 5, "tags": ["a", "b"]}'
PAGE = http(BODY, headers=[("X-Name", "shop"), ("X-Size", "5")])
DOCUMENT = http(b"<shop><name>shop</name><size>5</size></shop>", "text/xml")
RECORDS = dns(A=("192.0.2.1", "192.0.2.2"))
CERTIFICATE = ssl(days=30, protocol="TLSv1.2", lowest="TLSv1.1")

TEXT = {
    "contains": ("hop", "shoe"),
    "doesNotContain": ("shoe", "hop"),
    "is": ("shop", "Shop"),
    "isNot": ("Shop", "shop"),
    "matches": ("^s.op$", "^op"),
    "doesNotMatch": ("^op", "^s.op$"),
}
"""Operator → a target that the text `shop` satisfies, and one that it does not."""
ORDER = {
    "lessThan": (6, 5),
    "lessThanOrEqual": ("5", 4),
    "moreThan": (4.5, "5"),
    "moreThanOrEqual": (5, 5.1),
}
"""The same for the number 5."""
SUBJECTS: dict[tuple[str, str], tuple[Observation, str | None, dict[str, tuple[Any, Any]]]] = {
    ("http", "header"): (PAGE, "x-name", TEXT | {"doesNotExist": ("x-other", "x-name")}),
    ("http", "header of a number"): (PAGE, "x-size", ORDER),
    ("http", "body"): (http(b"shop", "text/plain"), None, TEXT),
    ("http", "statusCode"): (
        PAGE,
        None,
        {"is": ("200", 201), "isNot": (500, 200), "matches": ("20[04]", "5.."), "doesNotMatch": ("5..", "^2")},
    ),
    ("http", "responseTime"): (PAGE, None, {"lessThan": (52.8, 52.7)}),
    ("tcp", "connection"): (tcp("refused"), None, {"is": ("refused", "established")}),
    ("tcp", "responseTime"): (tcp("established"), None, {"lessThan": ("3.1", 3)}),
    ("dns", "recordEvery"): (
        RECORDS,
        "A",
        {
            "is": (None, "192.0.2.1"),
            "contains": ("192.0.2.", "0.2.1"),
            "matches": (r"^192\.0\.2\.\d$", r"\.1$"),
            "doesNotMatch": (r"^10\.", r"\.1$"),
        },
    ),
    ("dns", "recordSome"): (
        RECORDS,
        "A",
        {
            "is": ("192.0.2.1", "192.0.2.3"),
            "contains": ("0.2.1", "0.2.3"),
            "matches": (r"\.1$", r"\.3$"),
            "doesNotMatch": (r"\.1$", r"^192"),
        },
    ),
    ("dns", "responseTime"): (RECORDS, None, {"lessThan": (14.6, 14.5)}),
    ("ssl", "certificate"): (CERTIFICATE, None, {"isInMoreThan": (29, 30), "isInLessThan": (31, "30")}),
    ("ssl", "property"): (
        CERTIFICATE,
        "subject.O",
        TEXT
        | {"is": ("Shop", "shop"), "isNot": ("shop", "Shop")}
        | {"matches": ("^S.op$", "^op"), "doesNotMatch": ("^op", "^S.op$")},
    ),
    ("ssl", "tlsVersion"): (
        CERTIFICATE,
        None,
        {
            "is": (1.2, 1.3),
            "lessThan": (1.3, 1.2),
            "lessThanOrEqual": ("1.2", 1.1),
            "moreThan": (1.1, 1.2),
            "moreThanOrEqual": (1.2, "1.3"),
        },
    ),
    ("ssl", "minTlsVersion"): (CERTIFICATE, None, {"moreThan": (1.0, 1.1), "moreThanOrEqual": (1.1, 1.2)}),
    ("ssl", "responseTime"): (CERTIFICATE, None, {"lessThan": (6.1, 6)}),
}


def plain() -> Iterator[tuple[str, Observation, dict[str, Any], bool]]:
    """Subtype, observation, assertion, whether it holds."""
    for (subtype, name), (observation, asked, operators) in SUBJECTS.items():
        for operator, targets in operators.items():
            for target, valid in zip(targets, (True, False), strict=True):
                assertion: dict[str, Any] = {"type": name.partition(" ")[0], "operator": operator}
                if operator == "doesNotExist":
                    yield subtype, observation, assertion | {"property": target}, valid
                elif target is not None:
                    yield subtype, observation, assertion | {"property": asked, "target": target}, valid
    yield (
        "dns",
        dns(A=("192.0.2.1",)),
        {"type": "recordEvery", "operator": "is", "property": "A", "target": "192.0.2.1"},
        True,
    )


def of_paths() -> Iterator[tuple[str, Observation, dict[str, Any], bool]]:
    for operator, (holding, failing) in (TEXT | ORDER).items():
        name = "name" if operator in TEXT else "size"
        for target, valid in ((holding, True), (failing, False)):
            yield "http", PAGE, json_path(f"$.{name}", operator, target), valid
            yield "http", DOCUMENT, xpath(f"/shop/{name}", operator, target), valid
    for valid, word in ((True, "other"), (False, "name")):
        yield "http", PAGE, json_path(f"$.{word}", "isUndefined"), valid
        yield "http", DOCUMENT, xpath(f"//{word}", "isUndefined"), valid
    for elements, (holding, failing) in {
        "firstElementMatches": ("a", "b"),
        "everyElementMatches": ("[ab]", "a"),
        "atLeastOneElementMatches": ("b", "c"),
        "serializationMatches": ('^."a","b".$', "^a"),
    }.items():
        for target, valid in ((holding, True), (failing, False)):
            yield "http", PAGE, json_path("$.tags[*]", "matches", target, elements), valid


def composed() -> Iterator[tuple[str, Observation, dict[str, Any], bool]]:
    yield from of_paths()
    for dialect in ("draft-06", "draft-07", "draft-2019-09", "2019-09", "draft-2020-12", "2020-12", None):
        yield "http", PAGE, json_schema('{"required": ["name"]}', dialect), True
        yield "http", PAGE, json_schema('{"required": ["price"]}', dialect), False
    for algorithm in ("md5", "sha1", "sha256"):
        digest = hashlib.new(algorithm, BODY).hexdigest()
        for target, valid in ((digest, True), (digest[:-1], False)):
            yield "http", PAGE, {"type": "bodyHash", "operator": algorithm, "target": target}, valid
    yield "http", PAGE, {"type": "javascript", "code": "dd.expect(dd.response.statusCode).to.equal(200)"}, True
    yield "http", PAGE, {"type": "javascript", "code": "dd.expect(dd.response.statusCode).to.equal(500)"}, False


EVERYTHING = [*plain(), *composed()]


@pytest.mark.parametrize(("subtype", "observation", "assertion", "valid"), EVERYTHING)
def test_it_holds_or_does_not(subtype: str, observation: Observation, assertion: dict[str, Any], valid: bool) -> None:
    assert subtype in PROTOCOLS
    result = judged(observation, assertion)
    assert (result.valid, result.error_message is None) == (valid, valid), result


def test_nothing_of_the_language_is_without_both_verdicts() -> None:
    language = {
        (protocol.name, name, operator, valid)
        for protocol in PROTOCOLS.values()
        for name, kind in protocol.assertions.items()
        for operator in (*(each.value for each in kind.operators), *kind.composed, *([None] if kind.read_whole else []))
        for valid in (True, False)
        if kind.missing is None
    }
    assert {(subtype, each["type"], each.get("operator"), valid) for subtype, _, each, valid in EVERYTHING} == language


def test_nothing_within_a_path_is_without_both_verdicts() -> None:
    found = {
        (each["operator"], each["target"]["operator"], valid)
        for _, _, each, valid in EVERYTHING
        if "Path" in str(each.get("operator"))
    }
    inner = [*(each.value for each in (*CONTENT_OPERATORS, *ORDER_OPERATORS)), "isUndefined"]
    paths = ("validatesJSONPath", "validatesXPath")
    assert found == {(path, operator, valid) for path in paths for operator in inner for valid in (True, False)}
    elements = {
        (each["target"].get("elementsOperator"), valid)
        for _, _, each, valid in EVERYTHING
        if each.get("operator") == paths[0]
    }
    assert elements >= {(each.value, valid) for each in Elements for valid in (True, False)}
