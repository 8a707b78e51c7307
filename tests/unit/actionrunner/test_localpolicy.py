"""The local policy: default deny, deny wins, conditions on what will be sent, and mistakes with their lines."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from worker.actionrunner.globs import part_glob
from worker.actionrunner.localpolicy import AskedOrder, LocalPolicy
from worker.actionrunner.policyfile import allow_list, policy_of, warnings_of
from worker.actionrunner.rates import BusyError, Usage
from worker.actionrunner.yamlfile import parse_operators_file
from worker.errors import ConfigError

URL = {"when": {"url": {"schemes": ["https"], "hosts": ["crm.internal"], "ports": [443], "paths": ["/api/v1/**"]}}}


def policy(*rules: dict[str, Any]) -> LocalPolicy:
    return policy_of(parse_operators_file(orjson.dumps({"rules": rules}), "policy.yaml", "policyFile"))


def asked(
    action: str, connection: str | None = "crm", client: str = "cli", caller: str = "user/alice", **given: Any
) -> AskedOrder:
    return AskedOrder(action=action, connection=connection, client=client, caller=caller, given=given)


def allowed(made: LocalPolicy, *facts: Any, **given: Any) -> bool:
    return made.judge(asked(*facts, **given)).allowed


def test_nothing_is_allowed_by_default() -> None:
    decision = policy().judge(asked("data.jq"))
    assert not decision.allowed
    assert "data.jq" in decision.remedy


def test_a_deny_wins_wherever_it_stands() -> None:
    deny = {"name": "no", "deny": "http.request", "connections": ["crm"]}
    for rules in (({"name": "all", "allow": "http.*"}, deny), (deny, {"name": "all", "allow": "http.*"})):
        decision = policy(*rules).judge(asked("http.request", url="https://crm.internal/"))
        assert not decision.allowed
        assert decision.rule is not None
        assert decision.rule.name == "no"


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("http.*", "http.request", True),
        ("http.*", "http", False),
        ("*", "http.request", False),
        ("**", "http.request", True),
        ("kubernetes.**", "kubernetes.apps.scale", True),
        ("kubernetes.*", "kubernetes.apps.scale", False),
        ("**.scale", "kubernetes.apps.scale", True),
        ("k*s.a*s.s*", "kubernetes.apps.scale", True),
        ("**.apps.**.x", "a.apps.b.apps.c.x", True),
        ("a.**.b", "a.b", False),
        ("*a*a*a", "a" * 1000 + "b", False),
    ],
)
def test_globs_stay_within_a_part_unless_they_are_two_stars(pattern: str, text: str, expected: bool) -> None:
    assert part_glob(pattern, ".").matches(text) is expected


CONFUSIONS = [
    "https://crm.internal/api/v1/../admin",
    "https://crm.internal/api/v1/%2e%2e/admin",
    "https://crm.internal/api/v1/%2E%2E/admin",
    "https://crm.internal/api/v1/.%2e/admin",
    "https://crm.internal/api/v1/..;/admin",
    "https://crm.internal/api/v1/..;x=1/admin",
    "https://crm.internal/api/v1/%252e%252e/admin",
    "https://crm.internal/api/v1/%25252e%25252e/admin",
    "https://crm.internal/api/v1/x%2f..%2fadmin",
    "https://crm.internal/api/v1/x%2Fadmin",
    "https://crm.internal/api/v1/x%252fadmin",
    "https://crm.internal/api/v1/x%5c..%5cadmin",
    "https://crm.internal/api/v1/x\\..\\admin",
    "https://crm.internal/api/v1//admin",
    "https://crm.internal/api/v1/./admin",
    "https://crm.internal/api/v1/%2e/admin",
    "https://crm.internal//api/v1/x",
    "https://crm.internal/api/v1/x%00",
    "https://crm.internal/api/v1/x%0a",
    "https://crm.internal/api/v1/x%0d%0a",
    "https://crm.internal/api/v1/x%09",
    "https://crm.internal/api/v1",
    "https://crm.internal/api/v1x",
    "https://crm.internal/api/v2/x",
    "https://crm.internal/API/v1/x",
    "https://crm.internal/x/api/v1/x",
    "https://crm.internal/?/api/v1/x",
    "https://crm.internal/#/api/v1/x",
    "https://crm.internal?/api/v1/x",
    "https://crm.internal/;/api/v1/x",
    "https://evil.test/api/v1/x",
    "https://crm.internal.evil.test/api/v1/x",
    "https://evilcrm.internal/api/v1/x",
    "https://crm.internal@evil.test/api/v1/x",
    "https://crm.internal:443@evil.test/api/v1/x",
    "https://evil.test@crm.internal/api/v1/x",
    "https://evil.test#@crm.internal/api/v1/x",
    "https://evil.test?@crm.internal/api/v1/x",
    "https://evil.test\\@crm.internal/api/v1/x",
    "https://crm.internal\\.evil.test/api/v1/x",
    "https://crm.internal%2eevil.test/api/v1/x",
    "https://crm.internal%00.evil.test/api/v1/x",
    "https://crm.internal:8443/api/v1/x",
    "https://crm.internal:80/api/v1/x",
    "https://crm.internal:0443@evil.test/api/v1/x",
    "https://crm.internal:+443/api/v1/x",
    "https://crm.internal:443443/api/v1/x",
    "http://crm.internal:443/api/v1/x",
    "http://crm.internal/api/v1/x",
    "ftp://crm.internal/api/v1/x",
    "file:///api/v1/x",
    "javascript://crm.internal/api/v1/x",
    "//crm.internal/api/v1/x",
    "/api/v1/x",
    "crm.internal/api/v1/x",
    "https:/crm.internal/api/v1/x",
    "https:crm.internal/api/v1/x",
    "https://crm。evil.test/api/v1/x",
    "https://ｃｒｍ.internal.evil/api/v1/x",
    "https://crm.іnternal/api/v1/x",
    "https://[::1]/api/v1/x",
    "https://crm.internal /api/v1/x",
    " https://evil.test/https://crm.internal/api/v1/x",
    "",
]


@pytest.mark.parametrize("url", CONFUSIONS)
def test_no_spelling_of_a_url_slips_through(url: str) -> None:
    """Check 25: what is judged are the parts of the URL that will be sent."""
    assert not allowed(policy({"name": "crm", "allow": "http.request", **URL}), "http.request", url=url)


@pytest.mark.parametrize(
    "url",
    [
        "https://crm.internal/api/v1/x",
        "https://CRM.internal:443/api/v1/x?next=/../admin",
        "https://crm.internal./api/v1/a/b",
        "HTTPS://crm.internal/api/v1/%C3%A9",
        "https://ｃｒｍ.internal/api/v1/x",
    ],
)
def test_other_spellings_of_what_is_allowed_are_allowed(url: str) -> None:
    assert allowed(policy({"name": "crm", "allow": "http.request", **URL}), "http.request", url=url)


def test_conditions_need_their_field_and_hold_for_every_member_of_a_list() -> None:
    made = policy(
        {"name": "q", "allow": "postgresql.namedQuery", "when": {"query": ["by_*"], "params.limit": {"max": 10}}},
        {"name": "bad", "deny": "script.runPredefinedScript", "when": {"parameters.hosts": ["prod*"]}},
        {"name": "s", "allow": "script.runPredefinedScript", "when": {"parameters.hosts": ["*"]}},
    )
    assert allowed(made, "postgresql.namedQuery", query="by_id", params={"limit": 10})
    assert not allowed(made, "postgresql.namedQuery", query="by_id", params={"limit": 11})
    assert not allowed(made, "postgresql.namedQuery", query="by_id", params={"limit": True})
    assert not allowed(made, "postgresql.namedQuery", query="by_id", params={})
    assert not allowed(made, "postgresql.namedQuery", params={"limit": 1})
    assert allowed(made, "script.runPredefinedScript", parameters={"hosts": ["a", "b"]})
    assert not allowed(made, "script.runPredefinedScript", parameters={"hosts": ["a", "prod1"]})
    assert not allowed(made, "script.runPredefinedScript", parameters={"hosts": ["a", 1]})
    assert not allowed(made, "script.runPredefinedScript", parameters={"hosts": []})


def test_callers_clients_and_connections_narrow_a_rule() -> None:
    rule = {"name": "r", "allow": "data.jq", "clients": ["api"], "callers": ["key/ci-*"], "connections": ["a*"]}
    made = policy(rule)
    assert allowed(made, "data.jq", "ab", "api", "key/ci-7")
    for facts in (
        ("b", "api", "key/ci-7"),
        ("ab", "cli", "key/ci-7"),
        ("ab", "api", "key/x"),
        (None, "api", "key/ci-7"),
    ):
        assert not allowed(made, "data.jq", *facts)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"allow": "data.jq"}, "name"),
        ({"name": "r"}, "either `allow` or `deny`"),
        ({"name": "r", "allow": "data.jq", "deny": "data.jq"}, "either `allow` or `deny`"),
        ({"name": "r", "allow": "data.jp"}, "matches none"),
        ({"name": "r", "allow": "http.re**"}, "not a valid glob"),
        ({"name": "r", "allow": "data.jq", "when": {"verb": ["GET"]}}, "not a valid field of data.jq"),
        ({"name": "r", "allow": "postgresql.select", "when": {"sql": ["select *"]}}, "name the queries"),
        ({"name": "r", "allow": "http.request", "when": {"url": ["https://*"]}}, "this value is not of type"),
        ({"name": "r", "allow": "http.request", "when": {"url": {}}}, "schemes, hosts, ports or paths"),
        ({"name": "r", "allow": "http.request", "when": {"verb": {"least": 1}}}, "not a valid condition"),
        ({"name": "r", "allow": "data.jq", "rate": {"max": 1, "per": "1w"}}, "rate.per"),
        ({"name": "r", "allow": "data.jq", "rate": {"max": 1, "per": "1h", "by": ["x"]}}, "not a valid field"),
        ({"name": "r", "allow": "data.jq", "clients": ["browser"]}, "clients"),
        (
            {"name": "r", "allow": "data.jq", "colour": "red"},
            '"colour" is not a valid name: there are name, allow, deny',
        ),
        ({"name": "r", "alow": "data.jq"}, 'rules.0: "alow" is not a valid name: did you mean "allow"?'),
        (
            {"name": "r", "allow": "data.jq", "rate": {"max": 1, "per": "1h", "bye": []}},
            'rules.0.rate: "bye" is not a valid',
        ),
    ],
)
def test_a_rule_that_could_be_misread_is_refused(rule: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        policy(rule)
    assert words in str(caught.value)
    assert "policy.yaml, line 1" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"rules:\n  - {name: a, allow: data.jq}\n  - {name: a, allow: data.jq}\n", "line 3"),
        (b"rules: &x [*x]", "aliases are not taken"),
        (b"rules: []\nrules: []\n", "twice"),
        (b"rules: [", "not valid YAML"),
        (b"rules: !!python/object:os.system []", "kind that is not taken"),
        (b"\xff", "UTF-8"),
        (b"rule: []", "rule"),
    ],
)
def test_a_file_that_could_be_misread_is_refused(text: bytes, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        policy_of(parse_operators_file(text, "policy.yaml", "policyFile"))
    assert words in str(caught.value)


def test_the_allow_list_is_the_reference_systems() -> None:
    made = allow_list(("com.datadoghq.http.request", "com.datadoghq.script.*"))
    assert allowed(made, "http.request", url="https://x.test/")
    assert allowed(made, "http.testConnection")
    assert allowed(made, "script.runPredefinedScript")
    assert not allowed(made, "data.jq")
    assert not allowed(made, "http.request", None, url="https://x.test/")  # no rule says which URLs
    with pytest.raises(ConfigError):
        allow_list(("com.example.http.request",))


def test_a_rule_that_can_never_match_is_warned_of() -> None:
    made = policy({"name": "r", "allow": "data.jq", "connections": ["nowhere"]})
    assert "can never match" in next(warnings_of(made, ["crm"]))


def test_a_rate_counts_each_combination_apart_and_recovers() -> None:
    made = policy({"name": "r", "allow": "data.jq", "rate": {"max": 2, "per": "1m", "by": ["program"]}})
    usage, rule = Usage(), made.rules[0]

    def take(program: str, now: float) -> bool:
        try:
            with usage.taken(asked("data.jq", program=program), rule, {}, now):
                return True
        except BusyError:
            return False

    assert [take("a", 0.0), take("a", 1.0), take("a", 2.0), take("b", 2.0)] == [True, True, False, True]
    assert [take("a", 59.9), take("a", 60.0), take("a", 60.5)] == [False, True, False]


def test_concurrency_is_given_back_whatever_happens() -> None:
    made = policy({"name": "r", "allow": "data.jq"})
    usage, rule = Usage(), made.rules[0]
    with usage.taken(asked("data.jq"), rule, {"crm": 1}, 0.0), pytest.raises(BusyError):
        usage.taken(asked("data.jq"), rule, {"crm": 1}, 0.0).__enter__()
    with pytest.raises(KeyError), usage.taken(asked("data.jq"), rule, {"crm": 1}, 0.0):
        raise KeyError
    with usage.taken(asked("data.jq"), rule, {"crm": 1}, 0.0):
        pass
