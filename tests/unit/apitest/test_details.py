"""A result as a block for people: pinned to the character, in 80 columns, and harmless whatever JSON it is of."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.outcomes import HOSTILE, incorrect, outcome
from worker.apitest.details import MAX_ASSERTIONS, MAX_STEPS, block
from worker.text import printable


def test_a_passed_run_in_full() -> None:
    shown = outcome(
        dns_resolution={
            "server": "192.0.2.53",
            "resolved_ip": "2001:db8::1",
            "resolved_port": 443,
            "attempts": [{"ip": "192.0.2.1", "port": 443, "elapsed": 0.3, "error": "refused"}],
        },
        response={
            "status_code": 200,
            "http_version": "1.1",
            "body_size": 187,
            "redirects": [{"status_code": 301, "location": "https://shop.test/"}],
            "handshake": {"protocol": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384"},
            "certificate": {
                "subject": {"CN": "shop.test", "O": "Shop"},
                "issuer": {"O": "Example", "OU": "CA"},
                "valid": {"from": 1767225600000, "to": 1798761600000},
            },
        },
    )
    assert block(shown, width=80).splitlines() == [
        "✓ passed  Shop                                34.7 ms",
        "    dns        10.9 ms  █████████████████",
        "    tcp         2.4 ms                   ████",
        "    firstByte  21.2 ms                       ██████████████████████████████████",
        "    download    0.2 ms                                                         █",
        "    tried       192.0.2.1:443: refused",
        "    address     [2001:db8::1]:443, looked up by 192.0.2.53",
        "    redirect    301 to https://shop.test/",
        "    TLS         TLSv1.3, TLS_AES_256_GCM_SHA384",
        "    certificate shop.test, issued by O=Example, OU=CA",
        "    valid       2026-01-01 00:00 UTC to 2027-01-01 00:00 UTC",
        "    response    200, HTTP/1.1, 187 bytes",
        "    ✓ responseTime lessThan 2000 (actual 52.7)",
    ]


def test_what_is_wrong_with_a_certificate_is_told_beside_its_dates() -> None:
    response = {
        "certificate": {
            "subject": {"CN": "shop.test", "altName": "DNS:shop.test, DNS:www.shop.test"},
            "issuer": {"CN": "Example CA"},
            "valid": {"from": 1767225600000, "to": 1798761600000},
            "days_left": 34.21,
        },
        "certificate_fault": {"code": "CERT_HAS_EXPIRED", "message": "certificate has expired"},
        "ocsp": {"status": "unknown", "reason": "nothing answers"},
    }
    assert block(outcome(response=response, assertions=[], timings={})).splitlines()[1:] == [
        "    certificate shop.test, issued by Example CA",
        "    valid       2026-01-01 00:00 UTC to 2027-01-01 00:00 UTC, 34.21 days left",
        "    names       DNS:shop.test, DNS:www.shop.test",
        "    fault       CERT_HAS_EXPIRED: certificate has expired",
        "    revocation  unknown, nothing answers",
    ]


def test_the_answer_of_a_name_server_is_told_record_set_by_record_set() -> None:
    records = [
        {"type": "A", "values": ["192.0.2.1", "192.0.2.2"], "rcode": "NOERROR", "ttl": 60},
        {"type": "MX", "values": [], "rcode": "NXDOMAIN"},
    ]
    lines = block(outcome(response={"records": records}, assertions=[], timings={})).splitlines()
    assert lines[1:] == ["    records     A 192.0.2.1, 192.0.2.2", "    records     MX NXDOMAIN"]


def test_an_assertion_that_does_not_hold_says_expected_and_actual() -> None:
    lines = block(incorrect()).splitlines()
    assert lines[0] == (
        "✗ failed  Shop                                34.7 ms  INCORRECT_ASSERTION: 1 of 2 assertions does not hold"
    )
    assert lines[5:] == [
        "    response    200",
        "    ✓ responseTime lessThan 2000 (actual 52.7)",
        "    ✗ header content-type contains json",
        "        expected    json",
        "        actual      text/html",
        "        reason      header content-type does not contain 'json'",
    ]


def test_the_lines_that_a_script_wrote_stand_below_it() -> None:
    row = {"type": "javascript", "expected": "1", "actual": None, "valid": True, "log": "a\x1b[31m\n\nb"}
    lines = block(outcome(assertions=[row], timings={})).splitlines()
    at = next(index for index, line in enumerate(lines) if "javascript 1" in line)
    assert [line.split() for line in lines[at + 1 :]] == [["log", "a\\x1b[31m"], ["log"], ["log", "b"]]


def test_scripts_and_schemas_are_named_by_their_beginning_and_told_once() -> None:
    code = "const body = JSON.parse(dd.response.body);\nconst found = body.items;\ndd.expect(found).to.have.length(2);"
    rows = [
        {"type": "javascript", "expected": code, "actual": None, "valid": False, "error_message": "expected 1 to be 2"},
        {"type": "body", "operator": "validatesJSONSchema", "expected": '{"type": "object"}', "valid": False},
    ]
    assert block(outcome(assertions=rows, timings={}, response=None)).splitlines()[1:] == [
        "    ✗ javascript const body = JSON.parse(dd.response.body); const found = bo…",
        "        reason      expected 1 to be 2",
        '    ✗ body validatesJSONSchema {"type": "object"}',
    ]


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"method": "GET", "url": "http://shop.test/?a=1"}, "GET http://shop.test/?a=1"),
        ({"host": "shop.test", "port": 443}, "shop.test:443"),
        ({"host": "shop.test"}, "shop.test"),
        ({"host": "a.test", "dns_server": "192.0.2.53", "dns_server_port": 53}, "a.test at 192.0.2.53:53"),
    ],
)
def test_what_was_asked_is_told_and_how_often(request_: dict[str, Any], told: str) -> None:
    shown = outcome(assertions=[], timings={}, response=None, request=request_, retries=2)
    assert block(shown).splitlines()[1:] == [
        f"    request     {told}",
        "    executions  3, of which the last decides",
    ]


def test_the_place_of_an_attempt_is_said_once() -> None:
    attempt = {"ip": "192.0.2.1", "port": 80, "error": "192.0.2.1:80: refused"}
    shown = outcome(assertions=[], timings={}, response=None, dns_resolution={"attempts": [attempt]})
    assert block(shown).splitlines()[1:] == ["    tried       192.0.2.1:80: refused"]


def test_a_failure_of_another_kind_says_its_reason() -> None:
    failure = {"code": "DNS", "message": "no such name"}
    shown = outcome(status="failed", failure=failure, assertions=[], timings={}, response=None)
    assert block(shown) == "✗ failed  Shop                                DNS: no such name"


def test_steps_are_rows_and_those_that_failed_are_told_in_full() -> None:
    login = outcome("", subtype="http", variables={"extracted": [{"name": "TOKEN", "val": "abc"}]}) | {"name": "Log in"}
    order = incorrect() | {"name": "Order", "allow_failure": True, "timings": {"dns": 1.0, "total": 1.0}}
    nested = {"name": "Subtest", "status": "passed", "steps": [login]}
    shown = outcome(
        status="failed",
        failure={"code": "INCORRECT_ASSERTION", "message": "the step Order failed"},
        assertions=[],
        timings={},
        response=None,
        steps=[login, order, nested, {"name": "Pay", "status": "skipped"}],
    )
    assert block(shown, width=70).splitlines() == [
        "✗ failed  Shop                                INCORRECT_ASSERTION: the",
        "    step Order failed",
        "    1 Log in  34.7 ms  █████████████████████████████████████████████",
        "    2 Order    1.0 ms                                               ██",
        "     1 ✓ passed  Log in                              34.7 ms",
        "        extracted   TOKEN = abc",
        "     2 ✗ failed  Order (may fail)                    1.0 ms",
        "        INCORRECT_ASSERTION: 1 of 2 assertions does not hold",
        "        dns  1.0 ms  █████████████████████████████████████████████████",
        "        response    200",
        "        ✓ responseTime lessThan 2000 (actual 52.7)",
        "        ✗ header content-type contains json",
        "            expected    json",
        "            actual      text/html",
        "            reason      header content-type does not contain 'json'",
        "     3 ✓ passed  Subtest",
        "         1 ✓ passed  Log in                              34.7 ms",
        "            extracted   TOKEN = abc",
        "     4 ○ skipped Pay",
    ]


def test_trouble_of_the_worker_is_told_apart() -> None:
    assert block(outcome(unhealthy="late loop")).splitlines()[1] == "    unhealthy   late loop"


def test_colour_is_for_those_who_ask_and_changes_no_character() -> None:
    shown = incorrect()
    coloured = block(shown, colour=True, width=80)
    assert coloured.startswith("\033[31m✗ failed \033[0m Shop")
    for code in ("31", "32", "36", "2"):
        coloured = coloured.replace(f"\033[{code}m", "")
    assert coloured.replace("\033[0m", "") == block(shown, width=80)
    assert "\033" not in block(shown, width=80)


@pytest.mark.parametrize("width", [40, 80, 100, 300])
def test_no_line_with_blanks_in_it_is_wider_than_the_terminal(width: int) -> None:
    shown = incorrect("word " * 12) | {"unhealthy": "word " * 40}
    assert max(map(len, block(shown, width=width).splitlines())) <= width


def test_what_there_are_too_many_of_is_counted() -> None:
    many = outcome(assertions=[{"type": "body", "valid": True}] * 60, steps=[{"name": "s", "status": "passed"}] * 70)
    lines = block(many).splitlines()
    assert f"    and {60 - MAX_ASSERTIONS} more assertions" in lines
    assert lines[-1] == f"    and {70 - MAX_STEPS} more steps"


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_foreign_begins_a_line_or_commands_a_terminal(text: str) -> None:
    everything: dict[str, Any] = {
        "test": {"name": text},
        "status": "failed",
        "failure": {"code": text, "message": text},
        "timings": {"dns": 1.0, "total": 1.0},
        "assertions": [{"type": text, "operator": text, "expected": text, "actual": text, "valid": False}],
        "dns_resolution": {"server": text, "resolved_ip": text, "attempts": [{"ip": text, "error": text}]},
        "response": {
            "status_code": text,
            "http_version": text,
            "records": [{"type": text, "values": [text]}],
            "redirects": [{"status_code": text, "location": text}],
            "handshake": {"protocol": text, "cipher": text},
            "certificate": {"subject": {text: text}, "issuer": text},
            "certificate_fault": {"code": text, "message": text},
            "ocsp": {"status": text, "source": text, "reason": text},
        },
        "variables": {"extracted": [{"name": text, "value": text}]},
        "unhealthy": text,
    }
    everything["steps"] = [dict(everything) | {"name": text}]
    lines = block(everything).split("\n")
    assert all(line.isprintable() for line in lines)
    assert [line for line in lines if line.lstrip().startswith(printable(text)[:2])] == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([10**400]) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
MEMBERS = [*outcome(), "steps", "variables"]


@given(
    st.dictionaries(st.sampled_from(MEMBERS), json_values, max_size=8),
    st.dictionaries(
        st.sampled_from(
            ["certificate", "certificate_fault", "handshake", "ocsp", "redirects", "records", "status_code"]
        ),
        json_values,
    ),
)
def test_any_json_is_told_in_harmless_lines(members: dict[str, Any], response: dict[str, Any]) -> None:
    for shown in (members, members | {"response": response, "steps": [members]}):
        assert all(line.isprintable() for line in block(shown, width=80).split("\n"))
