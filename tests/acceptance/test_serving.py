"""The main job, end to end: definitions go in, results come out, and no death of either side loses or doubles one."""

from __future__ import annotations

import json
import signal
import uuid
from collections import Counter
from pathlib import Path

import pytest
import trustme

from tests.support.definitions import http_test
from tests.support.programs import ControlPlane, StartWorker
from tests.support.servers.target import Target
from tests.support.waiting import eventually

pytestmark = pytest.mark.acceptance


def test_tests_are_pulled_run_and_reported(
    control_plane: ControlPlane, target: Target, start_worker: StartWorker
) -> None:
    config = control_plane.create_location()
    contains = {"type": "body", "operator": "contains", "target": "ok"}
    path = {
        "type": "body",
        "operator": "validatesJSONPath",
        "target": {"jsonPath": "$.status", "operator": "is", "targetValue": "ok"},
    }
    control_plane.push(
        [
            http_test("passes", f"{target.url}/", assertions=[contains, path]),
            http_test("fails", f"{target.url}/broken"),
            http_test("denied", "http://169.254.169.254/latest/meta-data/"),
        ]
    )
    start_worker(config)
    results = control_plane.wait_for_results(3)
    by_name = {result["test"]["name"]: result for result in results}
    assert by_name["passes"]["status"] == "passed"
    assert {"tcp", "firstByte", "download", "total"} <= set(by_name["passes"]["timings"])
    assert [entry["valid"] for entry in by_name["passes"]["assertions"]] == [True, True, True]
    assert by_name["fails"]["failure"]["code"] == "INCORRECT_ASSERTION"
    assert by_name["denied"]["failure"]["code"] == "DENIED"
    for result in results:
        phases = dict(result["timings"])
        total = phases.pop("total")
        assert round(sum(phases.values()) * 10) == round(total * 10), "the printed phases add up to the printed total"


def test_two_workers_share_the_work_and_run_nothing_twice(
    control_plane: ControlPlane, target: Target, start_worker: StartWorker
) -> None:
    config = control_plane.create_location()
    start_worker(config, "--concurrency=3")
    start_worker(config, "--concurrency=3")
    control_plane.push([http_test(f"test {n}", f"{target.url}/held/{n}", tick_every=600) for n in range(40)])
    eventually(lambda: len(target.hits) == 6, "six runs under way, which are too many for one worker")
    target.release.set()
    results = control_plane.wait_for_results(40)
    assert Counter(result["status"] for result in results) == {"passed": 40}
    assert set(target.hits.values()) == {1}
    assert len({result["location"]["worker_id"] for result in results}) == 2


def test_sigterm_lets_a_running_job_finish_and_reports_it(
    control_plane: ControlPlane, target: Target, start_worker: StartWorker
) -> None:
    config = control_plane.create_location()
    worker = start_worker(config)
    control_plane.push([http_test("slow", f"{target.url}/held")])
    assert target.held.wait(30)
    worker.signal(signal.SIGTERM)
    worker.wait_for('"draining"')
    assert worker.process.poll() is None
    target.release.set()
    assert worker.wait() == 0
    assert [result["status"] for result in control_plane.wait_for_results(1)] == ["passed"]


def test_what_the_drain_cuts_short_is_given_back_and_run_by_the_next_worker(
    control_plane: ControlPlane, target: Target, start_worker: StartWorker
) -> None:
    config = control_plane.create_location()
    worker = start_worker(config, "--drainTimeout=0")
    control_plane.push([http_test("slow", f"{target.url}/held")])
    assert target.held.wait(30)
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    target.release.set()
    start_worker(config)
    results = control_plane.wait_for_results(1)
    assert [result["status"] for result in results] == ["passed"]
    assert target.hits["/held"] == 2


def test_a_second_interrupt_ends_at_once(
    control_plane: ControlPlane, target: Target, start_worker: StartWorker
) -> None:
    worker = start_worker(control_plane.create_location())
    control_plane.push([http_test("slow", f"{target.url}/held")])
    assert target.held.wait(30)
    worker.signal(signal.SIGINT)
    worker.wait_for('"draining"')
    worker.signal(signal.SIGINT)
    assert worker.wait(10) == 130


def test_the_job_of_a_killed_worker_is_run_by_the_next(
    control_plane: ControlPlane, target: Target, start_worker: StartWorker
) -> None:
    config = control_plane.create_location()
    worker = start_worker(config)
    control_plane.push([http_test("slow", f"{target.url}/held", tick_every=600)])
    assert target.held.wait(30)
    worker.signal(signal.SIGKILL)
    worker.wait()
    target.release.set()
    start_worker(config)
    results = control_plane.wait_for_results(1)
    assert [result["status"] for result in results] == ["passed"]
    assert target.hits["/held"] == 2


def test_a_killed_control_plane_loses_no_accepted_result_and_gets_those_that_waited(
    control_plane: ControlPlane, target: Target, start_worker: StartWorker
) -> None:
    config = control_plane.create_location()
    control_plane.push([http_test("before", f"{target.url}/before", tick_every=600)])
    worker = start_worker(config)
    control_plane.wait_for_results(1)
    control_plane.push([http_test("during", f"{target.url}/held", tick_every=600)])
    assert target.held.wait(30)
    assert control_plane.program is not None
    control_plane.program.signal(signal.SIGKILL)
    control_plane.program.wait()
    target.release.set()
    worker.wait_for("push_failed")
    control_plane.start()
    control_plane.wait_for_results(2)
    assert Counter(target.hits) == {"/before": 1, "/held": 1}


def test_the_location_is_healthy_while_its_worker_pulls(control_plane: ControlPlane, start_worker: StartWorker) -> None:
    config = control_plane.create_location()
    assert state_of(control_plane) == "never seen"
    worker = start_worker(config)
    eventually(lambda: state_of(control_plane) == "healthy", "healthy location")
    worker.kill()
    eventually(lambda: state_of(control_plane) == "silent", "silence noticed")


def test_everything_goes_over_tls_with_an_internal_authority(
    tmp_path: Path, target: Target, start_worker: StartWorker
) -> None:
    authority, certificate = trustme.CA(), tmp_path / "certificate.pem"
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    plane = ControlPlane(tmp_path, f"--tls-cert={certificate}", scheme="https")
    plane.start()
    try:
        config = plane.create_location()
        plane.push([http_test("over TLS", target.url)])
        distrusting = start_worker(config)
        assert "caFile" in distrusting.wait_for("pull_failed")
        distrusting.kill()
        start_worker(config, f"--caFile={tmp_path / 'authority.pem'}")
        assert [result["status"] for result in plane.wait_for_results(1)] == ["passed"]
    finally:
        plane.stop()


def state_of(control_plane: ControlPlane) -> str:
    return str(json.loads(control_plane.command("location", "list", "--json"))["state"])


DOOR = (
    "door_open",
    "door_name",
    "door_look_up",
    "door_judge",
    "door_connect",
    "door_send",
    "door_receive",
    "door_close",
)


def test_secrets_stay_out_of_every_log(
    control_plane: ControlPlane, target: Target, start_worker: StartWorker, tmp_path: Path
) -> None:
    config = control_plane.create_location()
    definition = http_test("with a password", f"{target.url}/")
    definition["config"]["request"]["basicAuth"] = {"type": "web", "username": "u", "password": "hunter2-canary"}
    definition["config"]["request"]["url"] = target.url.replace("127.0.0.1", "{{ HOST }}") + "/"
    definition["config"]["configVariables"] = [
        {"type": "text", "name": "HOST", "pattern": "canary-host.localhost", "secure": True}
    ]
    control_plane.push([definition])
    worker = start_worker(config, "-vvvv", "-f=json")
    control_plane.wait_for_results(1)
    worker.signal(signal.SIGTERM)
    worker.wait()
    written = json.loads(config.read_text())
    secrets = [written["secretAccessKey"], written["privateKey"].splitlines()[1], "hunter2-canary", "canary-host"]
    logs = "".join(path.read_text(errors="replace") for path in tmp_path.glob("*.log"))
    assert len(logs) > 200
    assert not [secret for secret in secrets if secret in logs]
    told = [json.loads(line) for line in worker.output.splitlines()]
    actions = {record["action"] for record in told}
    assert actions >= {"pull", "lease_taken", *DOOR, "push"}, "every detail is told"
    (job,) = {record["job"] for record in told if record["action"] in ("lease_taken", *DOOR)}
    assert uuid.UUID(job), "and under the one job that was run"
    database = b"".join(
        path.read_bytes() for path in tmp_path.glob("controlplane.db*") if not path.name.endswith(".key")
    )
    assert not [secret for secret in secrets[:2] if secret.encode() in database]
