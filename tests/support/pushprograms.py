"""Runners as processes that answer pages of a control plane in this process."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

from tests.support.programs import Program
from tests.support.runnerplane import RunnerPlane
from tests.support.runnerprograms import RUNNER

_CONNECTED = "connected: the control plane answers"


async def push_program(plane: RunnerPlane, folder: Path) -> tuple[Program, int]:
    """Start an instance of the runner `berlin`, which *plane* has enrolled, and wait until it pulls; with its port for pages.

    It may do `data.jq`, and ask *plane* itself by `http.request`. *folder* may be one of an instance that has ended.
    """
    folder.mkdir(exist_ok=True)
    identity = folder / "identity.json"
    if not identity.exists():
        shutil.copy(plane.folder / "berlin.json", identity)
    config = {"port": 0, "probesPort": 0, "whitelistedRange.4": ["127.0.0.1/32"]}
    rules = [{"name": "jq", "allow": "data.jq"}, {"name": "plane", "allow": "http.request", "connections": ["plane"]}]
    (folder / "config.yaml").write_text(json.dumps(config))
    (folder / "connections.yaml").write_text(json.dumps({"plane": {"type": "http", "base_url": plane.url}}))
    (folder / "policy.yaml").write_text(json.dumps({"rules": rules}))
    log = folder / f"{len(list(folder.glob('*.log')))}.log"
    program = Program(log, RUNNER, env={"DD_PRIVATE_RUNNER_CONFIG_DIR": str(folder)})
    try:
        line = await asyncio.to_thread(program.wait_for, "requests of pages on")
        await asyncio.to_thread(program.wait_for, _CONNECTED)
    except BaseException:
        program.kill()
        raise
    return program, int(line.partition("port ")[2].split()[0])
