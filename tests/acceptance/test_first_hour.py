"""The first hour by README.md, word by word, in terminals and two networks: whatever its blocks of shell say is typed here.

What installs and what wants Docker is typed by `tests/deploy/test_first_hour.py`. A line that README
gains is unknown to this test, which then fails.
"""

from __future__ import annotations

import json
import os
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

import examples
from tests.support.checkout import ROOT
from tests.support.definitions import http_test
from tests.support.pages import shell_blocks
from tests.support.peers import REQUIRED
from tests.support.private_network import OUTSIDE, PRIVATE, PrivateNetwork
from tests.support.programs import environment
from tests.support.terminal import Terminal

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        not REQUIRED and not Path(sysconfig.get_path("scripts"), "synthetics-worker").exists(),
        reason="the commands are not installed in this environment",
    ),
]

ELSEWHERE = (
    *("python3 -m venv", ". .venv/bin/activate", "pip install", "make ", "docker "),
    *("synthetics-controlplane runner ", "synthetics-controlplane action "),
)
"""Beginnings of commands that are tried elsewhere."""
HOSTS = {"controlplane.example": OUTSIDE, "wiki.internal": PRIVATE}
ALONE = {
    "synthetics-worker check examples/*.json": (1, "6 tests: 6 failed"),
    "synthetics-worker check --variable HOST=shop.test --variable TOKEN test.json": (1, "hostname shop.test"),
    "synthetics-worker validate examples/*.json": (0, "valid     examples/6-denied-by-policy.json"),
    "synthetics-worker policy 10.1.2.3 example.org": (1, "to allow it: whitelistedRange.4=10.1.2.3/32"),
    "synthetics-worker doctor": (1, "cure: `synthetics-controlplane location create` writes the file"),
}
"""What README shows without a control plane: the exit code in a network without name servers, and something that is said."""


SHOWN = [
    [command for command in block if not command.startswith(ELSEWHERE)]
    for block in shell_blocks((ROOT / "README.md").read_text())
]
"""Of each block of README, what is typed here."""


@pytest.fixture
def network(tmp_path: Path) -> Iterator[PrivateNetwork]:
    """With the files that README takes for granted: the control plane's certificate, its authority, and the examples."""
    authority = trustme.CA()
    shown = authority.issue_cert("controlplane.example")
    shown.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    for pem in shown.cert_chain_pems:
        pem.write_to_path(str(tmp_path / "cert.pem"), append=True)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    (tmp_path / "examples").symlink_to(next(iter(examples.__path__)))
    with PrivateNetwork(tmp_path, HOSTS) as network:
        yield network


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[list[str]], Terminal]]:
    """Open a terminal behind a command that enters a network."""
    path = os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"]))
    with ExitStack() as stack:

        def open_one(entering: list[str]) -> Terminal:
            terminal = Terminal(tmp_path, environment({"PATH": path, "TOKEN": "hidden"}), entering)
            stack.callback(terminal.close)
            return terminal

        yield open_one


def test_a_first_private_result_by_the_readme(
    network: PrivateNetwork, opened: Callable[[list[str]], Terminal], tmp_path: Path
) -> None:
    _, (serve,), (create, write, push, follow), (work,), *_ = SHOWN
    (tmp_path / "wiki").mkdir()
    wiki, worker = opened(network.inside), opened(network.inside)
    first, second = opened(network.outside), opened(network.outside)
    wiki.type(f"python3 -m http.server --directory wiki --bind {PRIVATE} 80")
    first.type(serve)
    first.wait_for("listening on https://0.0.0.0:8443")

    code, said = second.run(create)
    assert code == 0, said
    assert f"\n  {work.partition(' --whitelistedRange')[0]}\n" in said
    assert (tmp_path / "worker-config.json").stat().st_mode & 0o777 == 0o600
    for command in (write, push):
        code, said = second.run(command)
        assert code == 0, said
    code, said = second.run(f"exec 3<>/dev/tcp/{PRIVATE}/80")
    assert "Network is unreachable" in said, "only the worker reaches what is private"

    second.type(follow)
    worker.type(f"{work} --caFile=authority.pem")  # "where an internal authority signed the certificate"
    worker.wait_for("connected: the control plane answers")
    second.wait_for("passed  Wiki answers")
    assert '"GET / HTTP/1.1" 200' in wiki.shown
    code, said = worker.press_ctrl_c()
    assert (code, "drained: 0 jobs given back, 0 results not delivered" in said) == (0, True), said
    for terminal in (second, first):
        code, said = terminal.press_ctrl_c()
        assert code == 0, said
        assert "Traceback" not in said


@pytest.mark.parametrize("command", ALONE)
def test_what_the_readme_shows_without_a_control_plane(
    command: str, network: PrivateNetwork, opened: Callable[[list[str]], Terminal], tmp_path: Path
) -> None:
    (tmp_path / "test.json").write_text(json.dumps(http_test("yours", "http://{{ HOST }}/{{ TOKEN }}")))
    code, said = opened(network.inside).run(command)
    assert (code, ALONE[command][1] in said) == (ALONE[command][0], True), said


def test_every_command_of_the_readme_is_tried() -> None:
    """Here; those that install in `tests/deploy`, with the ones of Docker; those of private actions in `test_actions.py`."""
    assert [len(block) for block in SHOWN] == [0, 1, 4, 1, 0, 5, 0]
    assert SHOWN[-2] == list(ALONE)
