"""The client certificate of an HTTP connection: shown to its own host alone, read for every order, and never told to anybody."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.support.actions import RunnerOfOrders, allow_all
from tests.support.certificates import Issued, issue
from tests.support.servers.http import Server, reply, serving
from worker.actions.action import ActionOutcome, ActionStatus

ROOT = issue("Root", ca=True)
SERVER = issue("server", ROOT, names=["127.0.0.1", "localhost"])
CLIENT = issue("client", ROOT)
STRANGER = issue("client", issue("Another", ca=True))


def demanding(path: Path, mode: ssl.VerifyMode = ssl.CERT_REQUIRED) -> ssl.SSLContext:
    context = SERVER.serving(path)
    context.verify_mode = mode
    context.load_verify_locations(cadata=ROOT.pem)
    return context


def write(tmp_path: Path, shown: Issued = CLIENT, *, mode: int = 0o600) -> None:
    (tmp_path / "root.pem").write_text(ROOT.pem)
    (tmp_path / "client.pem").write_text(shown.pem)
    key = tmp_path / "client.key"
    key.write_text(shown.key_pem)
    key.chmod(mode)


def crm(server: Server, **tls: Any) -> dict[str, Any]:
    files = {"ca_file": "root.pem", "cert_file": "client.pem", "key_file": "client.key"}
    return {"crm": {"type": "http", "base_url": f"https://127.0.0.1:{server.port}", "tls": files | tls}}


def runner_of(tmp_path: Path, server: Server, **tls: Any) -> RunnerOfOrders:
    return RunnerOfOrders(tmp_path, connections=crm(server, **tls), rules=allow_all("http.*"))


async def get(runner: RunnerOfOrders, **given: Any) -> ActionOutcome:
    return await runner.run("http.request", {"verb": "GET", "url": "/", **given}, connection="crm")


def detail(outcome: ActionOutcome) -> tuple[str, str]:
    assert outcome.error is not None, outcome
    return outcome.error.code, outcome.error.message


async def test_a_server_that_demands_a_certificate_gets_the_connections_and_the_next_order_the_new_one(
    tmp_path: Path,
) -> None:
    write(tmp_path, STRANGER)
    async with serving(lambda _seen: reply(b"in"), tls=demanding(tmp_path / "s.pem")) as server:
        runner = runner_of(tmp_path, server)
        refused = await get(runner)
        assert refused.status is ActionStatus.FAILED
        write(tmp_path)
        assert (await get(runner)).outputs["body"] == "in"  # type: ignore[index]


async def test_it_is_shown_to_no_other_origin(tmp_path: Path) -> None:
    """The other server is believed, asks for the same certificate, and gets none."""
    write(tmp_path)
    context = demanding(tmp_path / "s.pem")
    async with serving(lambda _seen: reply(b"there"), tls=context) as other:
        place = f"Location: https://127.0.0.1:{other.port}/"
        async with serving(lambda _seen: reply(status="302 Found", headers=(place,)), tls=context) as server:
            runner = runner_of(tmp_path, server)
            runner.doors._ca_files = (tmp_path / "root.pem",)
            outcome = await get(runner, followRedirect=True)
            assert (await get(RunnerOfOrders(tmp_path, connections=crm(other), rules=allow_all("http.*")))).outputs
    assert outcome.status is ActionStatus.FAILED
    assert len(server.seen) == 1
    assert len(other.seen) == 1, "the one that its own connection sent"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: write(folder, mode=0o644), "the log of the runner says why"),
        (lambda folder: (folder / "client.key").unlink(), "the log of the runner says why"),
        (lambda folder: (folder / "client.pem").write_text("no certificate"), "the log of the runner says why"),
    ],
    ids=["open to everybody", "gone", "no PEM"],
)
async def test_files_that_cannot_be_used_fail_the_order_before_anything_is_sent(
    tmp_path: Path, change: Any, words: str
) -> None:
    write(tmp_path)
    async with serving(lambda _seen: reply(), tls=demanding(tmp_path / "s.pem")) as server:
        runner = runner_of(tmp_path, server)
        change(tmp_path)
        code, message = detail(await get(runner))
    assert (code, server.seen) == ("CREDENTIALS", [])
    assert words in message


async def test_half_a_certificate_makes_the_connection_unusable(tmp_path: Path) -> None:
    write(tmp_path)
    entry = {"type": "http", "base_url": "https://127.0.0.1:1", "tls": {"cert_file": "client.pem"}}
    runner = RunnerOfOrders(tmp_path, connections={"crm": entry}, rules=allow_all("http.*"))
    assert "cert_file or key_file without the other" in runner.files.state.connections.unusable["crm"]


async def test_the_key_leaves_by_no_answer(tmp_path: Path) -> None:
    write(tmp_path)
    echoed = json.dumps({"key": CLIENT.key_pem}).encode()
    async with serving(lambda _seen: reply(echoed), tls=demanding(tmp_path / "s.pem")) as server:
        outcome = await get(runner_of(tmp_path, server))
    assert outcome.redactions == 1
    assert "PRIVATE KEY" not in json.dumps(outcome.outputs)
    assert "PRIVATE KEY" not in (tmp_path / "audit.log").read_text()
