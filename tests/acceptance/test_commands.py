"""`check`, `validate`, `policy` and bad configuration, as typed: output, exit codes, one clear line per mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.definitions import http_test
from tests.support.programs import run
from tests.support.servers.target import Target

pytestmark = pytest.mark.acceptance

ALLOW = "--whitelistedRange.4=127.0.0.1/32"


def written(path: Path, *definitions: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(definition) + "\n" for definition in definitions))
    return str(path)


def test_check_passes_without_a_control_plane(tmp_path: Path, target: Target) -> None:
    done = run("worker", "check", written(tmp_path / "t.json", http_test("one", target.url + "/")), ALLOW)
    assert (done.returncode, done.stderr) == (0, "")
    assert "passed" in done.stdout
    assert "one" in done.stdout


def test_check_prints_one_object_a_line(tmp_path: Path, target: Target) -> None:
    tests = written(tmp_path / "t.json", http_test("good", target.url + "/"), http_test("bad", target.url + "/broken"))
    done = run("worker", "check", tests, "--json", ALLOW)
    assert done.returncode == 1
    good, bad = (json.loads(line) for line in done.stdout.splitlines())
    assert (good["test"]["name"], good["status"], good["failure"]) == ("good", "passed", None)
    assert {"timings", "assertions"} <= set(good)
    assert (bad["status"], bad["failure"]["code"]) == ("failed", "INCORRECT_ASSERTION")


def test_check_runs_a_pattern_in_an_evaluator(tmp_path: Path, target: Target) -> None:
    pattern = {"type": "body", "operator": "matches", "target": r'"status":\s"(?<word>o)k"'}
    done = run("worker", "check", written(tmp_path / "t.json", http_test("p", target.url, assertions=[pattern])), ALLOW)
    assert done.returncode == 0, done.stdout


def test_check_obeys_the_policy(tmp_path: Path, target: Target) -> None:
    done = run("worker", "check", written(tmp_path / "t.json", http_test("one", target.url)), "--json")
    assert done.returncode == 1
    failure = json.loads(done.stdout)["failure"]
    assert failure["code"] == "DENIED"
    assert "whitelistedRange.4" in failure["message"]
    assert target.hits == {}


def test_check_refuses_what_it_cannot_read(tmp_path: Path) -> None:
    done = run("worker", "check", str(tmp_path / "absent.json"))
    assert done.returncode == 2
    assert "absent.json" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_validate_says_what_is_wrong_and_where(tmp_path: Path) -> None:
    broken = http_test("broken", "http://example.org")
    broken["config"]["request"]["method"] = "FETCH"
    done = run(
        "worker", "validate", written(tmp_path / "t.json", http_test("fine", "http://example.org"), broken), "--json"
    )
    assert done.returncode == 1
    fine, bad = (json.loads(line) for line in done.stdout.splitlines())
    assert (fine["ok"], fine["errors"]) == (True, [])
    assert bad["ok"] is False
    assert "config.request.method" in bad["errors"][0]


def test_policy_explains_a_denial_and_the_option_that_would_lift_it() -> None:
    done = run("worker", "policy", "10.1.2.3", "8.8.8.8")
    assert "10.0.0.0/8" in done.stdout
    assert "whitelistedRange.4" in done.stdout
    assert "8.8.8.8" in done.stdout


def test_a_worker_without_a_config_says_so_and_exits_2() -> None:
    done = run("worker", "--config=/nonexistent/worker.json")
    assert done.returncode == 2
    assert "/nonexistent/worker.json" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--concurency=3", ("--concurency", "concurrency")),
        ("--concurrency=many", ("concurrency", "many")),
        ("--whitelistedRange.4=10.0.0.1/8", ("whitelistedRange.4", "10.0.0.1/8", "10.0.0.0/8")),
        ("--logFormat=xml", ("logFormat", "xml")),
    ],
)
def test_a_wrong_flag_is_named_with_its_value(flag: str, words: tuple[str, ...]) -> None:
    done = run("worker", "check", "-", flag, stdin="[]")
    assert done.returncode == 2
    assert all(word in done.stderr for word in words), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("program", ["worker", "controlplane"])
def test_help_shows_itself(program: str) -> None:
    done = run(program, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout
