"""An evaluator judges responses: it carries no reader of tests, of which three processes would hold a copy each."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = "import sys, worker.evaluators.evaluator; print(*sorted(sys.modules))"


def test_an_evaluator_imports_no_reader_of_tests() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=30)
    rooms = {name.removeprefix("worker.apitest.") for name in done.stdout.split() if name.startswith("worker.apitest.")}
    assert {name for name in rooms if "." not in name} == {
        "assertion",
        "extraction",
        "observation",
        "responses",
        "result",
    }


def test_the_worker_does_not_import_what_confines_an_evaluator() -> None:
    program = "import sys, worker.evaluators.pool; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    sides = {name.removeprefix("worker.sandbox.") for name in done.stdout.split()}
    assert sides >= {"forkserver", "process", "timers"}
    assert not sides & {"child", "confinement", "forking", "landlock", "seccomp", "syscalls"}
