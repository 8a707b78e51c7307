"""`workflow` and `run` as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.controlplane.typed import Run

FILE = """
name: mend
runner: berlin
params: {type: object, properties: {n: {type: integer}, what: {type: string}}}
triggers:
  - hook: {verify: bearer, secret: CI}
    params: {n: "{{ trigger.n }}"}
steps:
  - {name: look, action: data.jq, input: {program: ., value: ["{{ params.n }}", "{{ params.what }}"]}}
  - {name: act, action: com.datadoghq.script.runPredefinedScript, input: {parameters: {n: "{{ steps.look.outputs.value.0 }}"}}}
"""


@pytest.fixture
def pushed(run: Run, tmp_path: Path) -> str:
    run("runner", "create", "berlin", "--base-url", "http://127.0.0.1:1")
    (tmp_path / "mend.yaml").write_text(FILE)
    (tmp_path / "ci").write_text("correct horse battery\n")
    return run("workflow", "push", "mend.yaml", "--secret", "CI=@ci").output


def test_a_workflow_is_pushed_started_looked_at_and_deleted(pushed: str, run: Run) -> None:
    assert "workflow 'mend' is new" in pushed
    assert "hook (bearer): http://127.0.0.1:8080/hooks/" in pushed
    assert "is changed" in run("workflow", "push", "mend.yaml").output
    assert "hook bearer" in run("workflow", "list").output
    shown = run("workflow", "show", "mend").output
    assert json.loads(shown)["definition"]["steps"][1]["action"] == "script.runPredefinedScript"
    assert "correct horse" not in shown + run("audit", "--json").output

    made = run("workflow", "run", "mend", "--param", "n=7", "--param", "what=checkout", "--no-wait").output.strip()
    assert "workflow/mend" in run("run", "list").output
    told = json.loads(run("run", "show", made, "--json", code=3).output)
    assert (told["workflow"], [step["state"] for step in told["steps"]]) == ("mend", ["queued"])
    assert "step look: queued: waits for runner berlin" in run("run", "show", made, code=3).output
    assert "cancelled" in run("run", "cancel", made).output
    assert "  look: data.jq: cancelled" in run("run", "show", made, code=1).output

    assert "is paused" in run("workflow", "pause", "mend").output
    assert "is paused" in run("workflow", "run", "mend", "--no-wait", code=2).output
    assert "is active" in run("workflow", "pause", "mend", "--resume").output
    assert "is deleted" in run("workflow", "delete", "mend").output
    assert "no workflow 'mend'" in run("workflow", "run", "mend", code=2).output


def test_what_is_wrong_is_said_with_its_file_and_its_place(pushed: str, run: Run, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    for old, new, said in (
        ("params.n ", "params.m ", "wrong.yaml: steps[0].input.value[0]: 'm' is not a property of params"),
        ("runner: berlin", "runner: paris", "wrong.yaml: no runner 'paris'; there are: berlin"),
        ("verify: bearer", "verify: bear", "wrong.yaml: triggers[0].hook.verify: Invalid enum value 'bear'"),
        ("type: integer", "type: whole", "wrong.yaml: params: is not a valid JSON Schema"),
        (
            "secret: CI",
            "secret: OTHER",
            "wrong.yaml: secret 'OTHER': a hook needs it; give it with --secret OTHER=@FILE",
        ),
        ("name: mend", "name: [", "wrong.yaml: is not valid YAML"),
    ):
        wrong.write_text(FILE.replace(old, new))
        assert said in run("workflow", "push", "wrong.yaml", code=2).output
    assert "--secret X: expected NAME=@FILE" in run("workflow", "push", "mend.yaml", "--secret", "X=y", code=2).output
    assert "params: /n" in run("workflow", "run", "mend", "--param", "n=x", code=2).output
