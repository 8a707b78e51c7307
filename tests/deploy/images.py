"""The three images, and how their containers are started."""

from __future__ import annotations

from collections.abc import Callable

from tests.deploy.engine import Container

WORKER = "open-private-location"
CONTROL_PLANE = "open-private-location-controlplane"
RUNNER = "open-private-action-runner"
MOUNT = "/etc/datadog/synthetics-check-runner.json"
RUNNER_MOUNT = "/etc/dd-action-runner/config"
HARDENED = (
    "--read-only",
    "--tmpfs=/tmp:rw,noexec,nosuid,size=16m",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--user=4242:4242",
    "--memory=1g",
    "--pids-limit=64",
)

StartContainer = Callable[..., Container]
