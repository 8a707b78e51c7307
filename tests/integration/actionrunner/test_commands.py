"""The commands of `private-action-runner` that read its folder: what they print, and their exit codes."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.actions import order
from tests.support.clock import FakeClock
from worker.actionrunner.audit import AuditLog
from worker.actionrunner.cli import PROGRAM, execute
from worker.errors import ExitCode

RULES = [
    {
        "name": "reads",
        "allow": "http.request",
        "connections": ["crm"],
        "when": {"verb": ["GET"]},
        "rate": {"max": 3, "per": "1h"},
    },
    {"name": "never", "deny": "http.request", "callers": ["key/old-*"]},
]


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep standard error to the commands."""


@pytest.fixture
def service() -> Iterator[str]:
    """The URL of a service in a thread: the commands have a loop of their own."""
    with HTTPServer(("127.0.0.1", 0), Health) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


class Folder:
    """A runner's folder, and its commands in this process."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self._capsys = capsys
        self.write("config.yaml", {"whitelistedRange.4": ["127.0.0.1/32"]})
        self.write("connections.yaml", {"crm": {"type": "http", "base_url": "https://crm.test/api"}})
        self.write("policy.yaml", {"rules": RULES})

    def write(self, name: str, content: Any) -> None:
        (self.path / name).write_text(content if isinstance(content, str) else json.dumps(content))

    def say(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        code = execute(["--config-dir", str(self.path), *arguments])
        return (int(code), *self._capsys.readouterr())


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    """What commands change for good in a process of their own is as it was afterwards."""
    monkeypatch.setattr("worker.actionrunner.commands.session.protect_memory", lambda: ())
    root, ours = logging.getLogger(), logging.getLogger("worker")
    handlers, level, our_level = root.handlers[:], root.level, ours.level
    yield Folder(tmp_path, capsys)
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(our_level)


def explain(folder: Folder, given: Mapping[str, Any], *flags: str) -> tuple[int, dict[str, Any]]:
    words = ("explain", "http.request", "--connection", "crm", "--input", json.dumps(given), "--json", *flags)
    code, printed, _ = folder.say(*words)
    return code, json.loads(printed)


def test_explain_names_the_rule_and_its_place(folder: Folder) -> None:
    code, said = explain(folder, {"verb": "GET", "url": "/v1"})
    assert (code, said["allowed"], said["rule"], said["code"]) == (0, True, "reads", None)
    assert "policy.yaml" in said["place"]
    code, text, _ = folder.say(
        "explain", "com.datadoghq.http.request", "--connection", "crm", "--input", '{"verb":"GET","url":"/"}'
    )
    assert (code, text.splitlines()[0]) == (0, "allowed")
    assert "3 in 3600 s, which is not counted here" in text


@pytest.mark.parametrize(
    ("given", "flags", "fault"),
    [
        ({"verb": "POST", "url": "/v1"}, (), "DENIED"),
        ({"verb": "GET", "url": "/v1"}, ("--caller", "key/old-ci"), "DENIED"),
        ({"verb": "GET"}, (), "INVALID_INPUT"),
        ({"verb": "GET", "url": "/v1"}, ("--connection", "none"), "CONNECTION"),
    ],
)
def test_explain_of_what_is_refused_ends_with_1_and_its_code(
    folder: Folder, given: Mapping[str, Any], flags: tuple[str, ...], fault: str
) -> None:
    code, said = explain(folder, given, *flags)
    assert (code, said["allowed"], said["code"]) == (1, False, fault)
    assert said["reason"]


@pytest.mark.parametrize("given", ["{", "[]", "@/nowhere/input.json"])
def test_an_input_that_cannot_be_read_is_one_line_and_2(folder: Folder, given: str) -> None:
    code, printed, told = folder.say("explain", "http.request", "--input", given)
    assert (code, printed, len(told.splitlines())) == (2, "", 1)
    assert told.startswith(f"{PROGRAM}: ")


def test_policy_check_counts_what_holds_and_names_what_does_not(folder: Folder) -> None:
    assert folder.say("policy", "check") == (0, "2 rules, 1 usable connection\n", "")
    folder.write("connections.yaml", {"crm": {"type": "http", "base_url": "https://crm.test"}, "bad": {"type": "ftp"}})
    code, printed, told = folder.say("policy", "check")
    assert (code, printed) == (1, "2 rules, 1 usable connection\n")
    assert "the connection bad cannot be used" in told
    folder.write("policy.yaml", "rules:\n- {name: x, allow: http.request, wehn: {}}\n")
    code, printed, told = folder.say("policy", "check")
    assert (code, printed) == (2, "")
    assert "policy.yaml" in told
    assert "wehn" in told


def test_a_connection_is_tested_without_the_policy(folder: Folder, service: str) -> None:
    crm = {"type": "http", "base_url": service, "test": {"verb": "GET", "path": "/health"}}
    closed = {**crm, "base_url": "http://127.0.0.1:1"}
    folder.write("connections.yaml", {"crm": crm, "closed": closed, "bad": {"type": "http"}})
    folder.write("policy.yaml", {"rules": []})
    code, printed, _ = folder.say("test-connection", "crm")
    assert (code, json.loads(printed)["status"]) == (0, 200)
    code, printed, told = folder.say("test-connection", "closed")
    assert (code, printed, told.startswith("CONNECT: ")) == (1, "", True), told
    for name, what in (("bad", "cannot be used"), ("none", "not a valid name of a connection; there are: ")):
        code, printed, told = folder.say("test-connection", name)
        assert (code, printed, what in told) == (2, "", True), told


def test_the_catalogue_is_a_table_and_one_action_is_its_schemas(folder: Folder) -> None:
    code, printed, _ = folder.say("actions")
    assert (code, "postgresql.namedQuery" in printed) == (0, True)
    code, printed, _ = folder.say("actions", "com.datadoghq.http.request")
    shown = json.loads(printed)
    assert (code, shown["name"]) == (0, "http.request")
    assert shown["input"]["additionalProperties"] is False
    lines = folder.say("actions", "--json")[1].splitlines()
    assert len({json.loads(line)["name"] for line in lines}) == len(lines) > 5
    code, _, told = folder.say("actions", "http.requets")
    assert (code, "did you mean http.request?" in told) == (2, True)


def test_a_chain_is_verified_and_its_broken_places_are_named(folder: Folder) -> None:
    path = folder.path / "audit.log"
    log = AuditLog(path, FakeClock())
    for number in range(3):
        log.decided(order("data.jq", task=f"task-{number}"), channel="pull", decision="allowed", rule="r")
    log.close()
    code, printed, told = folder.say("audit", "verify", str(path))
    assert (code, told) == (0, "")
    assert "0 findings; the last line has " in printed
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    code, printed, told = folder.say("audit", "verify", str(path))
    assert (code, "1 finding;" in printed, "audit.log" in told) == (1, True, True), told
    code, printed, told = folder.say("audit", "verify", str(folder.path / "none.log"))
    assert (code, printed, "none.log cannot be read" in told) == (2, "", True)


def test_a_wrong_command_or_config_is_2_and_one_mistake_a_line(folder: Folder) -> None:
    for words in (("audit", "verify"), ("nothing",), ("explain",), ("policy", "nothing")):
        assert folder.say(*words)[0] == ExitCode.UNUSABLE
    folder.write("config.yaml", {"prot": 1, "taskConcurrency": 0})
    code, printed, told = folder.say("policy", "check")
    assert (code, printed) == (2, "")
    assert len(told.splitlines()) == 2
    assert "prot" in told
