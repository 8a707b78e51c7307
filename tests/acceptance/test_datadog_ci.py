"""The pipelines' own client, unmodified: by id, by file and by search. Its exit status alone proves nothing; the report is read.

It takes five seconds of a processor and looks every five seconds: `.ci/run` and `make long-tests` run it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.datadog_ci import DatadogCI, Ended, installed
from tests.support.definitions import http_test
from tests.support.peers import peer
from tests.support.programs import ControlPlane, Program
from tests.support.servers.target import Target, running_target

pytestmark = pytest.mark.acceptance
WRONG = {"type": "statusCode", "operator": "is", "target": 599}
NEVER = 604_800
RUNS = {
    "ids": tuple(f"--public-id={one * 3}-{one * 3}-{one * 3}" for one in "abcdz"),
    "search": ("--search=tag:team:shop", "--failOnMissingTests"),
    "file": ("--files=shop.synthetics.json",),
}


def definition(name: str, target: Target, *assertions: dict[str, Any], **members: Any) -> dict[str, Any]:
    return http_test(name, f"{target.url}/", assertions=assertions, tick_every=NEVER, **members)


def rule(execution_rule: str) -> dict[str, Any]:
    return {"tick_every": NEVER, "ci": {"executionRule": execution_rule}}


def push(plane: ControlPlane, target: Target) -> None:
    plane.push(
        [
            definition("good", target, public_id="aaa-aaa-aaa"),
            definition("bad", target, WRONG, public_id="bbb-bbb-bbb"),
            definition("gentle", target, WRONG, public_id="ccc-ccc-ccc", options=rule("non_blocking")),
            definition("left out", target, WRONG, public_id="ddd-ddd-ddd", options=rule("skipped")),
            *(definition(f"shop {number}", target, tags=["team:shop"]) for number in range(2)),
        ]
    )


def write_file(plane: ControlPlane, target: Target, folder: Path) -> None:
    """A stored test that is asked elsewhere, and a test that only the file knows."""
    location = json.loads(plane.command("location", "list", "--json"))["id"]
    tests = [
        {"id": "aaa-aaa-aaa", "testOverrides": {"startUrl": f"{target.url}/broken"}},
        {"localTestDefinition": http_test("local", f"{target.url}/", locations=[location])},
    ]
    (folder / "shop.synthetics.json").write_text(json.dumps({"tests": tests}))


@pytest.fixture(scope="module")
def run_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Ended]]:
    """Runs one of `RUNS`, in a folder of its own, against a control plane with a worker."""
    program, folder = installed(), tmp_path_factory.mktemp("datadog-ci")
    plane = ControlPlane(folder)
    plane.start()
    flags = (f"--config={plane.create_location()}", "--whitelistedRange.4=127.0.0.1/32", "--logFormat=json")
    worker = Program(folder / "worker.log", "worker", *flags, f"--livenessFile={folder / 'liveness.date'}")
    try:
        with running_target() as target:
            push(plane, target)
            pair = json.loads(plane.command("key", "create", "ci", "--scopes", "read,trigger", "--json"))

            def run(name: str) -> Ended:
                mine = folder / name
                mine.mkdir()
                write_file(plane, target, mine)
                client = DatadogCI(program, peer("node"), mine, plane.url, pair["api_key"], pair["app_key"])
                return client.run_tests(*RUNS[name])

            yield run
    finally:
        worker.kill()
        plane.stop()


def names_of(ended: Ended) -> set[str]:
    return {case.attrib["name"].partition(" - ")[0] for case in ended.cases()}


@pytest.mark.long
def test_by_id_a_failure_fails_the_pipeline_and_is_told(run_tests: Callable[[str], Ended]) -> None:
    run = run_tests("ids")
    assert run.code == 1, run.output
    counts = run.counts()
    assert (counts["passed"], counts["failed"], counts["failed_non_blocking"]) == (1, 1, 1), run.output
    assert (counts["critical_error"], counts["not_found"], counts["timed_out"]) == (0, 1, 0)
    cases = {case.attrib["name"].partition(" - ")[0]: case for case in run.cases()}
    assert "location: office" in cases["good"].attrib["name"]
    assert float(cases["good"].attrib["time"]) >= 0
    assert cases["good"].find("failure") is None
    failure = cases["bad"].find("failure")
    assert failure is not None
    assert failure.attrib["type"] == "INCORRECT_ASSERTION"
    assert "statusCode should be 599. Actual: 200" in run.output


@pytest.mark.long
def test_by_search_all_that_are_found_are_run(run_tests: Callable[[str], Ended]) -> None:
    run = run_tests("search")
    assert run.code == 0, run.output
    assert run.counts()["passed"] == 2
    assert names_of(run) == {"shop 0", "shop 1"}


@pytest.mark.long
def test_by_file_overrides_and_local_definitions_are_run(run_tests: Callable[[str], Ended]) -> None:
    run = run_tests("file")
    assert run.code == 1, run.output
    counts = run.counts()
    assert (counts["passed"], counts["failed"], counts["critical_error"]) == (1, 1, 0), run.output
    assert names_of(run) == {"good", "local"}
    assert "statusCode should be 200. Actual: 503" in run.output, "the override changed what was asked"
