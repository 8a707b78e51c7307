"""What a worker finished survives its death: killed with SIGKILL, while the control plane is away, and brought back."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.definitions import http_test
from tests.support.programs import ControlPlane, Program, StartWorker, run
from tests.support.servers.target import Target
from tests.support.waiting import eventually

pytestmark = pytest.mark.acceptance

RUNS = 12


def end(program: Program | None) -> None:
    assert program is not None
    program.signal(signal.SIGKILL)
    program.process.wait()


def listed(config: Path, spool: Path) -> list[dict[str, Any]]:
    """What `spool list` says of each worker's directory."""
    done = run("worker", "spool", "list", str(spool), "--json", f"--config={config}")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()[:-1]]


def results_in(config: Path, spool: Path) -> int:
    return sum(entry["results"] for entry in listed(config, spool))


def started(worker: Program) -> str:
    return str(json.loads(worker.wait_for('"started"'))["worker"])


def finish_in_an_outage(control_plane: ControlPlane, target: Target, *, runs: int) -> None:
    """Have *runs* tests under way, end the control plane, and let them finish."""
    control_plane.push([http_test(f"test {n}", f"{target.url}/held/{n}", tick_every=600) for n in range(runs)])
    eventually(lambda: len(target.hits) == runs, f"{runs} runs under way")
    end(control_plane.program)
    target.release.set()


def test_what_was_finished_before_a_kill_is_delivered_after_it_with_its_own_times_and_runs_only_once(
    control_plane: ControlPlane, target: Target, start_worker: StartWorker, tmp_path: Path
) -> None:
    config, spool = control_plane.create_location(), tmp_path / "spool"
    flags = (f"--spoolDirectory={spool}", f"--concurrency={RUNS}")
    worker = start_worker(config, *flags)
    finish_in_an_outage(control_plane, target, runs=RUNS)
    eventually(lambda: results_in(config, spool) == RUNS, "results on disk")
    killed_at = time.time() * 1000
    end(worker)
    control_plane.start()
    again = start_worker(config, *flags)
    results = control_plane.wait_for_results(RUNS)
    assert Counter(result["status"] for result in results) == {"passed": RUNS}
    assert all(result["started_at"] <= result["finished_at"] < killed_at for result in results)
    assert {result["location"]["worker_id"] for result in results} == {started(worker)} == {started(again)}
    assert set(target.hits.values()) == {1}, "the same worker again: its leases held, and nothing ran twice"
    again.signal(signal.SIGTERM)
    assert again.wait() == 0
    assert list(spool.iterdir()) == [], "what the control plane has is not kept"


def test_a_second_kill_amid_the_delivery_loses_nothing(
    control_plane: ControlPlane, target: Target, start_worker: StartWorker, tmp_path: Path
) -> None:
    config, spool = control_plane.create_location(), tmp_path / "spool"
    flags = (f"--spoolDirectory={spool}", f"--concurrency={RUNS}")
    worker = start_worker(config, *flags)
    finish_in_an_outage(control_plane, target, runs=RUNS)
    eventually(lambda: results_in(config, spool) == RUNS, "results on disk")
    for _ in range(3):
        end(worker)
        worker = start_worker(config, *flags)
        worker.wait_for("push_failed")
    end(worker)
    control_plane.start()
    start_worker(config, *flags)
    results = control_plane.wait_for_results(RUNS)
    assert Counter(result["test"]["name"] for result in results) == {f"test {n}": 1 for n in range(RUNS)}


@pytest.mark.long
def test_without_a_spool_the_same_kill_costs_the_results_and_the_runs_are_done_again(
    control_plane: ControlPlane, target: Target, start_worker: StartWorker
) -> None:
    config = control_plane.create_location()
    worker = start_worker(config)
    finish_in_an_outage(control_plane, target, runs=1)
    worker.wait_for("push_failed")
    end(worker)
    control_plane.start()
    start_worker(config)
    control_plane.wait_for_results(1)
    assert target.hits == {"/held/0": 2}


def test_a_command_delivers_what_a_dead_worker_left_and_leaves_a_living_one_alone(
    control_plane: ControlPlane, target: Target, start_worker: StartWorker, tmp_path: Path
) -> None:
    config, spool = control_plane.create_location(), tmp_path / "spool"
    flags = (f"--spoolDirectory={spool}", f"--concurrency={RUNS}")
    dead = start_worker(config, *flags)
    finish_in_an_outage(control_plane, target, runs=RUNS)
    eventually(lambda: results_in(config, spool) == RUNS, "results on disk")
    living = start_worker(config, *flags)
    end(dead)
    push = ("spool", "push", str(spool), f"--config={config}")
    control_plane.start()
    done = run("worker", *push)
    assert (done.returncode, done.stdout) == (0, f"{RUNS} accepted\n"), done.stderr
    assert len(control_plane.wait_for_results(RUNS)) == RUNS
    [left] = listed(config, spool)
    assert (left["worker"], left["in_use"]) == (started(living), True)
    dropped = run("worker", "spool", "drop", str(spool))
    assert dropped.returncode == 1
    assert "in use" in dropped.stderr
    assert living.process.poll() is None


def test_a_full_disk_takes_no_more_work_and_gives_up_no_result(
    control_plane: ControlPlane, target: Target, start_worker: StartWorker, tmp_path: Path
) -> None:
    config, disk = control_plane.create_location(), tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs needs root")
    try:
        control_plane.push([http_test("not to be run", f"{target.url}/", tick_every=600)])
        worker = start_worker(config, f"--spoolDirectory={disk}")
        eventually(lambda: "spool" in control_plane.command("location", "list", "--json"), "a worker that says why")
        assert target.hits == {}
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        assert [result["status"] for result in control_plane.wait_for_results(1)] == ["passed"]
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
