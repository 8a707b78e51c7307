"""`app` as people type it: what it prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

from tests.integration.controlplane.typed import Run
from tests.support.pushplane import DESK, HOST_URL


def test_an_app_is_pushed_listed_linked_and_deleted(run: Run) -> None:
    run("runner", "create", "berlin", "--modes", "pull,push", "--host", HOST_URL)
    Path("desk.json").write_text(json.dumps(DESK))
    assert (
        "app 'desk' is version 1: 2 queries on runner 'berlin', at /apps/desk" in run("app", "push", "desk.json").output
    )
    assert "is version 1 already" in run("app", "push", "-", input=json.dumps(DESK)).output
    [listed] = [json.loads(line) for line in run("app", "list", "--json").output.splitlines()]
    assert (listed["name"], listed["runner"], listed["queries"]) == (
        "desk",
        "berlin",
        {"customer": "data.jq", "health": "http.request"},
    )
    assert "user/*@corp.example" in run("app", "list").output
    run("user", "add", "alice@corp.example")
    run("user", "add", "eve@evil.example")
    link = run("app", "link", "desk", "--user", "alice@corp.example", "--at", "https://cp.example.com/").output
    assert link.startswith("https://cp.example.com/sign-in/link?token=")
    assert link.endswith("&next=%2Fapps%2Fdesk\n")
    assert "is not for user/eve@evil.example" in run("app", "link", "desk", "--user", "eve@evil.example", code=2).output
    assert "no app 'shop'; there are: desk" in run("app", "link", "shop", "--user", "x", code=2).output
    assert run("app", "delete", "desk").output == "app 'desk' is deleted\n"
    assert "no app 'desk'" in run("app", "delete", "desk", code=2).output


def test_a_file_that_is_not_an_app_is_refused_with_its_place(run: Run) -> None:
    run("runner", "create", "berlin")
    for text, reason in (
        ("name: [", "is not valid YAML"),
        ("- 1", "is not a valid app"),
        (json.dumps({**DESK, "allow": ["everybody"]}), "$.allow[0]"),
        (json.dumps(DESK), "its modes lack push"),
    ):
        Path("desk.yaml").write_text(text)
        assert reason in run("app", "push", "desk.yaml", code=2).output
