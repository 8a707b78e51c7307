"""`audit`: who changed what, and when."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime

import click

from controlplane.commands.session import Session, with_session
from controlplane.service import audit as log
from controlplane.store.audit import AuditEntry
from worker.program.terminal import columns
from worker.text import json_line, table


@click.command()
@click.option(
    "--subject", metavar="ID", help="Changes of this alone: a public id, a location's, a variable's or a key's id."
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many, the newest.")
@click.option("--json", "as_json", is_flag=True, help="One object a line, with the states before and after.")
@with_session
def audit(session: Session, *, subject: str | None, limit: int, as_json: bool) -> None:
    """Print the newest changes, the newest last."""
    found = asyncio.run(_read(session, subject, limit))
    if as_json:
        for entry in reversed(found):
            click.echo(json_line(log.as_object(entry)))
        return
    rows = [(_moment(entry.at), entry.actor, entry.via, entry.action, entry.subject) for entry in reversed(found)]
    click.echo(table(("AT", "WHO", "VIA", "WHAT", "OF"), rows, width=columns(sys.stdout)))


async def _read(session: Session, subject: str | None, limit: int) -> tuple[AuditEntry, ...]:
    async with session.open() as database:
        return await log.newest(database, session.principal(), limit=limit, subject=subject)


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
