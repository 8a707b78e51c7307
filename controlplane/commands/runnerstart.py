"""The words that start a runner: Docker, Kubernetes, this machine; and where its figures are."""

from __future__ import annotations

import shlex

from controlplane.store.runners import StoredRunner

IMAGE = "open-private-action-runner"
CONFIG_DIRECTORY = "/etc/dd-action-runner/config"


def how_to_start(runner: StoredRunner) -> str:
    """Commands that start the runner with its token, which stands in $RUNNER_ENROLLMENT_TOKEN; and its metrics."""
    loopback = "127.0.0.1" in runner.base_url or "localhost" in runner.base_url
    network = "--network host " if loopback else ""
    lines = [
        "Start it here, where the folder ./runner keeps its identity, connections and policy:",
        "  RUNNER_ENROLLMENT_TOKEN=… DD_PRIVATE_RUNNER_CONFIG_DIR=$PWD/runner private-action-runner",
        "in Docker:",
        f'  docker run -d --user "$(id -u)" {network}-e RUNNER_ENROLLMENT_TOKEN=… -v "$PWD"/runner:{CONFIG_DIRECTORY} {IMAGE}',
        "in Kubernetes:",
        "  kubectl create secret generic private-action-runner-enrolment --from-literal=token=…",
        "  kubectl apply -k k8s/runner",
        "Nothing is allowed until ./runner/policy.yaml allows it; docs/actions.md shows how.",
        "Its metrics, for Prometheus (k8s/monitoring has the dashboard and the alerts):",
        f"  - {{job_name: private-action-runner, static_configs: [{{targets: ['{shlex.quote(runner.name)}:9017']}}]}}",
    ]
    if loopback:
        lines.append(f"A runner on another machine does not reach {runner.base_url}: name another with --url.")
    return "\n".join(lines)
