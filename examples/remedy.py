"""The remediation of the demo: a test that fails, and the workflow that it starts, which mends a service and tests it again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from examples import action

NAME = "mend"
TEST = "Fragile service"
SCRIPT = "restart"
CONNECTION = "ops"
RULES = [
    {"name": CONNECTION, "allow": "script.runPredefinedScript", "connections": [CONNECTION]},
    {"name": "checks", "allow": "checks.run"},
]


def extend_folder(folder: Path, request: Path) -> None:
    """Let the runner of *folder* ask for a restart by the file *request*, and run tests."""
    connections, policy = folder / "connections.yaml", folder / "policy.yaml"
    known: dict[str, Any] = json.loads(connections.read_text())
    connections.write_text(json.dumps(known | {CONNECTION: {"type": "script", "file": "scripts.yaml"}}))
    policy.write_text(json.dumps({"rules": [*json.loads(policy.read_text())["rules"], *RULES]}))
    command = ["/bin/sh", "-c", f'echo restart > "{request}"']
    script = {"command": command, "effect": "repeat", "write": [str(request.parent)]}
    written = {"schemaId": "script-credentials-v1", "runPredefinedScript": {SCRIPT: script}}
    (folder / "scripts.yaml").write_text(json.dumps(written))


def write_files(folder: Path, port: int) -> tuple[Path, Path]:
    """The files of the test and of its workflow."""
    test, workflow = folder / "fragile.json", folder / "mend.yaml"
    request = {"method": "GET", "url": f"http://127.0.0.1:{port}/"}
    assertion = {"type": "statusCode", "operator": "is", "target": 200}
    content = {
        "name": TEST,
        "type": "api",
        "subtype": "http",
        "config": {"request": request, "assertions": [assertion]},
        "options": {"tick_every": 30},
        "locations": [],
        "message": "",
    }
    test.write_text(json.dumps(content, indent=2))
    steps = [
        {
            "name": "restart",
            "action": "script.runPredefinedScript",
            "connection": CONNECTION,
            "input": {"scriptName": SCRIPT},
        },
        {"name": "verify", "action": "checks.run", "input": {"test": TEST}, "retry": {"times": 10, "wait_s": 1}},
    ]
    trigger = {"test": {"id": TEST, "on": "failed", "cooldown": "1m"}}
    workflow.write_text(
        json.dumps({"name": NAME, "runner": action.RUNNER, "triggers": [trigger], "steps": steps}, indent=2)
    )
    return test, workflow


def has_ended(printed: str) -> str | None:
    """The id of the workflow's run in what `run list --json` has *printed*, once it has ended."""
    runs = [json.loads(line) for line in printed.splitlines()]
    return next((run["id"] for run in runs if run["workflow"] == NAME and run["ended_at"] is not None), None)
