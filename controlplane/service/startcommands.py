"""Commands that start a worker with a location's config file, for the command line and the pages."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from urllib.parse import urlsplit

IMAGE = "open-private-location"
MOUNT = "/etc/datadog/synthetics-check-runner.json"
"""The path at which a worker in a container looks for its config file."""
POD_KEY = "worker-config.json"
"""The file's name in the ConfigMap of k8s/private-worker-pod.yaml."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartCommand:
    """Lines to type, and in words where and for what."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigPath:
    """The path of a config file as it is typed. One that is not absolute is of the folder in which the shell is."""

    text: str

    @property
    def shown(self) -> str:
        return shlex.quote(self.text)

    @property
    def name(self) -> str:
        return self.text.rpartition("/")[2]

    @property
    def mounted(self) -> str:
        """The path as `docker run -v` takes it, which has to be absolute."""
        return self.shown if self.text.startswith("/") else f'"$PWD"/{self.shown}'


def reaching(intake_url: str) -> StartCommand:
    """Commands that try the way to the control plane."""
    url = shlex.quote(intake_url + "/")
    return StartCommand(
        title="Try from the worker's machine whether the control plane can be reached (--cacert FILE for an internal authority):",
        lines=(f"curl -sS {url}", f"curl -sS --proxy http://PROXY:PORT {url}"),
    )


def starting(path: ConfigPath, intake_url: str) -> tuple[StartCommand, ...]:
    """Commands that start a worker, here and in containers."""
    return (
        StartCommand(title="Start a worker here:", lines=(f"synthetics-worker --config {path.shown}",)),
        StartCommand(title="in Docker:", lines=(docker(path, loopback=_is_loopback(intake_url)),)),
        StartCommand(
            title="in Docker on Windows, in PowerShell, where the file is (Linux containers):",
            lines=(powershell(path),),
        ),
        StartCommand(
            title="in Kubernetes, one pod with a ConfigMap:",
            lines=(
                f"kubectl create configmap private-worker-config --from-file={POD_KEY}={path.shown}",
                "kubectl apply -f k8s/private-worker-pod.yaml",
            ),
        ),
        StartCommand(
            title="or, to stay, three workers:",
            lines=(f"cp {path.shown} k8s/worker/worker-config.json && kubectl apply -k k8s/worker",),
        ),
    )


def compose(path: ConfigPath, intake_url: str) -> tuple[StartCommand, StartCommand]:
    """A compose file, and the command for it: the file is yours alone, so that the worker runs as you."""
    network = ("    network_mode: host",) if _is_loopback(intake_url) else ()
    text = (
        "services:",
        "  worker:",
        f"    image: {IMAGE}",
        '    user: "${CONFIG_UID}"',
        "    restart: unless-stopped",
        *network,
        f'    volumes: ["./{path.name}:{MOUNT}:ro"]',
    )
    return (
        StartCommand(title="in a compose file, compose.yaml, beside the config file:", lines=text),
        StartCommand(title="and then:", lines=('CONFIG_UID="$(id -u)" docker compose up --detach',)),
    )


def warnings(intake_url: str) -> tuple[str, ...]:
    """Sentences about an intake URL that works on one machine alone, or in the clear."""
    if _is_loopback(intake_url):
        return (f"Workers on other machines do not reach {intake_url}: name another with --intake-url.",)
    if urlsplit(intake_url).scheme == "http":
        return ("Workers refuse plain HTTP to another machine unless they are given --insecureIntake.",)
    return ()


def docker(path: ConfigPath, *, loopback: bool = False) -> str:
    """The `docker run` of a POSIX shell, as you: the file is yours alone, and the image's own user could not read it."""
    network = "--network host " if loopback else ""
    return f'docker run --rm --user "$(id -u)" {network}-v {path.mounted}:{MOUNT}:ro {IMAGE}'


_LIVE_IN_POWERSHELL = re.compile('[`$"\u201c\u201d\u201e]')
"""Characters that mean something within its double quotes (about_Quoting_Rules), typographic ones among them."""


def powershell(path: ConfigPath) -> str:
    """The `docker run` of PowerShell. Docker Desktop lets every user read what Windows mounts."""
    name = _LIVE_IN_POWERSHELL.sub("`\\g<0>", path.name)
    return f'docker run --rm -v "${{PWD}}/{name}:{MOUNT}:ro" {IMAGE}'


def _is_loopback(intake_url: str) -> bool:
    host = urlsplit(intake_url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")
