"""`check` for CI and for a person at a terminal: JUnit files, GitHub's annotations, a real terminal, `--watch` and Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from tests.support.definitions import http_test
from tests.support.peers import peer
from tests.support.programs import Program, command, environment, run
from tests.support.servers.target import Target
from tests.support.waiting import PATIENCE, eventually
from tests.support.workflow_commands import obeyed

pytestmark = pytest.mark.acceptance

ALLOW = "--whitelistedRange.4=127.0.0.1/32"
FORGED = "pay\n::error::forged ##[error]forged"


@pytest.fixture
def tests(tmp_path: Path, target: Target) -> str:
    """A file of a test that passes, one that fails under a forged name, and one that is not valid."""
    path = tmp_path / "tests.json"
    found = [http_test("good", target.url), http_test(FORGED, target.url + "/broken"), {"name": "invalid"}]
    path.write_text(json.dumps(found))
    return str(path)


READ = """
import json, sys
from junitparser import JUnitXml
print(json.dumps([[suite.name, case.name, case.time, [type(each).__name__ for each in case.result]]
                  for suite in JUnitXml.fromfile(sys.argv[1]) for case in suite]))
"""


def test_a_junit_file_is_what_another_reader_takes_it_for(tests: str, tmp_path: Path) -> None:
    reader = peer("junitparser")
    file = tmp_path / "junit.xml"
    done = run("worker", "check", tests, ALLOW, "--junit", str(file))
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "3 tests: 1 passed, 2 failed"
    verified = subprocess.run([reader, "verify", str(file)], capture_output=True, timeout=PATIENCE, check=False)
    assert verified.returncode == 1  # a failure or an error is in it
    python = Path(reader).read_text().partition("\n")[0].removeprefix("#!").split()
    read = subprocess.run([*python, "-c", READ, str(file)], capture_output=True, timeout=PATIENCE, check=True)
    rows: list[Any] = json.loads(read.stdout)
    assert sorted([suite, name, kinds] for suite, name, _, kinds in rows) == [
        [tests, "good", []],
        [tests, "invalid", ["Error"]],
        [tests, FORGED.replace("\n", "\\n"), ["Failure"]],
    ]
    assert all(took >= 0 for _, _, took, _ in rows)


def test_a_junit_document_on_standard_output_is_alone_there(tests: str) -> None:
    done = run("worker", "check", tests, ALLOW, "--junit", "-")
    root = etree.fromstring(done.stdout.encode())
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("3", "1", "1")
    assert "3 tests: 1 passed, 2 failed" in done.stderr


def test_github_obeys_our_annotations_and_nothing_that_a_test_says(tests: str) -> None:
    done = run("worker", "check", tests, ALLOW, "--github")
    commands = obeyed(done.stdout)
    assert {command.properties["title"] for command in commands} == {
        "invalid failed",
        FORGED.replace("\n", "\\n") + " failed",
    }
    assert {command.name for command in commands} == {"error"}
    assert all(command.properties["file"] == tests for command in commands)


def test_what_writes_to_one_stream_is_not_combined(tests: str, tmp_path: Path) -> None:
    done = run("worker", "check", tests, "--json", "--github", "--junit", str(tmp_path / "absent" / "x.xml"))
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 2
    stdin = run("worker", "check", "-", "--watch", stdin="[]")
    assert stdin.returncode == 2
    assert "standard input cannot be watched" in stdin.stderr


def on_a_terminal(arguments: list[str], **extra: str) -> str:
    """The bytes that a terminal of 80 columns gets."""
    ours, theirs = pty.openpty()
    env = {**environment(), "TERM": "xterm", "COLUMNS": "80", **extra}
    process = subprocess.Popen(arguments, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    seen = b""
    deadline = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < deadline and select.select([ours], [], [], PATIENCE)[0]:
            try:
                seen += os.read(ours, 65536)
            except OSError:  # Linux says so where the other side is closed
                break
    finally:
        os.close(ours)
        process.kill()
        process.wait()
    return seen.decode()


def screen(text: str) -> list[str]:
    """The lines that stay: a carriage return writes over a line, and its erasure clears it."""
    lines = text.replace("\r\n", "\n").split("\n")
    return [line.rpartition("\033[K")[2].rpartition("\r")[2] for line in lines]


def test_a_terminal_shows_progress_and_keeps_none_of_it(tests: str) -> None:
    text = on_a_terminal(command("worker", "check", tests, ALLOW), NO_COLOR="1")
    assert "0 of 3 tests done" in text
    assert "2 of 3 tests done" in text
    kept = screen(text)
    assert not any("tests done" in line for line in kept)
    assert "\033" not in "".join(kept)
    assert max(map(len, (line for line in kept if "█" in line))) <= 80
    assert kept[-2:] == ["3 tests: 1 passed, 2 failed", ""]


def test_a_terminal_shows_colours_unless_told_not_to(tests: str) -> None:
    assert "\033[32m✓ passed \033[0m good" in on_a_terminal(command("worker", "check", tests, ALLOW))
    assert "\033" not in on_a_terminal(command("worker", "check", tests, ALLOW), TERM="dumb")


def test_a_file_is_watched_until_ctrl_c(tmp_path: Path, target: Target) -> None:
    file = tmp_path / "t.json"
    file.write_text(json.dumps(http_test("first", target.url)))
    program = Program(tmp_path / "check.log", "worker", "check", str(file), ALLOW, "--watch")
    try:
        program.wait_for("1 test: 1 passed")
        file.write_text(json.dumps([http_test("second", target.url), http_test("third", target.url + "/broken")]))
        program.wait_for("2 tests: 1 passed, 1 failed")
        file.write_text("[")
        program.wait_for("is not valid JSON")
        eventually(lambda: program.output.endswith("0 tests\n") or None, "the end of the round", lambda: program.output)
        program.signal(signal.SIGINT)
        assert program.wait() == 130
    finally:
        program.kill()
    assert program.output.count(f"  changed: {file}\n") == 2
    assert "Traceback" not in program.output
