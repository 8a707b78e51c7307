"""`alert channel` and `alert test` with a `serve` of their own process, killed in the middle of a delivery."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.integration.controlplane.process import COMMAND, serving
from tests.integration.controlplane.typed import Run
from tests.support.servers.receiver import receiving
from tests.support.waiting import eventually

pytestmark = pytest.mark.long

RANGE = "--alert-allow-range=127.0.0.1"


def test_a_channel_is_made_listed_tried_and_deleted(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTROLPLANE_DATABASE", str(tmp_path / "c.db"))
    with receiving() as receiver, serving(tmp_path, RANGE):
        monkeypatch.setenv("HOOK", receiver.url)
        run("alert", "channel", "add", "ops", "webhook", "url=env:HOOK", "headers.X-Team=night")
        shown = json.loads(run("alert", "channel", "list", "--json").output)
        assert shown["settings"] == {
            "url": f"http://127.0.0.1:{receiver.server_port}/…",
            "signing_secret": None,
            "headers": {"X-Team": "<redacted>"},
            "payload": None,
        }
        assert "ops" in run("alert", "channel", "list").output
        assert run("alert", "test", "ops").output == "delivered\n"
        assert len(receiver.keys) == 1
        (tmp_path / "url").write_text("http://10.0.0.1/s3cret\n")
        run("alert", "channel", "add", "far", "slack", f"url=@{tmp_path / 'url'}")
        denied = run("alert", "test", "far", code=1).output
        assert "not delivered yet: DENIED" in denied
        assert "s3cret" not in denied
        run("alert", "channel", "delete", "ops")
        assert "no channel 'ops'" in run("alert", "channel", "delete", "ops", code=2).output
        assert (
            "type: " in run("alert", "channel", "add", "x", "slack", "type=fax", "url=http://x.example", code=2).output
        )
    assert "s3cret" not in (tmp_path / "serve.log").read_text()


def test_what_serve_was_sending_when_it_was_killed_is_sent_again_under_its_key(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTROLPLANE_DATABASE", str(tmp_path / "c.db"))
    with receiving() as receiver:
        receiver.free.clear()
        with serving(tmp_path, RANGE) as process:
            run("alert", "channel", "add", "ops", "webhook", f"url={receiver.url}")
            trying = subprocess.Popen([*COMMAND, "alert", "test", "ops"], stdout=subprocess.PIPE, text=True)
            eventually(lambda: receiver.keys, "request")
            process.kill()
        receiver.free.set()
        with serving(tmp_path, RANGE):
            said, _ = trying.communicate(timeout=60)
    assert said == "delivered\n"
    assert len(receiver.keys) >= 2
    assert len(set(receiver.keys)) == 1
