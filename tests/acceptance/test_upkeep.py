"""What docs/guide.md says of upgrades and of new keys, done as it says: no run is lost or doubled by either."""

from __future__ import annotations

import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.definitions import http_test
from tests.support.programs import ControlPlane, StartWorker
from tests.support.servers.target import Target

pytestmark = pytest.mark.acceptance


def test_a_new_worker_takes_over_while_the_old_one_drains(
    control_plane: ControlPlane, target: Target, start_worker: StartWorker
) -> None:
    config = control_plane.create_location()
    old = start_worker(config)
    control_plane.push([http_test("under way", f"{target.url}/held", tick_every=600)])
    assert target.held.wait(30)
    start_worker(config)
    old.signal(signal.SIGTERM)
    old.wait_for('"draining"')
    control_plane.push([http_test(f"test {n}", f"{target.url}/{n}", tick_every=600) for n in range(20)])
    control_plane.wait_for_results(20)
    target.release.set()
    assert old.wait() == 0
    results = control_plane.wait_for_results(21)
    assert {result["status"] for result in results} == {"passed"}
    assert set(target.hits.values()) == {1}
    drained = next(result for result in results if result["test"]["name"] == "under way")
    assert [result for result in results if result["location"]["worker_id"] == drained["location"]["worker_id"]] == [
        drained
    ]


def test_a_rotated_location_moves_to_its_new_file_without_a_gap(
    control_plane: ControlPlane, target: Target, start_worker: StartWorker, tmp_path: Path
) -> None:
    old = start_worker(control_plane.create_location())
    renewed = tmp_path / "worker-config-new.json"
    control_plane.command("location", "rotate", "office", "--output", str(renewed), "--overlap-hours", "24")
    control_plane.push([http_test("with the old file", target.url, tick_every=600)])
    control_plane.wait_for_results(1)
    start_worker(renewed)
    old.signal(signal.SIGTERM)
    assert old.wait() == 0
    control_plane.push([http_test("with the new file", target.url, tick_every=600)])
    assert [result["status"] for result in control_plane.wait_for_results(2)] == ["passed", "passed"]


@pytest.mark.long
def test_a_stolen_file_ends_at_once_and_its_runs_are_run_again(
    control_plane: ControlPlane, target: Target, start_worker: StartWorker, tmp_path: Path
) -> None:
    stolen = start_worker(control_plane.create_location())
    control_plane.push([http_test("under way", f"{target.url}/held", tick_every=600)])
    assert target.held.wait(30)
    renewed = tmp_path / "worker-config-new.json"
    control_plane.command("location", "rotate", "office", "--output", str(renewed), "--overlap-hours", "0")
    assert '"status":401' in stolen.wait_for("pull_failed")
    target.release.set()
    assert '"status":401' in stolen.wait_for("push_failed")
    start_worker(renewed)
    (result,) = control_plane.wait_for_results(1)
    assert result["status"] == "passed"
    assert target.hits["/held"] == 2


def test_a_copy_of_a_running_control_planes_database_and_its_key_are_all_that_another_needs(
    control_plane: ControlPlane, target: Target, start_worker: StartWorker, tmp_path: Path
) -> None:
    start_worker(control_plane.create_location())
    control_plane.push([http_test("before", f"{target.url}/before", tick_every=600)])
    control_plane.wait_for_results(1)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with closing(sqlite3.connect(control_plane.database)) as database:
        database.execute("VACUUM INTO ?", [str(elsewhere / "controlplane.db")])
    shutil.copy(f"{control_plane.database}.key", elsewhere)
    control_plane.stop()
    restored = ControlPlane(elsewhere)
    restored.port = control_plane.port
    restored.start()
    try:
        restored.push([http_test("after", f"{target.url}/after", tick_every=600)])
        assert [result["test"]["name"] for result in restored.wait_for_results(2)] == ["before", "after"]
    finally:
        restored.stop()
    assert target.hits == {"/before": 1, "/after": 1}
