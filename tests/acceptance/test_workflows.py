"""Workflows as their users live them: the guide's own commands, and a failing test that has its service restarted, over kills."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import re
import time
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.definitions import http_test
from tests.support.programs import ControlPlane, Program, StartWorker
from tests.support.runnerprograms import RunnerProgram
from tests.support.supervised import SupervisedService
from tests.support.waiting import PATIENCE, eventually
from tests.support.workflow_guide import SEVERAL, guide_files, type_guide

pytestmark = pytest.mark.acceptance

SLACK = "8f742231b10e8888abcd99yyyzzz85a5"
ENDED = {"succeeded", "failed", "cancelled", "unknown", "lost", "expired"}


class Town:
    """Everything of the stories: a control plane, a worker, a runner with the guide's files, and services under supervisors."""

    def __init__(self, plane: ControlPlane, start_worker: StartWorker, folder: Path) -> None:
        self.plane = plane
        self.folder = folder
        self.requests = folder / "requests"
        self.requests.mkdir()
        self._start_worker = start_worker
        self.config = plane.create_location()
        self.runner = RunnerProgram(plane, folder / "runner")
        self.files = guide_files(self.requests)
        for name, text in self.files.items():
            (folder / name).write_text(text)
        self.worker: Program | None = None
        self.services: list[SupervisedService] = []
        self.key = re.findall(r"DD_APP_KEY=(\w+)", plane.command("key", "create", "eye", "--scopes", "workflow/*"))[0]

    def service(self, name: str) -> SupervisedService:
        made = SupervisedService(self.folder, self.requests, name)
        self.services.append(made)
        return made

    def open_names(self) -> None:
        """Let the guide's script restart services of any name."""
        scripts = self.folder / "runner/scripts.yaml"
        text = scripts.read_text()
        assert "enum: [checkout, search]" in text
        scripts.write_text(text.replace("enum: [checkout, search]", "type: string"))

    def start_worker(self) -> None:
        self.worker = self._start_worker(self.config)

    def runs(self, workflow: str) -> list[dict[str, Any]]:
        """Those of *workflow*, by the API; none while nobody answers."""
        headers = {"Authorization": f"Bearer {self.key}"}
        try:
            with urllib.request.urlopen(
                urllib.request.Request(f"{self.plane.url}/v1/runs?limit=200", headers=headers), timeout=PATIENCE
            ) as reply:
                found = json.load(reply)["runs"]
        except OSError:
            return []
        return [one for one in found if one["workflow"] == workflow]

    def ended(self, workflow: str) -> list[dict[str, Any]]:
        """The runs of *workflow*, once there are some and all have ended."""

        def found() -> list[dict[str, Any]] | None:
            runs = self.runs(workflow)
            return runs if runs and {one["state"] for one in runs} <= ENDED else None

        return eventually(found, f"runs of {workflow} to end", lambda: str(self.runs(workflow)), seconds=SEVERAL)

    def type(self, heading: str) -> str:
        return type_guide(heading, self.plane, self.folder)

    def slack(self, path: str, text: str) -> dict[str, Any]:
        """A slash command, as Slack sends it."""
        body = urlencode({"command": "/restart", "text": text, "trigger_id": str(random.random())}).encode()
        at = str(int(time.time()))
        mac = hmac.new(SLACK.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
        headers = {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": f"v0={mac}"}
        request = urllib.request.Request(f"{self.plane.url}{path}", data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
            assert reply.status == 200
            found: dict[str, Any] = json.load(reply)
            return found

    def stop(self) -> None:
        self.runner.kill()
        for service in self.services:
            service.stop()


@pytest.fixture
def town(control_plane: ControlPlane, start_worker: StartWorker, tmp_path: Path) -> Iterator[Town]:
    made = Town(control_plane, start_worker, tmp_path)
    try:
        yield made
    finally:
        made.stop()


@pytest.mark.long
def test_the_stories_of_the_guide(town: Town) -> None:
    town.open_names()
    town.runner.start()
    service = town.service("checkout")
    (town.folder / "slack.secret").write_text(f"{SLACK}\n")
    town.plane.push([http_test("Checkout API", f"http://127.0.0.1:{service.port}/", status="paused")])

    said = town.type("`/restart checkout` in the chat restarts a service")
    hook = re.findall(r"hook \(slack\): \S+?(/hooks/\w+)", said)[0]
    assert town.slack(hook, "checkout")["text"].startswith("restart-checkout: run ")
    [run] = town.ended("restart-checkout")
    assert [step["name"] for step in shown(town, run)["steps"]][:2] == ["restart", "verify"]
    assert (run["state"], len(service.starts)) == ("succeeded", 2)

    town.type("CI migrates a private database after a deploy, once")
    assert (town.requests / "migrations").read_text() == "migrated to 4f2a91c\n"

    said = town.type("On call: look from inside, clean up, stop what hangs")
    assert '"status": "passed"' in said
    assert "Filesystem" in said
    assert "cancel" in said

    patients = [Patient(town, f"service-{number}", tick_every=600) for number in range(2)]
    town.start_worker()
    suffer(town, patients, random.Random(16), ("control plane", "runner"))
    said = town.type("A test that fails has its service restarted, and is tested again")
    assert "workflow/service-1" in said


def shown(town: Town, run: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = town.runner.show(run["id"])
    return found


class Patient:
    """A broken service with a test that is about to fail, and the workflow of the guide for it."""

    def __init__(self, town: Town, name: str, *, tick_every: int) -> None:
        self.town, self.name = town, name
        self.service = town.service(name)
        self.service.break_()
        test = http_test(name, f"http://127.0.0.1:{self.service.port}/", tick_every=tick_every, status="paused")
        town.plane.push([test])
        text = re.sub(r"  - hook:.*\n    params:.*\n", "", town.files["restart-checkout.yaml"])
        words = {
            "restart-checkout": name,
            "Checkout API": name,
            "enum: [checkout, search], default: checkout": f"default: {name}",
        }
        for word, own in words.items():
            assert word in text
            text = text.replace(word, own)
        (town.folder / "workflow.yaml").write_text(text)
        town.plane.command("workflow", "push", str(town.folder / "workflow.yaml"))

    def fall_ill(self) -> None:
        self.town.plane.command("test", "resume", self.name)

    def check_recovery(self) -> None:
        """Exactly one run, which has restarted the service, and seen it pass."""
        [run] = self.town.ended(self.name)
        found = shown(self.town, run)
        assert found["state"] == "succeeded", found
        assert [step["name"] for step in found["steps"]].count("restart") == 1
        assert found["steps"][-1]["outputs"]["status"] == "passed"
        assert len(self.service.starts) >= 2


def suffer(town: Town, patients: Iterable[Patient], moments: random.Random, parts: Sequence[str]) -> None:
    """Let tests begin to fail, one after another, and kill a part of everything at some moment after each."""
    for number, patient in enumerate(patients):
        patient.fall_ill()
        time.sleep(moments.uniform(0, 1.5))  # the moment of the kill is what is tried
        match parts[number % len(parts)]:
            case "control plane":
                assert town.plane.program is not None
                town.plane.program.kill()
                town.plane.start()
            case "runner":
                town.runner.kill()
                town.runner.start()
            case "worker":
                assert town.worker is not None
                town.worker.kill()
                town.start_worker()
        patient.check_recovery()


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_failing_test_has_its_service_restarted_once_over_many_kills(town: Town) -> None:
    """Tests run every 30 seconds: a run that dies with its worker is followed by another."""
    town.open_names()
    town.runner.start()
    patients = [Patient(town, f"service-{number}", tick_every=30) for number in range(12)]
    town.start_worker()
    suffer(town, patients, random.Random(), ("control plane", "runner", "worker"))
