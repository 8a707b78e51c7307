"""Reading workflows: the examples of the documentation, and every mistake with its place."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from controlplane.actions import workflows
from controlplane.errors import UnusableError

RESTART: dict[str, Any] = {
    "name": "restart-checkout",
    "runner": "berlin",
    "params": {"type": "object", "properties": {"service": {"type": "string"}}},
    "triggers": [
        {"test": {"id": "Checkout API", "on": "failed", "after": 2, "cooldown": "15m", "at_most": "3/d"}},
        {"hook": {"verify": "slack", "secret": "SLACK"}, "params": {"service": "{{ trigger.text }}"}},
    ],
    "steps": [
        {
            "name": "restart",
            "action": "com.datadoghq.script.runPredefinedScript",
            "connection": "ops",
            "input": {"scriptName": "restart", "parameters": {"service": "{{ params.service }}"}},
        },
        {
            "name": "verify",
            "action": "checks.run",
            "input": {"test": "Checkout API"},
            "retry": {"times": 3, "wait_s": 5},
        },
        {
            "name": "tell",
            "action": "http.request",
            "on_failure": "continue",
            "input": {"verb": "POST", "url": "/told/{{ params.service }}", "body": "{{ steps.verify.outputs.status }}"},
        },
    ],
}


def test_a_workflow_is_read_and_kept_as_it_is() -> None:
    found = workflows.read(RESTART)
    assert found.steps[0].action == "script.runPredefinedScript"
    assert found.secrets == ("SLACK",)
    test = found.triggers[0].test
    assert test is not None
    assert (test.cooldown_ms, test.rate) == (900_000, (3, 86_400_000))
    assert workflows.decode(workflows.encode(found)) == found


def changed(path: str, value: Any) -> dict[str, Any]:
    """RESTART with another *value* at *path*; without the member where it is `...`."""
    made: Any = copy.deepcopy(RESTART)
    *way, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    inner = made
    for part in way:
        inner = inner[part]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return dict(made)


STEP = {"name": "x", "action": "data.jq"}
ELSEWHERE = "templates may stand in the path and the query of a URL alone"


@pytest.mark.parametrize("url", ["/x?y={{ params.service }}", "https://a:8443/{{ params.service }}/x", "no template"])
def test_a_value_may_stand_in_the_path_and_the_query_of_a_url(url: str) -> None:
    assert workflows.read(changed("steps.2.input.url", url)).steps[2].input["url"] == url


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("name", ..., "missing required field `name`"),
        ("name", "a b", "name: "),
        ("name", "-a", "name: "),
        ("runner", 3, "runner: "),
        ("colour", "red", "unknown field `colour`"),
        ("steps", [], "steps: "),
        ("steps", [STEP | {"name": f"s{n}"} for n in range(21)], "steps: "),
        ("steps.0.name", "verify", "steps[1].name: 'verify'"),
        ("steps.0.action", "rm -rf", "steps[0].action: "),
        ("steps.0.loop", 3, "unknown field `loop`"),
        ("steps.1.retry", {"times": 0}, "retry.times: "),
        ("steps.1.retry", {"times": 11}, "retry.times: "),
        ("steps.1.retry.wait_s", 3601, "retry.wait_s: "),
        ("steps.1.on_failure", "ignore", "on_failure: "),
        ("steps.0.input.parameters.service", "{{ params.other }}", "steps[0].input.parameters.service: 'other'"),
        (
            "steps.0.input.parameters.service",
            "{{ steps.verify.outputs.x }}",
            "steps[0].input.parameters.service: 'verify'",
        ),
        (
            "steps.0.input.parameters.service",
            "{{ steps.restart.outputs.x }}",
            "'restart' is not the name of an earlier",
        ),
        ("steps.2.input.body", "{{ steps.verify.error }}", "steps[2].input.body: 'steps.verify.error'"),
        ("steps.0.input.scriptName", "{{ env.X }}", "steps[0].input.scriptName: 'env.X' is not a valid template"),
        ("steps.2.input.url", "{{ params.service }}", f"steps[2].input.url: {ELSEWHERE}"),
        ("steps.2.input.url", "https://{{ params.service }}/x", f"steps[2].input.url: {ELSEWHERE}"),
        ("steps.2.input.url", "https://a.{{ params.service }}", f"steps[2].input.url: {ELSEWHERE}"),
        ("steps.2.input.url", "https://a:{{ params.service }}/", f"steps[2].input.url: {ELSEWHERE}"),
        ("steps.2.input.url", "https://{{ params.service }}@a/", f"steps[2].input.url: {ELSEWHERE}"),
        ("steps.2.input.url", "//{{ params.service }}/x", f"steps[2].input.url: {ELSEWHERE}"),
        ("steps.2.input.url", "/\\{{ params.service }}", f"steps[2].input.url: {ELSEWHERE}"),
        ("steps.2.input.url", "v1/{{ params.service }}", f"steps[2].input.url: {ELSEWHERE}"),
        (
            "steps.0",
            STEP | {"input": {"program": "{{ params.service }}"}},
            "steps[0].input.program: a program takes no",
        ),
        ("triggers.0", {}, "triggers[0]: is not a valid trigger"),
        ("triggers.0", RESTART["triggers"][0] | RESTART["triggers"][1], "triggers[0]: is not a valid trigger"),
        ("triggers.0.test.on", "passed", "triggers[0].test.on: "),
        ("triggers.0.test.after", 0, "triggers[0].test.after: "),
        ("triggers.0.test.cooldown", "a while", "triggers[0].test.cooldown: 'a while'"),
        ("triggers.0.test.at_most", "0/d", "triggers[0].test.at_most: '0/d'"),
        ("triggers.1.hook.verify", "none", "triggers[1].hook.verify: "),
        ("triggers.1.params.service", "{{ params.service }}", "triggers[1].params.service: 'params.service'"),
        ("steps.0.input.parameters.service", "x" * workflows.MAX_BYTES, "the workflow is larger than"),
    ],
)
def test_a_mistake_is_refused_with_its_place(path: str, value: Any, said: str) -> None:
    with pytest.raises(UnusableError) as caught:
        workflows.read(changed(path, value))
    assert said in str(caught.value)
