"""The pipelines' own client from npm, unmodified, at the versions that its behaviour was read from. It is installed once."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.support.peers import missing, peer

PACKAGES = ("@datadog/datadog-ci@5.25.0", "@datadog/datadog-ci-plugin-synthetics@5.24.1")
INSTALL_SECONDS = 240
RUN_SECONDS = 240


@dataclass(frozen=True)
class Ended:
    """A run of the client that has ended: its exit status, its output, and its JUnit report where it wrote one."""

    code: int
    output: str
    junit: ET.Element | None

    def counts(self) -> dict[str, int]:
        """The counts of the whole report."""
        assert self.junit is not None, self.output
        names = ("passed", "failed", "failed_non_blocking", "critical_error", "not_found", "skipped", "timed_out")
        return {name: int(self.junit.attrib[f"tests_{name}"]) for name in names}

    def cases(self) -> list[ET.Element]:
        assert self.junit is not None, self.output
        return list(self.junit.iter("testcase"))


@dataclass(frozen=True)
class DatadogCI:
    """The client, pointed at *url* with these keys."""

    program: Path
    node: str
    folder: Path
    url: str
    api_key: str
    app_key: str

    def run_tests(self, *arguments: str) -> Ended:
        """Run `synthetics run-tests` to its end."""
        report = self.folder / "report.xml"
        report.unlink(missing_ok=True)
        command = ("synthetics", "run-tests", "--failOnCriticalErrors", "--jUnitReport", str(report), *arguments)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "DD_API_HOST_OVERRIDE": self.url,
            "DD_API_KEY": self.api_key,
            "DD_APP_KEY": self.app_key,
            "NO_PROXY": "127.0.0.1",
            "DISABLE_PLUGIN_AUTO_INSTALL": "1",
        }
        done = subprocess.run(
            [self.node, str(self.program), *command],
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
        )
        junit = ET.parse(report).getroot() if report.exists() else None
        return Ended(done.returncode, done.stdout + done.stderr, junit)


def installed() -> Path:
    """The client's program, installed if it is not yet. Skips the test, or fails it in CI, where npm cannot get it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "open-private-location" / "datadog-ci"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        stamp = cache / "installed.json"
        if not stamp.exists() or json.loads(stamp.read_text()) != list(PACKAGES):
            _install(cache)
            stamp.write_text(json.dumps(PACKAGES))
    return cache / "node_modules" / "@datadog" / "datadog-ci" / "dist" / "bundle.js"


def _install(cache: Path) -> None:
    options = ("--prefix", str(cache), "--no-audit", "--no-fund", "--ignore-scripts", "--no-save")
    command = [peer("npm"), "install", *options, *PACKAGES]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        missing(f"npm did not install {PACKAGES[0]} in {INSTALL_SECONDS} s")
    if done.returncode:
        missing(f"npm cannot install {PACKAGES[0]}: {done.stderr.strip().splitlines()[-1:]}")
