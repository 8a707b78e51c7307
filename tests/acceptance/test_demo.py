"""`make run`, as a newcomer sees it: results within seconds, and a clean end at the first Ctrl-C."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from tests.support.peers import REQUIRED
from tests.support.programs import environment

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(
        not REQUIRED and not Path(sysconfig.get_path("scripts"), "synthetics-worker").exists(),
        reason="the commands are not installed in this environment",
    ),
]


def free_base_port() -> int:
    """Five ports in a row that nobody listens on just now."""
    for base in range(21000, 29000, 7):
        try:
            for port in range(base, base + 5):
                with socket.create_server(("127.0.0.1", port)):
                    pass
        except OSError:
            continue
        return base
    raise AssertionError("no five free ports in a row")


def test_the_demo_shows_every_kind_of_result_and_ends_clean(tmp_path: Path) -> None:
    import examples  # noqa: PLC0415  # where it is decides which copy is run

    output = tmp_path / "demo.log"
    started = time.monotonic()
    with output.open("w") as log:
        demo = subprocess.Popen(
            [sys.executable, "-m", "examples.demo", "--base-port", str(free_base_port())],
            cwd=Path(next(iter(examples.__path__))).parent,
            env=environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while output.read_text().count(" ms") < 5:
            assert demo.poll() is None, output.read_text()
            assert time.monotonic() - started < 120, output.read_text()
            time.sleep(0.1)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(120) == 0, output.read_text()
    finally:
        if demo.poll() is None:
            demo.kill()
            demo.wait()
    text = output.read_text()
    assert re.search(r"passed +Shop API is healthy .*dns [\d.]+ · tcp [\d.]+ · firstByte [\d.]+", text)
    assert re.search(r"passed +Shop front page over HTTPS .*ssl", text)
    assert re.search(r"failed +Checkout answers .*INCORRECT_ASSERTION: .*503", text)
    assert re.search(r"passed +Mail server accepts connections", text)
    assert re.search(r"passed +Internal DNS knows the shop", text)
    assert re.search(r"failed +Cloud metadata stays out of reach .*DENIED", text)
    assert "--whitelistedRange.4=127.0.0.1/32" in text
    assert text.rstrip().endswith("drained and clean")
    assert "Traceback" not in text
