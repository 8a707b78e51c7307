"""`check`, `validate`, `policy` and bad configuration, as typed: output, exit codes, one clear line per mistake."""

from __future__ import annotations

import json
import shlex
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.definitions import http_test
from tests.support.programs import Program, command, environment, run
from tests.support.servers.target import Target
from tests.support.waiting import PATIENCE

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
    bad, good = sorted((json.loads(line) for line in done.stdout.splitlines()), key=lambda one: one["status"])
    assert (good["test"]["name"], good["status"], "failure" in good) == ("good", "passed", False)
    assert {"timings", "assertions", "duration", "finished_at"} <= set(good)
    assert (bad["status"], bad["failure"]["code"]) == ("failed", "INCORRECT_ASSERTION")


def test_check_gives_variables_and_shows_no_secure_one(tmp_path: Path, target: Target) -> None:
    listed = {"type": "body", "operator": "contains", "target": "{{ TOKEN }}"}
    whole = http_test("one", target.url + "/{{ PATH }}/{{ TOKEN }}", assertions=[listed])
    (tmp_path / "v.json").write_text('{"PATH": "file", "PIN": {"value": "JBSWY3DPEHPK3PXP", "totp": {}}}')
    command_line = (written(tmp_path / "t.json", whole), ALLOW, "--variable", "PATH=flag", "--variable", "TOKEN")
    files = (f"--variables={tmp_path / 'v.json'}", f"--junit={tmp_path / 'j.xml'}")
    told = ""
    for more in (files, ("--json",), ("--github",), ("--trace",)):
        done = run("worker", "check", *command_line, *more, env={"TOKEN": "c4nary-value"})
        assert done.returncode == 1
        assert "<redacted>" in done.stdout
        told += done.stdout + done.stderr
    assert target.hits == {"/flag/c4nary-value": 4}
    assert "c4nary-value" not in told + (tmp_path / "j.xml").read_text()
    done = run("worker", "check", *command_line)
    assert (done.returncode, done.stdout) == (2, "")
    assert "TOKEN" in done.stderr


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


def test_an_interrupted_check_keeps_what_is_done_and_sums_it_up(tmp_path: Path, target: Target) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        never = http_test("never", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        tests = written(
            tmp_path / "t.json", never, http_test("good", target.url), http_test("bad", target.url + "/broken")
        )
        program = Program(tmp_path / "check.log", "worker", "check", tests, ALLOW)
        try:
            program.wait_for("passed")
            program.wait_for("failed")
            program.signal(signal.SIGINT)
            assert program.wait() == 130
        finally:
            program.kill()
    assert program.output.splitlines()[-1] == "interrupted after 2 of 3 tests: 1 passed, 1 failed"
    assert "Traceback" not in program.output


@pytest.mark.parametrize("flag", ["--failures-only", "--failed-only"])
def test_only_failures_are_printed_where_they_were_asked_for(flag: str, tmp_path: Path, target: Target) -> None:
    tests = written(tmp_path / "t.json", http_test("good", target.url), http_test("bad", target.url + "/broken"))
    bad, *details, summary = run("worker", "check", tests, ALLOW, flag).stdout.splitlines()
    assert "bad" in bad
    assert all(line.startswith("    ") for line in details)
    assert summary == "2 tests: 1 passed, 1 failed"


def test_a_reader_that_wants_no_more_is_no_error_of_anybody(tmp_path: Path, target: Target) -> None:
    tests = written(tmp_path / "t.json", *(http_test(f"t{n}", target.url) for n in range(5)))
    for words in (f"check {tests} {ALLOW}", f"validate {tests}", "--help", "policy 10.1.2.3"):
        for reader, lines in (("head -1", 1), ("true", 0)):
            line = f"{shlex.join(command('worker', *words.split()))} | {reader}"
            done = subprocess.run(
                ["bash", "-c", line], env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False
            )
            assert (len(done.stdout.splitlines()), done.stderr) == (lines, ""), words


def test_a_closed_standard_output_is_no_traceback(tmp_path: Path, target: Target) -> None:
    line = shlex.join(command("worker", "check", written(tmp_path / "t.json", http_test("one", target.url)), ALLOW))
    done = subprocess.run(
        ["bash", "-c", f"{line} >&-"], env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("arguments", ["check -", "validate -", "check FILE", "validate FILE"])
def test_a_closed_standard_input_is_no_definition_and_no_traceback(arguments: str, tmp_path: Path) -> None:
    tests = written(tmp_path / "t.json", http_test("one", "https://shop.test/"))
    line = shlex.join(command("worker", *arguments.replace("FILE", tests).split()))
    done = subprocess.run(
        ["bash", "-c", f"{line} <&-"], env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert "Traceback" not in done.stderr
    if "-" in arguments:
        assert done.returncode == 2
        assert done.stderr == "synthetics-worker: -: standard input is closed\n"
    else:
        assert done.returncode in (0, 1)
        assert "one" in done.stdout


def test_a_push_from_a_closed_standard_input_is_one_sentence() -> None:
    line = shlex.join(command("controlplane", "test", "push", "-", "--location", "office"))
    done = subprocess.run(
        ["bash", "-c", f"{line} <&-"], env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "-: standard input is closed"
