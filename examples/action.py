"""The private action of the demo: a runner that may ask the shop for one thing, who orders it, and an app whose page asks for it.

Its folder is what an operator writes: the options, one connection, one rule. It keeps its keys there too, and they go with it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from examples.target import DNS, HTTP

RUNNER = "demo"
CONNECTION = "shop"
ACTION = "http.request"
INPUT = {"verb": "GET", "url": "/health"}
APP = "shop"
RULE = {"name": CONNECTION, "allow": ACTION, "connections": [CONNECTION], "when": {"verb": ["GET"]}}


def write_folder(folder: Path, ports: Sequence[int], pages_port: int) -> None:
    """Write the folder of a runner beside a target that listens on *ports*. It answers pages at *pages_port*."""
    folder.mkdir()
    config = {
        "dnsServer": [f"127.0.0.1:{ports[DNS]}"],
        "dnsUseHost": False,
        "whitelistedRange.4": ["127.0.0.1/32"],
        "auditLog": str(folder / "audit.log"),
        "stateDirectory": str(folder / "state"),
        "port": pages_port,
        "probesPort": 0,
    }
    shop = {"type": "http", "base_url": f"http://shop.demo.internal:{ports[HTTP]}"}
    (folder / "config.yaml").write_text(json.dumps(config))
    (folder / "connections.yaml").write_text(json.dumps({CONNECTION: shop}))
    (folder / "policy.yaml").write_text(json.dumps({"rules": [RULE]}))


def write_app(folder: Path) -> Path:
    """The file of an app with one form, for the user of the demo."""
    query = {"title": "Is the shop well?", "action": ACTION, "connection": CONNECTION, "input": INPUT}
    app = {"name": APP, "title": "Shop", "runner": RUNNER, "allow": ["user/demo"], "queries": {"health": query}}
    file = folder / "shop.json"
    file.write_text(json.dumps(app, indent=2))
    return file


def create(pages_port: int) -> list[str]:
    """The arguments of `synthetics-controlplane` that make the runner; browsers reach it at *pages_port*."""
    return ["runner", "create", RUNNER, "--modes", "pull,push", "--host", f"http://127.0.0.1:{pages_port}"]


def order() -> list[str]:
    """The arguments of `synthetics-controlplane` that order the action and wait for its end."""
    given = ["--connection", CONNECTION, "--input", json.dumps(INPUT)]
    return ["action", "run", ACTION, "--runner", RUNNER, *given, "--within", "1min", "--json"]


def line(printed: str) -> str:
    """The line, as results have theirs, of a run that `action run --json` has *printed*."""
    run = json.loads(printed)
    at = datetime.fromisoformat(run["ended_at"] or run["created_at"]).astimezone()
    outputs, error = run["outputs"], run["error"]
    words = [
        f"{at:%Y-%m-%d %H:%M:%S%z}",
        f"{'✓' if run['state'] == 'succeeded' else '✗'} {run['state']}",
        f"{run['action']} {INPUT['verb']} {INPUT['url']}",
        run["connection"],
        run["runner"],
        *([f"{outputs['status']} {json.dumps(outputs['body'])}"] if outputs else []),
        *([f"= {run['duration_ms']} ms"] if run["duration_ms"] is not None else []),
        *([f"{error['code']}: {error['message']}"] if error else [run["reason"]] if run["reason"] else []),
    ]
    return "  ".join(words)
