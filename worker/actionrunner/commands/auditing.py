"""`audit verify FILE…`: follow the chain of an audit log, and name the places at which it does not hold."""

from __future__ import annotations

from pathlib import Path

import click

from worker.actionrunner.audit import verify
from worker.errors import ConfigError, ExitCode
from worker.program.summaries import SummarizedGroup
from worker.text import counted


@click.group(cls=SummarizedGroup)
def audit() -> None:
    """The audit log of this runner."""


@audit.command("verify")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.pass_context
def audit_verify(ctx: click.Context, *, files: tuple[Path, ...]) -> None:
    """Follow the chain through FILES, the oldest first. Exit code 0, or 1 where it does not hold."""
    try:
        found = verify(files)
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be read: {error.strerror}") from None
    for finding in found.findings:
        click.echo(str(finding), err=True)
    click.echo(
        f"{counted(found.lines, 'line')}, {counted(len(found.findings), 'finding')}; the last line has {found.last}"
    )
    ctx.exit(ExitCode.FAILED if found.findings else ExitCode.DONE)
