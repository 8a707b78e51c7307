"""`audit`: who changed what, and when."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import click

from controlplane.commands.listing import echo_table
from controlplane.commands.reach import Reach, with_reach
from controlplane.operations import auditing
from controlplane.operations.auditing import ReadAudit, VerifyAudit
from controlplane.operations.operation import PlaneClient
from controlplane.service import audit as log
from controlplane.store.audit import AuditEntry
from worker.program.summaries import SummarizedGroup
from worker.text import counted, json_line


@click.group(cls=SummarizedGroup, invoke_without_command=True)
@click.option(
    "--subject", metavar="ID", help="Changes of this alone: a public id, a location's, a variable's or a key's id."
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many, the newest.")
@click.option("--json", "as_json", is_flag=True, help="One object a line, with the states before and after.")
@with_reach
def audit(reach: Reach, *, subject: str | None, limit: int, as_json: bool) -> None:
    """Print the newest changes, the newest last."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    found = reach.run(lambda client: _read(client, subject, limit))
    if as_json:
        for entry in reversed(found):
            click.echo(json_line(log.as_object(entry)))
        return
    rows = [(_moment(entry.at), entry.actor, entry.via, entry.action, entry.subject) for entry in reversed(found)]
    echo_table(("AT", "WHO", "VIA", "WHAT", "OF"), rows)


@audit.command()
@with_reach
def verify(reach: Reach) -> None:
    """Follow the chain of the log. Exit code 0, or 1 where an entry was removed, altered or moved."""
    found = reach.ask(auditing.VERIFY, VerifyAudit())
    for seq in found.findings:
        click.echo(f"before entry {seq}: an entry was removed, altered or moved, or this one was", err=True)
    click.echo(
        f"{counted(found.entries, 'change')}, {counted(len(found.findings), 'finding')}; the last one has {found.last}"
    )
    if found.findings:
        sys.exit(1)


async def _read(client: PlaneClient, subject: str | None, limit: int) -> list[AuditEntry]:
    """The newest first, a page at a time."""
    found: list[AuditEntry] = []
    while len(found) < limit:
        page = min(limit - len(found), auditing.PAGE)
        before = found[-1].seq if found else None
        entries = await client.ask(auditing.READ, ReadAudit(limit=page, subject=subject, before=before))
        found += entries
        if len(entries) < page:
            break
    return found


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
