"""The runner's options: every mistake at once, with its place; the environment over the file; secrets from files."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.actionrunner.cli import execute
from worker.actionrunner.options import load, runner_variable
from worker.actionrunner.optiontable import OPTIONS
from worker.errors import ConfigErrors
from worker.secret import Secret


def config(folder: Path, text: str) -> None:
    (folder / "config.yaml").write_text(text)


def test_nothing_written_is_every_default(tmp_path: Path) -> None:
    found = load({}, str(tmp_path)).config
    assert (found.concurrency, found.task_timeout, found.port, found.probes_port) == (10, 60.0, 9016, 9017)
    assert found.identity_file == tmp_path / "identity.json"
    assert (found.modes, found.enrolment_token, found.state_directory) == (None, None, None)


@pytest.mark.parametrize(
    "text", ["taskConcurrency: 3\nmodes: [workflowAutomation]\n", '{"taskConcurrency": 3, "modes": ["pull"]}']
)
def test_a_file_is_yaml_or_json(tmp_path: Path, text: str) -> None:
    config(tmp_path, text)
    found = load({}, str(tmp_path)).config
    assert (found.concurrency, found.modes) == (3, ("pull",))


def test_the_environment_is_stronger_and_has_the_reference_s_names(tmp_path: Path) -> None:
    config(tmp_path, "taskConcurrency: 3\nname: paris\n")
    environ = {
        "ACTION_RUNNER_TASK_CONCURRENCY": "5",
        "RUNNER_NAME": "berlin",
        "RUNNER_MODES": "pull,push",
        "ACTIONS_ALLOWLIST": "http.request,data.jq",
        "DD_BASE_URL": "https://cp.example.com/",
        "DD_PRIVATE_RUNNER_CONFIG_DIR": str(tmp_path),
    }
    found = load(environ).config
    assert (found.concurrency, found.name, found.modes) == (5, "berlin", ("pull", "push"))
    assert found.actions_allowlist == ("http.request", "data.jq")
    assert found.base_url == "https://cp.example.com"


def test_every_mistake_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    config(tmp_path, "taskConcurrency: 0\ntaskTimeoutSecond: 5\nmodes: [shell]\n")
    with pytest.raises(ConfigErrors) as refused:
        load({"ACTION_RUNNER_PORT": "web"}, str(tmp_path))
    told = str(refused.value)
    assert len(refused.value.errors) == 4
    assert "did you mean taskTimeoutSeconds?" in told
    assert "config.yaml, line 2" in told
    assert "environment ACTION_RUNNER_PORT" in told


def test_a_token_from_a_file_is_a_secret(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("pl1e.secret\n")
    config(tmp_path, "enrollmentTokenFile: token\n")
    found = load({}, str(tmp_path)).config
    assert found.enrolment_token == Secret("pl1e.secret")
    assert "pl1e.secret" not in repr(found)


def test_what_the_reference_has_and_we_do_not_is_said(tmp_path: Path) -> None:
    found = load({"DD_API_KEY": "canary", "STATSD_ENABLED": "true"}, str(tmp_path))
    assert len(found.warnings) == 2
    assert "canary" not in "".join(found.warnings)


def test_every_option_has_a_variable_of_its_own() -> None:
    variables = [runner_variable(option.name) for option in OPTIONS]
    assert len(set(variables)) == len(variables)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("colour: red\n", "unknown key"),
        ("taskConcurrency: [1\n", "is not valid YAML"),
        ("", "runner create"),
    ],
    ids=["an unknown key", "not YAML", "no token and no identity"],
)
def test_what_cannot_start_ends_with_2_and_the_cure(
    tmp_path: Path, text: str, told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUNNER_ENROLLMENT_TOKEN", raising=False)
    config(tmp_path, text)
    assert execute(["--config-dir", str(tmp_path), "enroll"]) == 2
    assert told in capsys.readouterr().err
