"""The command line as a whole: exit codes, what goes where, and that nothing ends in a traceback."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from worker import __version__, cli
from worker.config.load import Config
from worker.config.options import CERTIFICATES
from worker.errors import ConfigError
from worker.wire.keys import generate

KEY = generate("x25519")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Commands that read a config set logs up anew."""
    root, ours = logging.getLogger(), logging.getLogger("worker")
    handlers, level, our_level = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(our_level)


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "worker.json"
    content = {"id": "pl:a", "intakeUrl": "https://intake.invalid", "accessKey": "0123", "secretAccessKey": "4567"}
    keys = {"privateKey": KEY.pem.reveal(), "publicKey": {"pem": KEY.public.pem}}
    path.write_text(json.dumps(content | keys))
    return f"--config={path}"


def test_help_and_version_need_nothing_and_win_over_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.execute(["--help", "--no-such-flag"]) == 0
    assert cli.execute(["-h", "check"]) == 0
    assert cli.execute(["--version"]) == 0
    output = capsys.readouterr()
    assert output.out.count("Usage: synthetics-worker") == 2
    assert output.out.endswith(f"synthetics-worker {__version__}\n")
    assert output.err == ""


def test_each_mistake_is_one_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.execute(["check", "-", "--concurrency=many", "-f", "xml"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines() == [
        'synthetics-worker: concurrency: must be a whole number, not "many" (flag)',
        'synthetics-worker: logFormat: must be pretty or json, not "xml" (flag)',
    ]


def test_validate_reads_no_config_but_its_flags_must_be_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tests.json"
    path.write_text("{}")
    assert cli.execute(["validate", str(path), "--config=/nonexistent.json"]) == 1
    assert cli.execute(["validate", str(path), "--cofnig=/nonexistent.json"]) == 2
    output = capsys.readouterr()
    assert output.out.splitlines()[0] == f"✗ invalid   {path}"
    assert len(output.err.splitlines()) == 1


def test_a_dash_reads_definitions_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"{}\n{}\n")))
    assert cli.execute(["validate", "-", "--json"]) == 1
    assert [json.loads(line)["line"] for line in capsys.readouterr().out.splitlines()] == [1, 2]


def test_dump_config_works_before_the_identity_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.execute(["--dumpConfig", "--concurrency=3"]) == 0
    assert "concurrency                   3 " in capsys.readouterr().out


def test_policy_says_in_json_what_it_says_in_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.execute(["policy", "10.1.2.3", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["reachable"] is False
    assert cli.execute(["--whitelistedRange.4=10.0.0.0/8", "policy", "10.1.2.3"]) == 0
    assert "tests may reach it" in capsys.readouterr().out


def test_warnings_of_options_and_rules_are_logged(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--datadogApiKey=x", "--whitelistedRange.4=10.0.0.0/8", "--blacklistedRange.4=10.1.0.0/16", "-f=json"]
    assert cli.execute(["policy", "10.1.2.3", *flags]) == 0
    warnings = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [warning["action"] for warning in warnings] == ["config_warning", "config_warning"]
    assert "datadogApiKey is accepted and not used" in warnings[0]["message"]
    assert "10.1.0.0/16" in warnings[1]["message"]


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (
            ConfigError("cannot listen", option="statusProbesPort"),
            2,
            ["synthetics-worker: statusProbesPort: cannot listen"],
        ),
        (
            ExceptionGroup("group", [ExceptionGroup("inner", [ConfigError("cannot listen")])]),
            2,
            ["synthetics-worker: cannot listen"],
        ),
        (KeyboardInterrupt(), 130, []),
        (BrokenPipeError(), 1, []),
    ],
    ids=["mistake", "mistakes in a group", "interrupt", "closed pipe"],
)
def test_how_serving_ends_decides_the_exit_code(
    config: str,
    raised: BaseException,
    code: int,
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def serve(config: Config, warnings: Sequence[str]) -> int:
        raise raised

    monkeypatch.setattr(sys, "stdout", sys.stdout)  # what a closed pipe takes away is given back
    assert cli.execute([config], serve) == code
    assert capsys.readouterr().err.splitlines() == words


def test_a_bug_is_one_log_record_with_its_traceback(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    async def serve(config: Config, warnings: Sequence[str]) -> int:
        raise ZeroDivisionError("a bug")

    assert cli.execute([config, "-f=json"], serve) == 1
    (line,) = capsys.readouterr().err.splitlines()
    record = json.loads(line)
    assert (record["level"], record["action"]) == ("error", "crashed")
    assert record["exception"].endswith("ZeroDivisionError: a bug")


@pytest.mark.parametrize("code", [0, 130])
def test_serving_decides_its_own_exit_code_and_runs_on_uvloop(config: str, code: int) -> None:
    seen: list[Any] = []

    async def serve(config: Config, warnings: Sequence[str]) -> int:
        seen.extend((config.location_id, warnings, type(asyncio.get_running_loop()).__module__))
        return code

    assert cli.execute([config, "run"], serve) == code
    assert seen == ["pl:a", (), "uvloop"]


def test_the_module_is_the_program() -> None:
    done = subprocess.run([sys.executable, "-m", "worker", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"synthetics-worker {__version__}\n"


def test_the_certificates_directory_is_the_published_one() -> None:
    assert CERTIFICATES == "/etc/datadog/certs"
