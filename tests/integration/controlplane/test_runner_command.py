"""`runner`: tokens of one or several uses, one runner in detail, and the control plane's own keys."""

from __future__ import annotations

import json

import pytest

from tests.integration.controlplane.typed import Run
from worker.secret import Secret
from worker.wire.enrolment import EnrolmentToken


@pytest.fixture
def berlin(run: Run) -> str:
    """A runner that has not enrolled."""
    run("runner", "create", "berlin")
    return "berlin"


def test_a_token_says_how_often_and_how_long_it_holds(run: Run, berlin: str) -> None:
    once = run("runner", "token", berlin)
    assert "good for one use within 1 h:" in once.stdout
    often = run("runner", "token", berlin, "--uses", "50", "--ttl", "30d")
    assert "good for 50 uses within 30 d:" in often.stdout
    as_json = json.loads(run("runner", "token", berlin, "--ttl", "90s", "--json").stdout)
    assert EnrolmentToken.parse(Secret(as_json["token"])).base_url == "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--ttl", "soon"), "--ttl: 'soon' is not a valid time: expected 90s, 30min, 2h or 7d"),
        (("--ttl", "91d"), "a token's life is not within 90 days"),
        (("--ttl", "0s"), "a token's life is not within 90 days"),
        (("--uses", "0"), "--uses"),
    ],
)
def test_a_token_that_cannot_be_is_refused_in_one_line(
    run: Run, berlin: str, flags: tuple[str, ...], words: str
) -> None:
    assert words in run("runner", "token", berlin, *flags, code=2).stderr


def test_one_runner_is_shown_as_it_stands(run: Run, berlin: str) -> None:
    done = run("runner", "show", berlin)
    assert done.stdout == "berlin: not enrolled, modes pull, epoch 0\nit has told nothing of its connections\n"
    assert json.loads(run("runner", "show", berlin, "--json").stdout)["details"] is None
    assert "berlin" in run("runner", "show", "paris", code=2).stderr


def test_the_next_signing_key_waits_for_its_runners_and_a_stolen_one_for_nobody(run: Run, berlin: str) -> None:
    assert "keyset 2 tells a new key" in run("runner", "renew-keys").stdout
    assert "waits already" in run("runner", "renew-keys", code=2).stderr
    assert "keyset 3 has a new key alone" in run("runner", "replace-keys").stdout
    assert "keyset 4 tells a new key" in run("runner", "renew-keys").stdout
