"""A worker that runs tests imports nothing of private actions, and a runner nothing of what its orders do not use."""

from __future__ import annotations

import subprocess
import sys

COSTLY = {"psycopg", "jq", "worker.apitest", "worker.evaluators", "worker.work"}


def imported(code: str) -> set[str]:
    program = f"{code}\nimport sys; print(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout.split()
    )


def test_a_worker_imports_nothing_of_private_actions() -> None:
    found = imported(
        "import worker.start as s; s.import_agent(); import worker.work.tests, worker.probers.table, worker.cli"
    )
    assert [name for name in found if name.startswith(("worker.action", "psycopg", "yaml", "jq"))] == []


def test_a_runner_imports_costly_parts_at_their_first_use() -> None:
    found = imported("import worker.actionrunner.execution, worker.actionrunner.localstate, worker.actionrunner.doors")
    assert found & COSTLY == set()
