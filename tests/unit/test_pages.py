"""Commands in the pages' blocks of shell: each program has what they call it with."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest

from controlplane.cli import main
from tests.support.checkout import ROOT
from tests.support.pages import shell_blocks
from worker.config.sources import read_command_line

PAGES = ("README.md", "docs/operating.md", "docs/rest-api.md")
SHOWN = [command for page in PAGES for block in shell_blocks((ROOT / page).read_text()) for command in block]
COMMANDS = sorted({command for command in SHOWN if command.startswith("synthetics-")})
FILES = ("wiki.json", "tests.json", "authority.pem", "cert.pem", "key.pem", "test.json")
"""What readers have made before."""


def parse(command: click.Command, name: str, words: list[str], parent: click.Context | None = None) -> None:
    """Read *words* as click does, and run nothing. Raises UsageError."""
    context = command.make_context(name, words, parent=parent)
    if isinstance(command, click.Group):
        name_of_next, following, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert following is not None
        parse(following, name_of_next or "", rest, context)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_programs_know_the_commands_of_the_pages(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in FILES:
        (tmp_path / name).touch()
    program, *words = shlex.split(command.replace("\\\n", " "))
    if program == "synthetics-worker":
        read_command_line(words)
    else:
        assert program == "synthetics-controlplane"
        parse(main, program, words)


@pytest.mark.parametrize("words", [["results", "--folow"], ["tset", "list"], ["backup"]])
def test_a_command_that_is_not_there_is_noticed(words: list[str]) -> None:
    with pytest.raises(click.UsageError):
        parse(main, "synthetics-controlplane", words)
