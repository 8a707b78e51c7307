"""`make run`, as a newcomer sees it: results within seconds, whatever ports are taken, and a clean end however it ends."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from _pytest.mark import ParameterSet

from tests.support.apppages import app_request
from tests.support.peers import REQUIRED
from tests.support.programs import environment
from tests.support.visitors import PageVisitor
from tests.support.waiting import eventually

PROGRAMS = ("synthetics-controlplane", "synthetics-worker", "private-action-runner")

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(
        not REQUIRED and not all(Path(sysconfig.get_path("scripts"), name).exists() for name in PROGRAMS),
        reason="the commands are not installed in this environment",
    ),
]

USUAL_PORTS = range(18080, 18085)
STARTING = 120.0
"""Seconds for a sign of it: it starts ten processes and commands, one after the other."""
ENDING = 90.0
"""Seconds for its processes to drain and end, on a machine that is busy with other tests."""


class Demo:
    """A demo that was started as `make run` does, with a temporary folder of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        import examples  # noqa: PLC0415  # where it is decides which copy is run

        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self._output = folder / "demo.log"
        with self._output.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "examples.demo", *arguments],
                cwd=Path(next(iter(examples.__path__))).parent,
                env=environment({"TMPDIR": str(self.temporary)}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def wait_for(self, text: str, times: int = 1) -> None:
        def found() -> bool:
            return self.output.count(text) >= times or self.process.poll() is not None

        eventually(found, f"{text!r} in the output of the demo", lambda: self.output, seconds=STARTING)
        assert self.output.count(text) >= times, self.output

    def press_ctrl_c(self) -> None:
        """A terminal sends it to every process of the foreground's group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def processes(self) -> list[str]:
        """The command lines of those that still run, by the folder in their environment."""
        mark = f"TMPDIR={self.temporary}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:  # another user's, or just gone
                continue
        return found

    def end(self) -> None:
        """Whatever a test left: the process that was started is enough, the others see it end."""
        self.process.kill()
        self.process.wait()
        eventually(lambda: not self.processes(), "end of every process", lambda: str(self.processes()))


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Demo]:
    demo = Demo(folder, *arguments)
    try:
        yield demo
    finally:
        demo.end()


@pytest.fixture
def usual_ports_taken() -> Iterator[None]:
    """One of the usual ports is somebody else's: ours, or whoever has it already."""
    with ExitStack() as stack:
        with suppress(OSError):
            stack.enter_context(socket.create_server(("127.0.0.1", USUAL_PORTS[2])))
        yield


def is_over(demo: Demo) -> None:
    """Nothing is left: no process, no file with a key in it."""
    eventually(
        lambda: not demo.processes() and not list(demo.temporary.iterdir()),
        "clean end",
        lambda: f"{demo.processes()} {list(demo.temporary.iterdir())} {demo.output}",
        seconds=ENDING,
    )
    assert "Traceback" not in demo.output


def page(demo: Demo) -> str:
    """The page behind the link that the demo prints."""
    link = re.search(r"in a browser, within ten minutes: (\S+)", demo.output)
    assert link is not None, demo.output
    with urlopen(Request(link[1], headers={"Accept": "text/html"}), timeout=60) as answer:
        text: str = answer.read().decode()
    return text


async def app_of(demo: Demo) -> dict[str, Any]:
    """The answer of the runner to a form of the app's page, read by who followed the link that the demo prints."""
    link = re.search(r"within ten minutes: (http://[^/]*)(\S*token=([^&\s]*)\S*)", demo.output)
    page = re.search(r"once you are signed in: http://[^/]*(\S*)", demo.output)
    assert link is not None, demo.output
    assert page is not None, demo.output
    visitor = PageVisitor(link[1])
    await visitor.get(link[2])
    entered = await visitor.send("/sign-in/link", {"token": link[3], "next": page[1]})
    assert (await visitor.follow(entered)).heading == "Shop"
    request, token = await app_request(visitor, "shop", "health", {})
    answer = await request.send(int(token["url"].split("/")[2].partition(":")[2]))
    return answer.said


@pytest.mark.long
@pytest.mark.usefixtures("usual_ports_taken")
def test_the_demo_shows_a_failing_test_that_has_its_service_restarted(tmp_path: Path) -> None:
    with running(tmp_path, "--remediation") as demo:
        for sign in ("location create", "workflow push", "fails, and starts", "verify"):
            demo.wait_for(sign)
        demo.wait_for("failed  Fragile service")
        said = asyncio.run(app_of(demo))
        assert (said["outcome"], said["outputs"]["status"]) == ("succeeded", 200)
        demo.press_ctrl_c()
        assert demo.process.wait(ENDING) == 0, demo.output
        is_over(demo)
    assert re.search(r"  restart: script\.runPredefinedScript: succeeded\n", demo.output)
    assert re.search(r"  verify.*: checks\.run: succeeded\n", demo.output)


@pytest.mark.usefixtures("usual_ports_taken")
def test_the_demo_shows_every_kind_of_result_on_any_ports_and_ends_clean(tmp_path: Path) -> None:
    with running(tmp_path) as demo:
        demo.wait_for(" ms", times=6)
        demo.wait_for("succeeded")
        assert "<h1>Sign in as demo</h1>" in page(demo)
        demo.wait_for("  alert: ")
        demo.press_ctrl_c()
        assert demo.process.wait(ENDING) == 0, demo.output
        is_over(demo)
        text = demo.output
    assert re.search(r"passed +Shop API is healthy .*dns [\d.]+ · tcp [\d.]+ · firstByte [\d.]+", text)
    assert re.search(r"passed +Shop front page over HTTPS .*ssl", text)
    assert re.search(r"failed +Checkout answers .*INCORRECT_ASSERTION: .*503", text)
    assert re.search(r"  alert: \[Triggered\] Checkout answers: .* Nobody can pay\.", text)
    assert re.search(r"passed +Mail server accepts connections", text)
    assert re.search(r"passed +Internal DNS knows the shop", text)
    assert re.search(r"failed +Cloud metadata stays out of reach .*DENIED", text)
    assert "--whitelistedRange.4=127.0.0.1/32" in text
    outcome = r'✓ succeeded  http.request GET /health  shop  demo  200 {"status": "ok", .*}  = \d+ ms'
    assert len(re.findall(outcome, text)) == 1
    assert "RUNNER_ENROLLMENT_TOKEN=pl1e.… private-action-runner" in text
    assert not re.search(r"pl1e\.\w", text), "the token is not shown"
    assert f"{USUAL_PORTS[0]} to {USUAL_PORTS[-1]} one is taken" in text
    assert text.rstrip().endswith("drained and clean")


def seldom(value: object) -> ParameterSet:
    """A case like its neighbour, of three processes and some seconds: `.ci/run` has it, `make test` has one of a kind."""
    return pytest.param(value, marks=pytest.mark.long)


def killed(demo: Demo) -> None:
    demo.process.kill()


def hung_up(demo: Demo) -> None:
    os.killpg(demo.process.pid, signal.SIGHUP)


def terminated(demo: Demo) -> None:
    demo.process.terminate()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found by /proc")
@pytest.mark.parametrize("end", [killed, seldom(hung_up), seldom(terminated)])
def test_nothing_outlives_the_demo_whatever_ends_it(end: Callable[[Demo], None], tmp_path: Path) -> None:
    with running(tmp_path) as demo:
        demo.wait_for("results --follow")
        assert len(demo.processes()) >= 6
        assert any("private-action-runner" in one for one in demo.processes())
        end(demo)
        is_over(demo)


@pytest.mark.parametrize(
    "moment",
    ["location create", *map(seldom, ("controlplane serve", "test push", "action run", "synthetics-worker --config"))],
)
def test_an_early_ctrl_c_ends_it_without_a_traceback(moment: str, tmp_path: Path) -> None:
    with running(tmp_path) as demo:
        demo.wait_for(moment)
        demo.press_ctrl_c()
        demo.process.wait(ENDING)
        is_over(demo)


@pytest.mark.long
def test_the_alert_of_the_test_that_fails_ends_when_the_shop_is_mended(tmp_path: Path) -> None:
    with running(tmp_path) as demo:
        eventually(lambda: "[Recovered]" in demo.output, "recovery", lambda: demo.output, seconds=150)
        assert demo.output.count("[Triggered] Checkout answers") == 1
        assert re.search(r"alert: \[Recovered\] Checkout answers: .* People pay again\.", demo.output)


@pytest.mark.long
def test_a_second_ctrl_c_ends_it_at_once_without_a_traceback(tmp_path: Path) -> None:
    with running(tmp_path) as demo:
        demo.wait_for("results --follow")
        demo.press_ctrl_c()
        demo.wait_for("draining the worker")
        demo.press_ctrl_c()
        assert demo.process.wait(ENDING) in (0, 130), demo.output  # it may have been done already
        is_over(demo)


def test_a_port_that_was_asked_for_and_is_taken_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with running(tmp_path, f"--base-port={port}") as demo:
            assert demo.process.wait(ENDING) == 1
            is_over(demo)
    assert str(port) in demo.output
    assert "--base-port" in demo.output
