"""Debian's Alertmanager as a receiver: an alert is there, and is gone with the recovery."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from controlplane import epoch
from controlplane.alerts.transitions import TransitionDetail, TransitionKind
from tests.integration.controlplane.plane import Plane
from tests.support.alerts import Outbound, transition
from tests.support.peers import peer
from tests.support.waiting import eventually
from worker.clock import SystemClock

CONFIG = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    """The URL of a new one."""
    program, port = peer("prometheus-alertmanager"), free_port()
    (tmp_path / "alertmanager.yml").write_text(CONFIG)
    with (tmp_path / "alertmanager.log").open("w") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={tmp_path / 'alertmanager.yml'}",
                f"--storage.path={tmp_path / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
            ],
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: answer(f"{url}/-/ready"), "Alertmanager", (tmp_path / "alertmanager.log").read_text)
        yield url
    finally:
        process.kill()
        process.wait(60)


def answer(url: str) -> bytes | None:
    try:
        with urlopen(url, timeout=5) as reply:
            return bytes(reply.read())
    except URLError:
        return None


def alerts(url: str) -> list[Any]:
    found: list[Any] = json.loads(answer(f"{url}/api/v2/alerts") or b"[]")
    return found


async def test_an_alert_is_there_until_its_recovery(plane: Plane, alertmanager: str) -> None:
    outbound = Outbound(plane.database, plane.clock)
    now = epoch.milliseconds(SystemClock())  # Alertmanager has a clock of its own
    await outbound.add("am", type="alertmanager", url=alertmanager, labels={"job": "probes"})
    began = TransitionDetail(since=now - 120_000)
    alert = transition(at=now, detail=began, priority=1, tags=("env:prod", "k8s.io/x:1"), message="Look at {{link}}")
    keys = await outbound.queue(alert, "am")
    await outbound.send()
    (found,) = alerts(alertmanager)
    assert found["status"]["state"] == "active"
    assert found["labels"] == {
        "alertname": "SyntheticTest",
        "incident": "alert-1",
        "test_id": "abc-def-ghi",
        "env": "prod",
        "k8s_io_x": "1",
        "job": "probes",
    }
    assert found["annotations"]["summary"] == "[P1] [Triggered] Checkout"
    assert found["generatorURL"] == "https://cp.example/abc-def-ghi"
    over = transition(2, alert="alert-1", at=now + 1000, detail=began, kind=TransitionKind.RECOVERY, tags=alert.tags)
    keys += await outbound.queue(over, "am")
    await outbound.send()
    assert [(await outbound.state(key)).state for key in keys] == ["delivered"] * 2
    assert alerts(alertmanager) == []
