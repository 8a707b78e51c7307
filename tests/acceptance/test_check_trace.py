"""`check --trace` of the examples, pinned: what each does on the network, line by line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.definitions import api_test
from tests.support.programs import environment, run

pytestmark = pytest.mark.acceptance

ESTABLISHED = {"type": "connection", "operator": "is", "target": "established"}
USUAL_PORTS = ("18080", "18081", "18082", "18083")
ALLOW = "allowed by whitelistedRange.4 127.0.0.1/32"
DENIED = "denied by the IANA special-purpose block 169.254.0.0/16 (link-local, RFC 3927)"
FOUND = (
    "name     shop.demo.internal: no rule is about it",
    "look-up  shop.demo.internal: 127.0.0.1, by 127.0.0.1:18083",
    f"judge    127.0.0.1: {ALLOW}",
)
EXCHANGED = ("send     N bytes", "receive  N bytes", "close    sent N bytes, received N bytes")
TIMELINES = {
    "Shop API is healthy": (
        "open     shop.demo.internal:18080",
        *FOUND,
        "connect  127.0.0.1:18080 in N ms",
        *EXCHANGED,
    ),
    "Shop front page over HTTPS": (
        "open     shop.demo.internal:18081",
        *FOUND,
        "connect  127.0.0.1:18081 in N ms",
        "TLS      TLSv1.3, TLS_AES_256_GCM_SHA384 in N ms",
        *EXCHANGED,
    ),
    "Checkout answers": (
        "open     shop.demo.internal:18080",
        *FOUND,
        "connect  127.0.0.1:18080 in N ms",
        *EXCHANGED,
    ),
    "Mail server accepts connections": (
        "open     127.0.0.1:18082",
        "name     127.0.0.1: no rule is about it",
        f"judge    127.0.0.1: {ALLOW}",
        "connect  127.0.0.1:18082 in N ms",
        "close    sent N bytes, received N bytes",
    ),
    "Internal DNS knows the shop": (
        "name     127.0.0.1: no rule is about it",
        f"judge    127.0.0.1: {ALLOW}",
        "ask      A of shop.demo.internal",
        "name     shop.demo.internal: no rule is about it",
        "answer   NOERROR, 1 record, by 127.0.0.1:18083",
    ),
    "Cloud metadata stays out of reach": (
        "open     169.254.169.254:80",
        "name     169.254.169.254: no rule is about it",
        f"judge    169.254.169.254: {DENIED}",
        f"failed   DENIED: the egress policy does not allow 169.254.169.254: {DENIED}; whitelistedRange.4 would allow it",
    ),
}


@contextmanager
def company_network(ca_file: Path) -> Iterator[list[str]]:
    """The demo's targets on free ports, which are yielded in the order of the usual ones."""
    arguments = [sys.executable, "-m", "examples.target", "--ports", *"0000", "--ca-file", str(ca_file)]
    folder = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(arguments, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ready, *ports = process.stdout.readline().split()
        assert ready == "ready"
        yield ports
    finally:
        process.kill()
        process.communicate()


def examples_on(ports: list[str], folder: Path) -> list[str]:
    """The example definitions, with *ports* in the place of the usual ones."""
    written = []
    for path in sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.json")):
        text = path.read_text()
        for usual, port in zip(USUAL_PORTS, ports, strict=True):
            text = text.replace(usual, port)
        copy = folder / path.name
        copy.write_text(text)
        written.append(str(copy))
    return written


def timelines(output: str, ports: list[str]) -> dict[str, tuple[str, ...]]:
    """The lines of each test without what differs from run to run."""
    for usual, port in zip(USUAL_PORTS, ports, strict=True):
        output = output.replace(f":{port}", f":{usual}")
    found: dict[str, list[str]] = {}
    name = ""
    for line in output.splitlines():
        if line.startswith("timeline of "):
            name = line.removeprefix("timeline of ")
        timed = re.fullmatch(r" {0,8}[0-9]+\.[0-9] ms  (.*)", line)
        if timed:
            text = re.sub(r"\d+ bytes", "N bytes", timed[1])
            found.setdefault(name, []).append(re.sub(r"in [0-9.]+ ms", "in N ms", text))
    return {name: tuple(lines) for name, lines in found.items()}


def test_the_timelines_of_the_examples(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    with company_network(ca_file) as ports:
        flags = ("--whitelistedRange.4=127.0.0.1/32", f"--dnsServer=127.0.0.1:{ports[3]}", f"--caFile={ca_file}")
        done = run("worker", "check", *examples_on(ports, tmp_path), *flags, "--trace")
    assert (done.returncode, done.stderr) == (1, "")
    assert timelines(done.stdout, ports) == TIMELINES
    blocks = [line for line in done.stdout.splitlines() if line.startswith(("timeline", "✓", "✗"))]
    assert [line.startswith("timeline") for line in blocks] == [True, False] * len(TIMELINES)
    assert done.stdout.splitlines()[-1] == "6 tests: 4 passed, 2 failed"


def test_a_timeline_keeps_out_of_the_way_of_programs(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps(api_test("tcp", ESTABLISHED, host="10.1.2.3", port=80)))
    done = run("worker", "check", str(tmp_path / "t.json"), "--trace", "--json")
    assert json.loads(done.stdout)["failure"]["code"] == "DENIED"
    first, *lines = done.stderr.splitlines()
    assert first == "timeline of shop"
    assert [line.split()[2] for line in lines] == ["open", "name", "judge", "failed"]
