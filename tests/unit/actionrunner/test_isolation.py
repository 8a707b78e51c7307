"""`requireIsolation`: a start, or a connection, that this system cannot keep apart is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.actions import RunnerOfOrders
from worker.actionrunner import app, isolation
from worker.actionrunner.connections import connections_of
from worker.actionrunner.options import load
from worker.actionrunner.yamlfile import read_operators_file
from worker.errors import ConfigError


def test_a_user_that_does_not_exist_is_told() -> None:
    (sentence,) = set(isolation.missing_isolation("nobody-of-this-name")) - set(isolation.missing_isolation())
    assert sentence == "scripts cannot run as nobody-of-this-name: there is no such user"


def test_a_start_is_refused_for_what_does_not_hold_and_for_nothing_else() -> None:
    isolation.require_isolation(())
    with pytest.raises(ConfigError, match=r"this kernel has no Landlock") as raised:
        isolation.require_isolation(("scripts can read what the runner can: this kernel has no Landlock",))
    assert raised.value.option == "requireIsolation"


@pytest.mark.parametrize(("version", "level", "words"), [(0, "none", "read"), (3, "files", "TCP"), (4, "full", "")])
def test_the_level_follows_the_kernels_landlock(
    monkeypatch: pytest.MonkeyPatch, version: int, level: str, words: str
) -> None:
    monkeypatch.setattr(isolation, "version", lambda: version)
    assert isolation.isolation_level() == level
    assert words in "".join(isolation.missing_isolation())
    assert bool(isolation.missing_isolation()) is (level != "full")


def test_a_script_connection_is_unusable_where_the_operator_requires_isolation(tmp_path: Path) -> None:
    scripts = {"schemaId": "script-credentials-v1", "runPredefinedScript": {"t": {"command": ["/bin/true"]}}}
    (tmp_path / "s.json").write_text(json.dumps(scripts))
    RunnerOfOrders(tmp_path, connections={"ops": {"type": "script", "file": "s.json", "user": "nobody-of-this-name"}})
    file = read_operators_file(tmp_path / "connections.yaml", "connectionsFile")
    assert set(connections_of(file, tmp_path, {}).usable) == {"ops"}
    required = connections_of(file, tmp_path, {}, isolation_required=True)
    assert "there is no such user" in required.unusable["ops"]


async def test_a_start_names_what_does_not_hold_and_is_refused_where_that_is_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Check 22, on a kernel without Landlock. Neither start has a token: the second one ends for that."""
    monkeypatch.setattr(isolation, "version", lambda: 0)
    (tmp_path / "config.yaml").write_text('{"requireIsolation": true}')
    with pytest.raises(ConfigError, match="this kernel has no Landlock"):
        await app.run(load({}, str(tmp_path)).config, {})
    (tmp_path / "config.yaml").write_text("{}")
    with pytest.raises(ConfigError, match="enrollmentToken"):
        await app.run(load({}, str(tmp_path)).config, {})
    assert "scripts can read what the runner can: this kernel has no Landlock" in caplog.text
    assert not (tmp_path / "identity.json").exists()
