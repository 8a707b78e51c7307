"""The words that start a runner, and where its figures are."""

from __future__ import annotations

import shlex

from controlplane.store.runners import StoredRunner


def how_to_start(runner: StoredRunner) -> str:
    """Commands that start the runner with its token, which stands in $RUNNER_ENROLLMENT_TOKEN; and its metrics."""
    loopback = "127.0.0.1" in runner.base_url or "localhost" in runner.base_url
    lines = [
        "Start it here, where the folder ./runner keeps its identity, connections and policy:",
        "  RUNNER_ENROLLMENT_TOKEN=… DD_PRIVATE_RUNNER_CONFIG_DIR=$PWD/runner private-action-runner",
        "Nothing is allowed until ./runner/policy.yaml allows it; docs/actions.md shows how.",
        "Its metrics, for Prometheus, where ACTION_RUNNER_PROBES_HOST lets it in:",
        f"  - {{job_name: private-action-runner, static_configs: [{{targets: ['{shlex.quote(runner.name)}:9017']}}]}}",
    ]
    if loopback:
        lines.append(f"A runner on another machine does not reach {runner.base_url}: name another with --url.")
    return "\n".join(lines)
