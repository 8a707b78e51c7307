"""Late imports: no garbage is looked for, and nothing is imported that nobody asked for."""

from __future__ import annotations

import gc
import subprocess
import sys
from contextlib import suppress

import pytest

from worker.program.loading import without_collections


def imported(code: str) -> set[str]:
    """Top-level packages, and our own modules, that a new process has imported after *code*; what it prints is dropped."""
    tell = "import sys; from contextlib import redirect_stdout as r; from io import StringIO as S\nwith r(S()):\n"
    tell += f"    {code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", tell], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_collector_rests_inside_and_works_again_after_an_error() -> None:
    collecting = []
    with suppress(ZeroDivisionError), without_collections():
        collecting.append(gc.isenabled())
        _ = 1 / 0
    collecting.append(gc.isenabled())
    assert collecting == [False, True]


def test_what_lives_at_the_end_is_not_looked_through_again() -> None:
    before = gc.get_freeze_count()
    with without_collections():
        kept: list[list[int]] = [[] for _ in range(1000)]
    assert gc.get_freeze_count() >= before + len(kept)
    gc.unfreeze()


def test_inside_another_it_leaves_the_end_to_the_outer_one() -> None:
    with without_collections():
        with without_collections():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_a_look_at_the_command_line_imports_no_part_of_a_worker(flag: str) -> None:
    modules = imported(f"from worker import cli; cli.execute([{flag!r}])")
    assert modules.isdisjoint({"asyncio", "aiohttp", "cryptography", "worker.config.load", "worker.start"})


def test_the_first_pull_waits_for_nothing_that_only_runs_tests_or_answers_probes() -> None:
    modules = imported("from worker import start; start.import_agent()")
    assert "worker.intake.client" in modules
    late = {
        "worker.work.runner",
        "worker.probers",
        "worker.evaluators",
        "worker.sandbox",
        "worker.checks",
    }
    for_probes = {
        "worker.telemetry.status",
        "worker.telemetry.metrics",
        "worker.web",
        "aiohttp.web",
        "prometheus_client",
    }
    for_a_spool = {"worker.agent.journal", "worker.agent.journal.journal"}
    assert modules.isdisjoint(late | for_probes | for_a_spool)


def test_the_worker_itself_has_no_engine() -> None:
    modules = imported("import worker.evaluators.pool, worker.net.door, worker.work.tests")
    engines = {"lxml", "jsonschema_rs", "jsonpath_ng", "jsonpath", "quickjs", "_quickjs", "worker.checks.javascript"}
    assert modules.isdisjoint(engines)


def test_what_serves_and_runs_tests_has_neither_the_reports_of_a_check_nor_a_watched_door() -> None:
    modules = imported(
        "import worker.start, worker.agent.worker, worker.work.tests, worker.probers.table, worker.net.http.client"
    )
    assert "worker.net.door" in modules
    of_check = {"worker.commands.check", "worker.commands.reports", "worker.net.trace", "worker.apitest.details"}
    assert modules.isdisjoint({*of_check, "worker.apitest.public_result", "xml.etree.ElementTree"})
