"""The words that start a runner: here, in Docker, in Kubernetes; and where its figures are. No token stands in them."""

from __future__ import annotations

import shlex
from typing import Final
from urllib.parse import urlsplit

IMAGE: Final = "open-private-action-runner"
MOUNT: Final = "/etc/dd-action-runner/config"
"""The place of its folder in the image."""
NAMESPACE: Final = "private-actions"
SECRET: Final = "private-action-runner-token"  # noqa: S105 - a name


def how_to_start(name: str, base_url: str) -> str:
    """Commands that start the runner, whose token the shell has as RUNNER_ENROLLMENT_TOKEN; its metrics; and warnings."""
    parts = urlsplit(base_url)
    loopback = _is_loopback(parts.hostname or "")
    lines = [
        "Start it, where the folder ./runner keeps its identity, connections and policy:",
        "  DD_PRIVATE_RUNNER_CONFIG_DIR=$PWD/runner private-action-runner",
        "in Docker:",
        f"  mkdir -p runner && {docker(loopback=loopback)}",
        "in Kubernetes, with connections and policy in k8s/runner/config:",
        "  kubectl apply -f k8s/runner/namespace.yaml",
        f"  {secret()}",
        "  kubectl apply -k k8s/runner",
        "Nothing is allowed until policy.yaml allows it; docs/actions.md shows how.",
        "Its metrics, for Prometheus, where ACTION_RUNNER_PROBES_HOST lets it in:",
        f"  - {{job_name: private-action-runner, static_configs: [{{targets: ['{shlex.quote(name)}:9017']}}]}}",
        "Dashboard and alerts for them: k8s/monitoring/dashboard-runner.json and alerts.yaml.",
    ]
    if loopback:
        lines.append(f"A runner on another machine does not reach {base_url}: name another with --base-url.")
    elif parts.scheme == "http":
        lines.append("Runners refuse plain HTTP to another machine unless they are given insecureControlPlane.")
    return "\n".join(lines)


def docker(*, loopback: bool = False) -> str:
    """The `docker run` of a POSIX shell, as you, who own the folder. The token is handed on by name."""
    network = "--network host -e ACTION_RUNNER_PROBES_HOST=127.0.0.1 " if loopback else ""
    hardened = "--read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges"
    return (
        f'docker run -d --restart unless-stopped --stop-timeout 80 --user "$(id -u)" {hardened} {network}'
        f'-e RUNNER_ENROLLMENT_TOKEN -v "$PWD"/runner:{MOUNT} {IMAGE}'
    )


def secret() -> str:
    """The command that gives the token to the pod of k8s/runner."""
    create = f"kubectl -n {NAMESPACE} create secret generic {SECRET} --from-file=token=/dev/stdin"
    return f'printf %s "$RUNNER_ENROLLMENT_TOKEN" | {create}'


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
