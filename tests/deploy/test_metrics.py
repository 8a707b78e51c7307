"""`/metrics` of a running worker as Prometheus reads it, and what asks for it: the alert rules, the dashboard, the guide."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.checkout import ROOT
from tests.support.definitions import http_test
from tests.support.peers import peer
from tests.support.programs import ControlPlane, StartWorker
from tests.support.servers.target import Target
from worker.outcome.failure import FailureCode

pytestmark = pytest.mark.deploy

RULES = ROOT / "k8s" / "monitoring" / "alerts.yaml"
DASHBOARD = ROOT / "k8s" / "monitoring" / "dashboard.json"
PLANE_DASHBOARD = DASHBOARD.with_name("dashboard-controlplane.json")
RUNNER_DASHBOARD = DASHBOARD.with_name("dashboard-runner.json")
GUIDE = ROOT / "docs" / "reference.md"
TROUBLES = ROOT / "docs" / "troubleshooting.md"
NAME = re.compile(r"synthetics_worker_[a-z_]+")


@pytest.fixture
def scraped(control_plane: ControlPlane, target: Target, start_worker: StartWorker) -> str:
    """After a run that passed and one that did not."""
    config = control_plane.create_location()
    worker = start_worker(config, "--enableStatusProbes", "--statusProbesPort=0")
    port = json.loads(worker.wait_for('"status_probes"'))["port"]
    control_plane.push([http_test("well", target.url), http_test("broken", f"{target.url}/broken")])
    control_plane.wait_for_results(2)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
        return str(reply.read().decode())


def expressions(dashboard: Path = DASHBOARD) -> Iterator[str]:
    """Every query of a dashboard, its variables filled in as Grafana does."""
    for panel in json.loads(dashboard.read_text())["panels"]:
        for target in panel["targets"]:
            yield re.sub(r"\$(job|location|instance)", ".*", target["expr"].replace("$__rate_interval", "1m"))


def samples(text: str) -> set[str]:
    return {line.partition(" ")[0].partition("{")[0] for line in text.splitlines() if not line.startswith("#")}


def test_promtool_has_nothing_to_say_of_the_figures_of_a_running_worker(scraped: str) -> None:
    done = subprocess.run([peer("promtool"), "check", "metrics"], input=scraped, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_alerts_and_dashboard_ask_for_figures_that_exist_and_the_guide_explains_each(scraped: str) -> None:
    there = samples(scraped)
    asked = set(NAME.findall(RULES.read_text())) | {name for text in expressions() for name in NAME.findall(text)}
    assert len(asked) > 15
    assert asked - there == set()
    whole = {re.sub("_(bucket|sum|count)$", "", name) for name in there if not name.endswith("_created")}
    assert {name for name in whole if f"`{name}`" not in GUIDE.read_text()} == set()


def test_no_test_and_no_host_is_a_label(scraped: str, target: Target) -> None:
    labels = set(re.findall(r'[{,]([a-z_]+)="', scraped))
    assert labels == {"status", "code", "outcome", "subtype", "le", "version", "location"}
    assert "127.0.0.1" not in scraped


def test_promtool_accepts_the_rules_and_every_query_of_the_dashboards(tmp_path: Path) -> None:
    queries = [*expressions(), *expressions(PLANE_DASHBOARD), *expressions(RUNNER_DASHBOARD)]
    recorded = [{"record": f"dashboard:{number}", "expr": text} for number, text in enumerate(queries)]
    rules = tmp_path / "dashboard.json"  # JSON is YAML
    rules.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": recorded}]}))
    done = subprocess.run([peer("promtool"), "check", "rules", str(RULES), str(rules)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(recorded)} rules found" in done.stdout


def test_the_alerts_fire_when_they_should_and_not_before() -> None:
    cases = Path(__file__).with_name("alerts.yaml")
    done = subprocess.run([peer("promtool"), "test", "rules", str(cases)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_guide_explains_every_failure_code() -> None:
    text = TROUBLES.read_text()
    assert {code.value for code in FailureCode if f"`{code.value}`" not in text} == set()
